package resolver_test

import (
	"errors"
	"strings"
	"testing"

	"kz/resolver"
)

func TestSetField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ raw, field, value, want string }{
		"a member is changed":                    {`{"b":"old","a":"x"}`, "b", "new", `{"a":"x","b":"new"}`},
		"a member is made":                       {`{"a":1}`, "b", "new", `{"a":1,"b":"new"}`},
		"nothing stored is an empty object":      {``, "b", "new", `{"b":"new"}`},
		"a path":                                 {`{"a":{"c":[1]}}`, "a.b", "v", `{"a":{"b":"v","c":[1]}}`},
		"a path that is not there":               {`{}`, "a.b", "v", `{"a":{"b":"v"}}`},
		"a pointer":                              {`{"a/b":{}}`, "/a~1b/c.d", "v", `{"a/b":{"c.d":"v"}}`},
		"a key with dots goes before the path":   {`{"a.b":"x"}`, "a.b", "v", `{"a.b":"v"}`},
		"auto is the token that is there":        {`{"token":"x","z":1}`, resolver.Auto, "v", `{"token":"v","z":1}`},
		"numbers keep their digits":              {`{"n":12345678901234567890.50}`, "k", "v", `{"k":"v","n":12345678901234567890.50}`},
		"a number that stays one":                {`{"port":80}`, "port", "443", `{"port":443}`},
		"a number that becomes a text":           {`{"port":80}`, "port", "x", `{"port":"x"}`},
		"a text that looks like a number is one": {`{"pin":"0123"}`, "pin", "4567", `{"pin":"4567"}`},
		"quotes and HTML stay what they are":     {`{"u":"<&>"}`, "k", "a\"<b>\n", `{"k":"a\"<b>\n","u":"<&>"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := resolver.SetField(c.raw, c.field, c.value)
			if err != nil || got != c.want {
				t.Errorf("%s %v, want %s", got, err, c.want)
			}
		})
	}
	for name, c := range map[string]struct{ raw, field string }{
		"what is not JSON":         {"canary-text", "k"},
		"a list":                   {`["canary-text"]`, "0"},
		"a path through a text":    {`{"a":"canary-text"}`, "a.b"},
		"auto without any":         {`{"a":"canary-text"}`, resolver.Auto},
		"no field":                 {`{}`, ""},
		"a text in quotes is none": {`"canary-text"`, "k"},
	} {
		t.Run(name+" cannot be set", func(t *testing.T) {
			t.Parallel()
			_, err := resolver.SetField(c.raw, c.field, "canary-value")
			var e *resolver.Error
			if !errors.As(err, &e) || e.Kind != resolver.InvalidReference || e.Hint() == "" || strings.Contains(err.Error()+e.Hint(), "canary") {
				t.Errorf("%v", err)
			}
		})
	}
}
