package e2e_test

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/canary"
)

// TestEveryCommandShownRuns takes each command that the README, a topic or a command's own help shows, and runs it as it
// is printed, on a terminal, in a project like a person's. What is not in the table fails the test, and so does what is in
// the table and no longer shown. documented_table_test.go has the table.
func TestEveryCommandShownRuns(t *testing.T) {
	t.Parallel()
	shown := shownCommands(t)
	table := documentedCommands()
	for line, where := range shown {
		if !slices.ContainsFunc(table, func(d documented) bool { return d.line == line }) {
			t.Errorf("%s shows a command that nothing runs: %s", where, line)
		}
	}
	tests := allTests(t)
	topic, err := os.ReadFile("../../cmd/kz/cli/topics/quickstart.txt")
	if err != nil {
		t.Fatal(err)
	}
	var quick []string
	for _, c := range printedCommands(string(topic)) {
		quick = append(quick, oneLine(c))
	}
	projects, top := map[string]*newcomer{}, t
	for _, d := range table {
		if shown[d.line] == "" {
			t.Errorf("no text shows it any more: %s", d.line)
			continue
		}
		if d.by != "" {
			if !tests[d.by] {
				t.Errorf("%s: there is no test %s", d.line, d.by)
			}
			if d.by == "TestQuickStart" && !slices.Contains(quick, d.line) {
				t.Errorf("%s: the quick start does not have it", d.line)
			}
			continue
		}
		if d.why != "" {
			continue
		}
		t.Run(strings.ReplaceAll(d.line, "/", "∕"), func(t *testing.T) {
			n := projects[d.in]
			if n == nil || d.anew {
				n = newProject(top, d.in)
				projects[d.in] = n
			}
			line := strings.NewReplacer(d.with...).Replace(d.line)
			for i := 0; i < len(d.with); i += 2 {
				if !strings.Contains(d.line, d.with[i]) {
					t.Fatalf("%q does not stand in it", d.with[i])
				}
			}
			if d.as != "" {
				line = strings.Replace(d.as, "LINE", line, 1)
			}
			if d.before != "" {
				n.types(d.before).Succeeds(t)
			}
			env := n.environment("TERM=xterm")
			code, text := typed(t, n.Path("project"), env, line, d.answers)
			n.Clean(bed.Result{Stdout: []byte(text)})
			if code != 0 || spokenError.MatchString(text) {
				t.Errorf("exit code %d\n%s", code, text)
			}
			if !regexp.MustCompile(d.shows).MatchString(text) {
				t.Errorf("it does not show %q:\n%s", d.shows, text)
			}
		})
	}
}

// spokenError is an error of kz, on a terminal or not.
var spokenError = regexp.MustCompile(`(?m)^kz: (\x1b\[[0-9;]*m)?error:`)

// documented is a command as it is shown, and how it is run.
type documented struct {
	line    string
	in      string            // which project: "" has nothing, "ready" all that newProject writes
	anew    bool              // the project is made anew before it
	before  string            // what is typed before it, unseen
	as      string            // a line of the shell in which LINE stands for it; "" is it alone
	with    []string          // its placeholders, each with what stands for it
	answers map[string]string // what a person answers to a question
	shows   string            // a regular expression for what it shows
	by      string            // the test that runs it, in place of this one
	why     string            // why it cannot be run here
}

