package cli

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// tooWide are the lines of a text that are wider than helpWidth.
func tooWide(text string) []string {
	var wide []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > helpWidth {
			wide = append(wide, line)
		}
	}
	return wide
}

// eachCommand calls f with every command that is not hidden.
func eachCommand(t *testing.T, f func(c *cobra.Command)) {
	t.Helper()
	a, _, _ := testApp()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden {
			return
		}
		f(c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCmd(a))
}

func TestHelpReadsWell(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, text string) {
		t.Helper()
		if len(text) < 40 {
			t.Errorf("the whole of it is %q", text)
		}
		for _, line := range tooWide(text) {
			t.Errorf("wider than %d columns: %s", helpWidth, line)
		}
		if strings.ContainsAny(text, "\x1b\t\r") || !utf8.ValidString(text) {
			t.Errorf("it holds an escape code, a tab or what is not UTF-8: %q", text)
		}
		for line := range strings.Lines(text) {
			if strings.HasSuffix(line, " \n") {
				t.Errorf("a space at the end of %q", line)
			}
		}
	}
	shown := func(t *testing.T, args ...string) string {
		t.Helper()
		a, stdout, stderr := testApp()
		a.isTerminal = func(any) bool { return true } // not even on a terminal
		if err := execute(background(), newRootCmd(a), args); err != nil || stderr.Len() > 0 {
			t.Errorf("kz %s: %v, %s", strings.Join(args, " "), err, stderr)
		}
		return stdout.String()
	}
	eachCommand(t, func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		t.Run(c.CommandPath()+" explains itself, with an example", func(t *testing.T) {
			text := shown(t, append(path, "--help")...)
			check(t, text)
			if c.Short == "" || strings.HasSuffix(c.Short, ".") || !strings.Contains(text, "Usage:\n  "+c.CommandPath()) {
				t.Errorf("no summary, or no usage: %s", text)
			}
			if !c.HasSubCommands() && (!strings.HasPrefix(c.Example, "  ") || !strings.Contains(c.Example, c.CommandPath())) {
				t.Errorf("it has no example of itself: %q", c.Example)
			}
			if !c.HasSubCommands() && topicOf(path) == "" {
				if again := shown(t, append([]string{"help"}, path...)...); again != text {
					t.Errorf("`kz help` says something else: %s", again)
				}
			}
		})
	})
	for _, tp := range topics() {
		t.Run("the topic "+tp.name+" reads well", func(t *testing.T) {
			check(t, tp.text)
			lines := strings.Split(tp.text, "\n")
			if len(lines) < 3 || len(listed(tp.name, lines[0])) > helpWidth+1 || strings.HasSuffix(lines[0], ".") || lines[1] != "" || !strings.HasSuffix(tp.text, "\n") {
				t.Errorf("it begins with %q, not with a summary that fits into the list and an empty line", lines[:min(3, len(lines))])
			}
			if text := shown(t, "help", tp.name); !strings.HasSuffix(text, tp.text) {
				t.Errorf("it is shown as %s", text)
			}
			if list := shown(t, "help"); !strings.Contains(list, listed(tp.name, tp.summary())) {
				t.Errorf("`kz help` does not list it: %s", list)
			}
		})
	}
	t.Run("kz, kz help and kz --help are the same", func(t *testing.T) {
		if a, b, c := shown(t), shown(t, "help"), shown(t, "--help"); a != b || b != c || !strings.Contains(a, "\nTopics, ") {
			t.Errorf("%s\n%s\n%s", a, b, c)
		}
	})
	t.Run("the topics have a list of their own", func(t *testing.T) { check(t, shown(t, "help", "topics")) })
}

// topicOf is the topic that has the name of a command.
func topicOf(path []string) string {
	if len(path) == 1 {
		if tp, ok := topicByName(path[0]); ok {
			return tp.text
		}
	}
	return ""
}

func TestUnknownWordsOfHelp(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"help plcaes":        "kz: error: no command or topic is called \"plcaes\"\nkz: hint: did you mean `kz help places`?\n",
		"help valdate":       "kz: error: no command or topic is called \"valdate\"\nkz: hint: did you mean `kz help validate`?\n",
		"help qqqqqqqqqq":    "kz: error: no command or topic is called \"qqqqqqqqqq\"\nkz: hint: `kz help` lists both\n",
		"help ca exprt":      "kz: error: unknown command \"exprt\"\nkz: hint: did you mean `kz ca export`?\n",
		"help backends nono": "kz: error: unknown command \"nono\"\nkz: hint: see `kz backends --help`\n",
	} {
		a, stdout, stderr := testApp()
		err := execute(background(), newRootCmd(a), strings.Fields(line))
		a.ui.Error(err)
		if exitCode(err) != exitMisuse || stdout.Len() > 0 || stderr.String() != want {
			t.Errorf("kz %s: %s%s", line, stdout, stderr)
		}
	}
	a, stdout, _ := testApp()
	if err := execute(background(), newRootCmd(a), []string{"__complete", "help", ""}); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"run\tRun a program", "places\tWhere"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("help is completed with %s", stdout)
		}
	}
}

func TestParagraphsAreLaidOut(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"one two three four":           "one two\nthree\nfour",
		"one\ntwo three\n\nfour":       "one two\nthree\n\nfour",
		"  one two three four":         "  one two three four",
		"one:\n  two three four\nfive": "one:\n  two three four\nfive",
		"onetwothreefour five":         "onetwothreefour\nfive",
		"élan öl":                      "élan öl",
	} {
		if got := laidOut(in, 7); got != want {
			t.Errorf("%q is laid out as %q", in, got)
		}
	}
	if wide := tooWide(strings.Repeat("ü", helpWidth) + "\n" + strings.Repeat("x", helpWidth+1)); !slices.Equal(wide, []string{strings.Repeat("x", helpWidth+1)}) {
		t.Errorf("too wide: %q", wide)
	}
}
