package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documented are the keys that a part of the topic `configuration` lists.
func documented(t *testing.T, title string) []string {
	t.Helper()
	text, err := os.ReadFile("../cli/topics/configuration.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, part, found := strings.Cut(string(text), "\n"+title+"\n\n")
	if !found {
		t.Fatalf("no part %q", title)
	}
	var keys []string
	for line := range strings.Lines(part) {
		if !strings.HasPrefix(line, " ") && strings.TrimSpace(line) != "" {
			break // the next part
		}
		if m := regexp.MustCompile(`^  ([A-Za-z_]+)  `).FindStringSubmatch(line); m != nil {
			keys = append(keys, m[1])
		}
	}
	return keys
}

func TestTheTopicConfigurationHasEveryKey(t *testing.T) {
	t.Parallel()
	same := func(t *testing.T, got, want []string) {
		t.Helper()
		got, want = slices.Clone(got), slices.Clone(want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("documented:     %v\nin the schema: %v", got, want)
		}
	}
	t.Run("at the top level", func(t *testing.T) { same(t, documented(t, "Top level"), topKeys) })
	t.Run("of a backend, whose settings are a topic of their own", func(t *testing.T) { same(t, documented(t, "[backends.NAME]"), []string{"type"}) })
	t.Run("of a secret", func(t *testing.T) {
		same(t, slices.Concat(documented(t, "[secrets.VARIABLE]: where the value is kept"),
			documented(t, "[secrets.VARIABLE]: where it may go, and how it is handled")), secretKeys)
	})
	t.Run("of egress", func(t *testing.T) { same(t, documented(t, "[egress]"), egressKeys) })
	t.Run("its example is one", func(t *testing.T) {
		text, err := os.ReadFile("../cli/topics/configuration.txt")
		if err != nil {
			t.Fatal(err)
		}
		_, example, _ := strings.Cut(string(text), "\nAn example\n\n")
		example, _, found := strings.Cut(example, "\nTop level\n")
		if !found {
			t.Fatal("no example")
		}
		path := t.TempDir() + "/example.toml"
		if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(Options{File: path, Env: "production", Getenv: func(string) string { return "" }})
		if err != nil || len(cfg.Secrets) != 1 || cfg.Secrets[0].Ref.ID != "secret/stripe-live" || cfg.Secrets[0].Mask == "" {
			t.Errorf("%v, %+v", err, cfg)
		}
	})
	t.Run("the providers", func(t *testing.T) {
		text, err := os.ReadFile("../cli/topics/configuration.txt")
		if err != nil {
			t.Fatal(err)
		}
		names := providerNames()
		want := "The providers are " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + "."
		if !strings.Contains(strings.Join(strings.Fields(string(text)), " "), want) {
			t.Errorf("it does not say: %s", want)
		}
	})
}
