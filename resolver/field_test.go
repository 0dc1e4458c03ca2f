package resolver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kz/resolver"
)

const document = ` {"api_key":"k-1","user":{"name":"ann","roles":["r0",{"id":7}],"a.b":"dotted"},"port":5432,"ratio":1.50,"big":12345678901234567890,` +
	`"on":true,"off":false,"none":null,"empty":"","":"nameless","a/b":{"c~d":"esc"},"x.y":"whole","x":{"y":"path"},"html":{"q":"<&>", "z": [ 1 , 2 ]},"esc":"line\nquote\"é😀"} `

func TestField(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{
		"":                document,
		"api_key":         "k-1",
		"/api_key":        "k-1",
		"user.name":       "ann",
		"/user/name":      "ann",
		"user.roles.0":    "r0",
		"/user/roles/0":   "r0",
		"user.roles.1.id": "7",
		"user.a.b":        "dotted",
		"/user/a.b":       "dotted",
		"port":            "5432",
		"ratio":           "1.50",
		"big":             "12345678901234567890",
		"on":              "true",
		"off":             "false",
		"empty":           "",
		"/":               "nameless",
		"/a~1b/c~0d":      "esc",
		"a/b.c~d":         "esc",
		"x.y":             "whole",
		"/x/y":            "path",
		"html":            `{"q":"<&>","z":[1,2]}`,
		"html.z":          `[1,2]`,
		"esc":             "line\nquote\"é😀",
	} {
		t.Run("field "+field, func(t *testing.T) {
			t.Parallel()
			if got, err := resolver.Field(document, field); err != nil || got != want {
				t.Errorf("%q %v, want %q", got, err, want)
			}
		})
	}
}

func TestFieldMissing(t *testing.T) {
	t.Parallel()
	raw := `{"b":"` + canary + `","a":{"z":"` + canary + `","y":[1]},"n":null}`
	for _, c := range []struct {
		name, raw, field string
		keys             []string
	}{
		{"a key that is not there lists those that are", raw, "c", []string{"a", "b", "n"}},
		{"a nested one lists those of its level", raw, "a.x", []string{"y", "z"}},
		{"a pointer likewise", raw, "/a/x", []string{"y", "z"}},
		{"a path through a string", raw, "b.x", nil},
		{"an index out of range", raw, "a.y.1", nil},
		{"an index that is no plain number", raw, "/a/y/00", nil},
		{"a negative index", raw, "/a/y/-1", nil},
		{"a null", raw, "n", nil},
		{"a value that is not JSON", canary, "c", nil},
		{"a value with something after the JSON", `{"c":1} ` + canary, "c", nil},
		{"a JSON string", `"` + canary + `"`, "c", nil},
		{"an empty value", "", "c", nil},
		{"auto, of an object with none of its names", raw, "auto", []string{"a", "b", "n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := resolver.Field(c.raw, c.field)
			var e *resolver.Error
			if !errors.As(err, &e) || e.Kind != resolver.FieldMissing || got != "" {
				t.Fatal(got, err)
			}
			if !slices.Equal(e.Keys, c.keys) || c.field != "auto" && !strings.Contains(err.Error(), c.field) {
				t.Errorf("%q %v", e.Keys, err)
			}
			parent, nested := strings.CutSuffix(c.field, "x")
			nested = nested && c.keys != nil
			if nested != strings.Contains(err.Error(), fmt.Sprintf(`, but %q; its keys are y, z`, strings.TrimRight(parent, "./"))) ||
				nested != strings.Contains(e.Hint(), "`field` to "+parent+" and one of the keys") {
				t.Errorf("%v; %s", err, e.Hint())
			}
			clean(t, "the error", err.Error()+e.Hint())
		})
	}
}

func TestFieldAuto(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"value":"v","token":"t","apiKey":"k","accessToken":"a","apiToken":"p"}`: "p",
		`{"value":"v","token":"t","apiKey":"k","accessToken":"a"}`:                "a",
		`{"value":"v","token":"t","apiKey":"k"}`:                                  "k",
		`{"value":"v","token":"t"}`:                                               "t",
		`{"value":"v","other":"t"}`:                                               "v",
		`{"apiToken":null,"value":"v"}`:                                           "v",
		`plain`:                                                                   "plain",
		`["apiToken"]`:                                                            `["apiToken"]`,
		`"json string"`:                                                           `"json string"`,
		`null`:                                                                    `null`,
	} {
		if got, err := resolver.Field(raw, "auto"); err != nil || got != want {
			t.Errorf("%s: %q %v", raw, got, err)
		}
	}
	if got, err := resolver.Field(`{"auto":"x"}`, "/auto"); err != nil || got != "x" {
		t.Error("a key named auto is out of reach:", got, err)
	}
}

func FuzzField(f *testing.F) {
	f.Add(document, "user.roles.1.id")
	f.Add(document, "/a~1b/c~0d")
	f.Add(`[[[1]]]`, "0.0.0")
	f.Add(`{`, "auto")
	f.Fuzz(func(t *testing.T, raw, field string) {
		got, err := resolver.Field(raw, field)
		if err != nil && !errors.Is(err, resolver.FieldMissing) {
			t.Errorf("%v", err)
		}
		if err != nil && got != "" {
			t.Error("a value beside an error")
		}
	})
}
