package agefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"kz/resolver"
	"kz/resolver/envfile"
)

// document is what is in a file. The error of value is a *resolver.Error with the keys there are.
type document interface {
	value(key string) (string, error)
}

// flat is a dotenv file.
type flat map[string]string

func (d flat) value(key string) (string, error) {
	if v, ok := d[key]; ok {
		return v, nil
	}
	return "", &resolver.Error{Kind: resolver.FieldMissing, Keys: slices.Sorted(maps.Keys(d))}
}

// nested is the text of a JSON object.
type nested string

func (d nested) value(key string) (string, error) {
	if key == resolver.Auto { // here it is a key as any other
		key = "/" + key
	}
	return resolver.Field(string(d), key)
}

// parsePlain reads what age has decrypted.
func (s *Store) parsePlain(text []byte) (document, error) {
	if bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) {
		if !json.Valid(text) {
			return nil, s.content("what is in it begins as a JSON object and is none")
		}
		return nested(text), nil
	}
	values, err := envfile.Parse(text)
	if err != nil {
		var syntax *envfile.SyntaxError
		errors.As(err, &syntax)
		return nil, s.content(fmt.Sprintf("line %d of what is in it: %s", syntax.Line, syntax.Problem))
	}
	return flat(values), nil
}

// content is the error for a file that can be decrypted and not be read.
func (s *Store) content(problem string) error {
	return &resolver.Error{Kind: resolver.InvalidReference, Message: s.opt.Path + ": " + problem,
		Advice: "it holds a dotenv file, each line NAME=value, or a JSON object"}
}
