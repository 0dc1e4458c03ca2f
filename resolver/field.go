package resolver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Auto is the Field that looks for a token under the names it usually has.
const Auto = "auto"

var autoKeys = []string{"apiToken", "accessToken", "apiKey", "token", "value"}

// Field picks one member of a JSON value.
//
//	""          the raw string
//	"key"       that member of the object
//	"a.b.0"     a member of a member; a number indexes an array
//	"/a~1b/c"   a JSON pointer (RFC 6901)
//	"auto"      of an object: the first of apiToken, accessToken, apiKey, token, value; of anything else: the raw string
//
// A key that has dots in it is found by its whole name, which goes before the
// path. A string comes back as its content; a number, true and false as their
// JSON text; an object or array as compact JSON, its order and numbers kept.
//
// The error is an *Error of kind FieldMissing that lists the keys there are
// where the path ended, sorted, and never a value. A null counts as missing.
func Field(raw, field string) (string, error) {
	switch {
	case field == "":
		return raw, nil
	case field == Auto:
		object, ok := asObject([]byte(raw))
		if !ok {
			return raw, nil
		}
		if v, ok := first(object, autoKeys); ok {
			return v, nil
		}
		return "", missing(field, "the value has none of "+strings.Join(autoKeys, ", "), sortedKeys(object))
	}
	if !json.Valid([]byte(raw)) {
		return "", &Error{Kind: FieldMissing, Message: fmt.Sprintf("the value is not JSON, so it has no field %q", field),
			Advice: "leave `field` out to use the whole value"}
	}
	if pointer, ok := strings.CutPrefix(field, "/"); ok {
		return walk([]byte(raw), field, strings.Split(pointer, "/"), true)
	}
	return walk([]byte(raw), field, strings.Split(field, "."), false)
}

// FirstField returns the first of names that the object raw has, as Field
// would. ok is false when raw is no JSON object or has none of them.
func FirstField(raw string, names ...string) (value string, ok bool) {
	object, ok := asObject([]byte(raw))
	if !ok {
		return "", false
	}
	return first(object, names)
}

func first(object map[string]json.RawMessage, names []string) (string, bool) {
	for _, name := range names {
		if v, ok := object[name]; ok {
			if text, ok := render(v); ok {
				return text, true
			}
		}
	}
	return "", false
}

// walk follows path from raw, which is valid JSON.
func walk(raw []byte, field string, path []string, pointer bool) (string, error) {
	separator := "."
	if pointer {
		separator = "/"
	}
	for i := 0; i < len(path); i++ {
		next, used, keys := step(raw, path[i:], pointer)
		if used == 0 {
			e := missing(field, fmt.Sprintf("there is no field %q in the value", field), keys)
			if i > 0 && len(keys) > 0 { // the keys are those of what was found
				found := strings.TrimSuffix(field, separator+strings.Join(path[i:], separator))
				e.Message += fmt.Sprintf(", but %q", found)
				e.Advice = fmt.Sprintf("set `field` to %s%s and one of the keys, or leave it out for the whole value", found, separator)
			}
			return "", e
		}
		raw = next
		i += used - 1
	}
	text, ok := render(raw)
	if !ok {
		return "", missing(field, fmt.Sprintf("the field %q is null", field), nil)
	}
	return text, nil
}

// step goes one level down; used is how many elements of path that took, 0
// when there is no such member, and then keys are the members there are.
func step(raw []byte, path []string, pointer bool) (next []byte, used int, keys []string) {
	if object, ok := asObject(raw); ok {
		if !pointer {
			if v, ok := object[strings.Join(path, ".")]; ok {
				return v, len(path), nil
			}
		}
		if v, ok := object[unescape(path[0], pointer)]; ok {
			return v, 1, nil
		}
		return nil, 0, sortedKeys(object)
	}
	var array []json.RawMessage
	if json.Unmarshal(raw, &array) != nil {
		return nil, 0, nil
	}
	n, err := strconv.Atoi(path[0])
	if err != nil || n < 0 || n >= len(array) || strconv.Itoa(n) != path[0] {
		return nil, 0, nil
	}
	return array[n], 1, nil
}

func unescape(segment string, pointer bool) string {
	if !pointer {
		return segment
	}
	return strings.ReplaceAll(strings.ReplaceAll(segment, "~1", "/"), "~0", "~")
}

func asObject(raw []byte) (map[string]json.RawMessage, bool) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil || object == nil {
		return nil, false
	}
	return object, true
}

// render turns a member into the text of a value; ok is false for null.
func render(raw json.RawMessage) (text string, ok bool) {
	if json.Unmarshal(raw, &text) == nil && raw[0] == '"' {
		return text, true
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil || compact.String() == "null" {
		return "", false
	}
	return compact.String(), true
}

func missing(field, message string, keys []string) *Error {
	e := &Error{Kind: FieldMissing, Message: message, Keys: keys}
	if len(keys) > 0 {
		e.Advice = "set `field` to one of the keys, or leave it out for the whole value"
	}
	return e
}

func sortedKeys(object map[string]json.RawMessage) []string {
	return slices.Sorted(maps.Keys(object))
}
