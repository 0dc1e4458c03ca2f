package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestTextsNameCommandsThatThereAre looks at what stands between backquotes in the README, in topics, and in errors, hints
// and help of the sources: `kz WORD --flag` is a command with that flag, and `kz help WORD` a command or a topic.
func TestTextsNameCommandsThatThereAre(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp()
	root := newRootCmd(a)
	named := 0
	check := func(where, text string) {
		for _, m := range regexp.MustCompile("`kz( [^`\n\"]+)`").FindAllStringSubmatch(text, -1) {
			named++
			if problem := wrongCommand(root, strings.Fields(m[1])); problem != "" {
				t.Errorf("%s: `kz%s`: %s", where, m[1], problem)
			}
		}
	}
	for words, wrong := range map[string]bool{"trsut": true, "run --blnd -- x": true, "help nothing": true, "ca trust": true,
		"run --blind -- x --any": false, "help places": false, "ca install": false, "--help": false} {
		if (wrongCommand(root, strings.Fields(words)) != "") != wrong {
			t.Errorf("kz %s is taken for wrong: %v", words, !wrong)
		}
	}
	for _, tp := range topics() {
		check("kz help "+tp.name, strings.Join(strings.Fields(tp.text), " "))
	}
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	top := filepath.Join("..", "..", "..")
	check("README.md", read(filepath.Join(top, "README.md")))
	for _, dir := range []string{"cmd", "proxy", "resolver", "ca"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				for _, line := range regexp.MustCompile(`(?m)^[^/\n]*"(.*)".*$`).FindAllString(read(path), -1) {
					check(path, line)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if named < 100 {
		t.Errorf("only %d commands were found", named)
	}
}

// wrongCommand says what is wrong with a command line after kz; "" when nothing is. What is written in capital letters
// stands for something, and what comes after it, or after --, is not kz's.
func wrongCommand(root *cobra.Command, words []string) string {
	if words[0] == "help" {
		if len(words) > 1 && words[1] != "topics" && words[1] != "TOPIC" {
			if _, ok := topicByName(words[1]); !ok {
				if c, _, err := root.Find(words[1:]); err != nil || c == root {
					return "there is no such topic"
				}
			}
		}
		return ""
	}
	c, rest, err := root.Find(words)
	if err != nil || c == root && !strings.HasPrefix(words[0], "-") && words[0] != "COMMAND" {
		return "there is no such command"
	}
	if c != root && c.HasSubCommands() && len(rest) > 0 && regexp.MustCompile(`^[a-z]+$`).MatchString(rest[0]) {
		return "there is no such command below " + c.CommandPath()
	}
	for _, w := range rest {
		if w == "--" {
			break
		}
		name, isFlag := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		if isFlag && name != "help" && c.Flags().Lookup(name) == nil && c.PersistentFlags().Lookup(name) == nil {
			return "it has no flag --" + name
		}
	}
	return ""
}
