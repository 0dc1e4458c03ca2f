package vault

import (
	"bytes"
	"encoding/json"
	"strings"

	"kz/resolver"
)

// pick takes a field of an object; without one, what the object most likely is
// there for.
func pick(raw, field string) (string, error) {
	if field != "" {
		return resolver.Field(raw, field)
	}
	if v, ok := resolver.FirstField(raw, "value", "accessToken", "apiKey", "token"); ok {
		return v, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(raw), &object) == nil && len(object) == 1 {
		for key := range object {
			return resolver.Field(raw, "/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
		}
	}
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(raw)) != nil {
		return raw, nil
	}
	return compact.String(), nil
}