// newProject is a newcomer's project. A ready one is approved, its values are stored, and the programs that texts name are there.
func newProject(t *testing.T, which string) *newcomer {
	t.Helper()
	n := newNewcomer(t)
	for name, text := range map[string]string{
		"home/bin/claude":    "#!/bin/sh\ntest -n \"$OPENAI_API_KEY\"\n",
		"home/bin/python":    "#!/bin/sh\nexec /usr/bin/python3 \"$@\"\n",
		"project/deploy.sh":  "#!/bin/sh\ntest \"${STRIPE_KEY#sk_}\" != \"$STRIPE_KEY\"\n",
		"project/agent.py":   "import os\nassert os.environ['OPENAI_API_KEY'].startswith('kz_masked_')\nassert 'STRIPE_KEY' not in os.environ\n",
		"project/migrate.sh": "#!/bin/sh\ntest \"$1\" = --verbose && case $STRIPE_KEY in sk_live*) ;; *) exit 1 ;; esac\n",
		"project/.env":       "OPENAI_API_KEY=\n",
	} {
		n.write(name, text)
		if strings.HasPrefix(text, "#!") {
			if err := os.Chmod(n.Path(name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = port.Close()
	_, free, _ := net.SplitHostPort(port.Addr().String())
	n.Env = append(n.Env, "FREE="+free)
	switch which {
	case "":
		return n
	case "vault":
		v, _ := n.inVault()
		n.logIn(v.Token)
		return n
	}
	n.write("project/.keyzero.toml", `
[backends.local]
type = "local"

[secrets.OPENAI_API_KEY]
[secrets.STRIPE_KEY]
hosts = ["api.test"]
[secrets.TLS_KEY]
hosts = ["api.test"]
swap = ["body"]
[production.secrets.STRIPE_KEY]
name = "STRIPE_KEY_LIVE"
`)
	n.write("project/bundle.yaml", "backends: {e: {type: env}}\nsecrets: {A: {backend: e, name: A, hosts: [api.test]}}\n")
	n.trusts()
	for _, name := range []string{"OPENAI_API_KEY", "STRIPE_KEY", "TLS_KEY"} {
		value := "sk_" + canary.Value("k-")
		n.Watch(name, value)
		n.write("store/value", value)
		n.types("kz put " + name + " < ../store/value").Succeeds(t)
	}
	live := "sk_live" + canary.Value("k-")
	n.Watch("the live key", live)
	n.write("store/value", live)
	n.types("kz put STRIPE_KEY --env production < ../store/value").Succeeds(t)
	n.write("project/key.pem", "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n")
	return n
}

// shownCommands are all commands that are shown, each with where.
func shownCommands(t *testing.T) map[string]string {
	t.Helper()
	shown := map[string]string{}
	add := func(where string, commands []string) {
		for _, c := range commands {
			if c = oneLine(c); shown[c] == "" {
				shown[c] = where
			}
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)\n```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		add("README.md", strings.Split(strings.TrimSpace(block[1]), "\n"))
	}
	add("README.md", printedCommands(regexp.MustCompile(`(?m)^\$ `).ReplaceAllString(string(readme), "  $ ")))
	n := newNewcomer(t)
	for _, m := range regexp.MustCompile(`(?m)^  (\S+) +\S.*$`).FindAllStringSubmatch(string(n.types("kz help topics").Stdout), -1) {
		add("kz help "+m[1], printedCommands(string(n.types("kz help "+m[1]).Stdout)))
	}
	var walk func(command string)
	walk = func(command string) {
		text := string(n.types(command + " --help").Stdout)
		for _, part := range strings.Split(text, "\n\n") {
			title, body, _ := strings.Cut(part, "\n")
			switch {
			case title == "Examples:":
				add(command+" --help", printedCommands(regexp.MustCompile(`(?m)^  (\S)`).ReplaceAllString(body, "  $$ $1")))
			case strings.HasSuffix(title, ":") && title != "Flags:" && title != "Usage:" && !strings.HasPrefix(title, "Topics") && strings.HasSuffix(text, "COMMAND --help` shows what a command does.\n"):
				for _, m := range regexp.MustCompile(`(?m)^  (\S+) +[A-Z]`).FindAllStringSubmatch(body, -1) {
					walk(command + " " + m[1])
				}
			}
		}
	}
	walk("kz")
	if len(shown) < 40 {
		t.Errorf("only %d commands were found: %v", len(shown), shown)
	}
	return shown
}

// oneLine is a command without the line ends that a backslash continues, and without a comment.
func oneLine(command string) string {
	command = regexp.MustCompile(`\s*\\\n\s*`).ReplaceAllString(command, " ")
	return strings.TrimSpace(regexp.MustCompile(`\s+# .*$`).ReplaceAllString(command, ""))
}

// allTests are the names of the tests there are.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, pattern := range []string{"*_test.go", "../agents/*_test.go", "../../cmd/kz/cli/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
				names[m[1]] = true
			}
		}
	}
	return names
}
