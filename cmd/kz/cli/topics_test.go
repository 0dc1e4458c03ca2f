package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kz/cmd/kz/config"
)

func textOf(t *testing.T, name string) string {
	t.Helper()
	tp, ok := topicByName(name)
	if !ok {
		t.Fatalf("there is no topic %s", name)
	}
	return tp.text
}

// TestTopicsNameTopics: a text that sends its reader to `kz help WORD` sends nobody astray.
func TestTopicsNameTopics(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp()
	root := newRootCmd(a)
	for _, tp := range topics() {
		for _, m := range regexp.MustCompile("(?:`|\\()kz help ([a-z-]+)").FindAllStringSubmatch(strings.Join(strings.Fields(tp.text), " "), -1) {
			if _, ok := topicByName(m[1]); ok {
				continue
			}
			if c, _, err := root.Find([]string{m[1]}); err != nil || c == root {
				t.Errorf("%s: kz help %s shows nothing", tp.name, m[1])
			}
		}
	}
}

func TestTheTopicStoresHasEverySetting(t *testing.T) {
	t.Parallel()
	text := textOf(t, "stores")
	for _, typ := range config.Types() {
		_, part, found := strings.Cut(text, "\n  "+typ.Name+"\n")
		if !found {
			t.Errorf("it lacks %s", typ.Name)
			continue
		}
		if end := strings.Index(part, "\n\n"); end >= 0 {
			part = part[:end]
		}
		for _, s := range typ.Settings {
			if !regexp.MustCompile(`(?m)^      ` + s.Key + `( \*)? +\S`).MatchString(part) {
				t.Errorf("%s lacks %s", typ.Name, s.Key)
			}
		}
	}
}

// TestExamplesOfConfigurationAreGood: what topics show as a configuration loads, alone or with what stands before it.
func TestExamplesOfConfigurationAreGood(t *testing.T) {
	t.Parallel()
	examples := 0
	for _, tp := range topics() {
		whole := map[string]string{}
		for _, block := range strings.Split(tp.text, "\n\n") {
			if !regexp.MustCompile(`^  \[[a-z]+[\].]`).MatchString(block) {
				continue
			}
			examples++
			toml := regexp.MustCompile(`(?m)^  `).ReplaceAllString(block, "") + "\n"
			if strings.HasPrefix(toml, "[secrets.") || strings.HasPrefix(toml, "[production.") {
				for _, name := range regexp.MustCompile(`backend += "([a-z]+)"`).FindAllStringSubmatch(toml, -1) {
					if whole[name[1]] == "" {
						whole[name[1]] = fmt.Sprintf("[backends.%s]\ntype = \"keychain\"\n", name[1])
					}
				}
			}
			if m := regexp.MustCompile(`^\[backends\.([a-z]+)\]`).FindStringSubmatch(toml); m != nil {
				whole[m[1]] = ""
			}
			for _, table := range whole {
				toml += table
			}
			path := filepath.Join(t.TempDir(), "example.toml")
			if err := os.WriteFile(path, []byte(toml), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(config.Options{File: path, Getenv: func(name string) string { return map[string]string{"HOME": "/home/x"}[name] }})
			if err != nil && !strings.Contains(err.Error(), "is not configured") && !strings.Contains(err.Error(), "names a secret that is not") {
				t.Errorf("%s: %v in\n%s", tp.name, err, toml)
			}
		}
	}
	if examples < 6 {
		t.Errorf("only %d examples were found", examples)
	}
}
