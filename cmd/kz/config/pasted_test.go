package config

import (
	"errors"
	"strings"
	"testing"
)

func TestAMaskInAFileIsToldFromAValue(t *testing.T) {
	t.Parallel()
	const mask = "kz_masked_0123456789abcdef0123456789abcdef"
	const backend = "[backends.local]\ntype = \"env_file\"\npath = \"s.env\"\n"
	for name, text := range map[string]string{
		"as a name in a store":          backend + "[secrets.KEY]\nhosts = [\"a.test\"]\nname = \"" + mask + "\"\n",
		"in its shape":                  backend + "[secrets.KEY]\nhosts = [\"a.test\"]\nname = \"sk-ant-" + mask + "\"\n",
		"as a value":                    backend + "[secrets.KEY]\nhosts = [\"a.test\"]\nvalue = \"" + mask + "\"\n",
		"in place of a table":           "[secrets]\nKEY = \"" + mask + "\"\n",
		"at the top level":              "KEY = \"" + mask + "\"\n",
		"in a reference of a shorthand": "KEY = { provider = \"aws\", ref = \"sm://" + mask + "\" }\n",
		"as a sensitive setting":        "[backends.vault]\ntype = \"hashicorp_vault\"\ntoken = \"" + mask + "\"\n",
		"in a list":                     backend + "[secrets.KEY]\nname = \"x\"\nfields = [\"a\", \"" + mask + "\"]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newTree(t, map[string]string{".keyzero.toml": text}).load()
			var problems Problems
			_ = errors.As(err, &problems)
			if len(problems) != 1 || problems[0].Message != "what stands here is a mask, which means nothing outside of its session" ||
				!strings.Contains(problems[0].Hint, "`kz put ") || problems[0].Pos.Line == 0 || strings.Contains(err.Error(), "0123456789") {
				t.Errorf("%v", err)
			}
		})
	}
	comment := backend + "[secrets.KEY]\n# kz_masked_0123456789abcdef0123456789abcdef\nname = \"x\"\nmask = \"sk_{mask}\"\n"
	if _, err := newTree(t, map[string]string{".keyzero.toml": comment}).load(); err != nil {
		t.Errorf("a comment and a shape are no masks: %v", err)
	}
}
