package resolver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// SetField is the JSON object raw with one member changed, named as [Field] names it; "" is an empty object. The member
// and the objects on the way to it are made when they are missing. All else keeps its value, not its order. The member
// becomes a string, unless it was a number, true or false and value is one too.
//
// The error is an *Error of kind InvalidReference for what cannot be set, and never holds a value.
func SetField(raw, field, value string) (string, error) {
	if raw == "" {
		raw = "{}"
	}
	object, ok := asObject([]byte(raw))
	if !ok {
		return "", unsettable("the stored value is not a JSON object, so no field of it can be set", "store the whole value, without `field`")
	}
	path := []string{field}
	switch pointer, isPointer := strings.CutPrefix(field, "/"); {
	case field == "":
		return "", unsettable("no field is named", "name one with `field`")
	case field == Auto:
		for _, key := range autoKeys {
			if _, there := object[key]; there {
				return setMember(object, []string{key}, value)
			}
		}
		return "", unsettable("the stored value has none of "+strings.Join(autoKeys, ", "), "name the one to set with `field`")
	case isPointer:
		path = strings.Split(pointer, "/")
		for i := range path {
			path[i] = unescape(path[i], true)
		}
	case object[field] == nil: // a key with dots in it goes before the path
		path = strings.Split(field, ".")
	}
	return setMember(object, path, value)
}

func setMember(object map[string]json.RawMessage, path []string, value string) (string, error) {
	old, there := object[path[0]]
	switch {
	case len(path) == 1:
		object[path[0]] = member(old, value)
	case !there:
		old = json.RawMessage("{}")
		fallthrough
	default:
		inner, ok := asObject(old)
		if !ok {
			return "", unsettable(fmt.Sprintf("%q is not an object, so no field of it can be set", path[0]), "check `field`")
		}
		text, err := setMember(inner, path[1:], value)
		if err != nil {
			return "", err
		}
		object[path[0]] = json.RawMessage(text)
	}
	return marshal(object), nil
}

// member is a value as JSON, of the type that the one before has where it can be.
func member(old json.RawMessage, value string) json.RawMessage {
	if len(old) > 0 && json.Valid([]byte(value)) && scalar(old) != 0 && scalar(old) == scalar([]byte(value)) {
		return json.RawMessage(value)
	}
	return json.RawMessage(marshal(value))
}

// scalar tells numbers and truth values apart; 0 is anything else.
func scalar(raw []byte) byte {
	var v any
	_ = json.Unmarshal(raw, &v)
	switch v.(type) {
	case float64:
		return 'n'
	case bool:
		return 'b'
	}
	return 0
}

// marshal is JSON with <, > and & as they are: the text is stored, not put into HTML.
func marshal(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings and valid JSON always encode
	return strings.TrimSuffix(b.String(), "\n")
}

func unsettable(message, advice string) *Error {
	return &Error{Kind: InvalidReference, Message: message, Advice: advice}
}
