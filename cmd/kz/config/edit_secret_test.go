package config

import (
	"errors"
	"strings"
	"testing"
)

var secretGiven = []Given{
	{Key: "backend", Setting: Setting{Value: "e"}},
	{Key: "name", Setting: Setting{Value: `a "b" \ ü`}},
	{Key: "hosts", Setting: Setting{Value: []string{"a.test", "*.b.test"}}},
}

func TestASecretIsAddedAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, text string }{
		"an empty TOML file":           {"c.toml", ""},
		"TOML with other secrets":      {"c.toml", "# one\n[secrets.A] # two\nname = 'x'\n\n[egress]\nmode = 'strict'\n# end"},
		"TOML with lines of Windows":   {"c.toml", "[secrets.A]\r\nname = 'x'\r\n"},
		"TOML with dotted keys":        {"c.toml", "backends.e.type = 'env'\n[secrets]\nA.name = 'x'\n"},
		"TOML with a section":          {"c.toml", "[production.secrets.NEW_KEY]\nname = 'y'\n[staging.backends.e]\ntype = 'env'\n"},
		"TOML with the list":           {"c.toml", "[[resolvers]]\nname = 'a'\nsecret_id = 'x'\n"},
		"TOML with a mark in front":    {"c.toml", "\ufeff[secrets.A]\nname = 'x'\n"},
		"an empty YAML file":           {"c.yaml", ""},
		"YAML with other secrets":      {"c.yaml", "secrets:\n    # one\n    A:\n        name: x\n\n# of egress\negress:\n    mode: strict\n"},
		"YAML with secrets of nothing": {"c.yaml", "secrets:\nbackends:\n  e: {type: env}\n"},
		"YAML with a section":          {"c.yaml", "staging:\n  backends:\n    e: {type: env}\nbackends:\n  e: {type: env}\n"},
		"YAML with the list":           {"c.yaml", "resolvers:\n  - name: a\n    secret_id: x\n"},
	} {
		for _, env := range []string{"", "staging"} {
			t.Run(name+" "+env, func(t *testing.T) {
				t.Parallel()
				after, err := AddSecret(c.file, []byte(c.text), env, "NEW_KEY", secretGiven)
				if err != nil {
					t.Fatal(err)
				}
				if remainder(string(after), c.text) == "" {
					t.Errorf("more than an addition:\n%s", after)
				}
				root, problem := found{shown: c.file}.parse(after)
				if problem != nil {
					t.Fatal(problem)
				}
				if env != "" {
					root = root.get(env)
				}
				if got := root.get("secrets").get("NEW_KEY"); !got.same(settingsNode(secretGiven)) {
					t.Errorf("it is not in\n%s", after)
				}
				if _, err := AddSecret(c.file, after, env, "NEW_KEY", secretGiven); !errors.Is(err, ErrByHand) {
					t.Errorf("twice: %v", err)
				}
			})
		}
	}
}

func TestASecretThatCannotBeAddedByItselfIsLeftToAPerson(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, text string }{
		"an inline table of TOML": {"c.toml", "secrets = { A = { name = 'x' } }\n"},
		"YAML in one line":        {"c.yaml", "{secrets: {A: {name: x}}}\n"},
		"one that is there":       {"c.toml", "secrets.NEW_KEY.name = 'x'\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if after, err := AddSecret(c.file, []byte(c.text), "", "NEW_KEY", secretGiven); !errors.Is(err, ErrByHand) {
				t.Errorf("%v:\n%s", err, after)
			}
			if text := SecretText(c.file, "", "NEW_KEY", secretGiven); !strings.Contains(text, "NEW_KEY") || !strings.Contains(text, `"a.test", "*.b.test"`) {
				t.Errorf("by hand it would be %s", text)
			}
		})
	}
	if _, err := AddSecret("c.toml", []byte("[broken"), "", "NEW_KEY", secretGiven); err == nil || errors.Is(err, ErrByHand) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}
