package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/canary"
)

// newcomer is a person with a project, a home and a shell, who has never used kz. What they type runs in a shell, in the
// project, with kz on its PATH. The user's own configuration has nothing but where the origin is to be found.
type newcomer struct {
	*bed.Bed
	t    *testing.T
	last bed.Result
}

func newNewcomer(t *testing.T) *newcomer {
	t.Helper()
	n := &newcomer{Bed: bed.New(t), t: t}
	n.write("project/.git/HEAD", "")
	n.write("home/.config/keyzero/config.toml", n.Bundle()[strings.Index(n.Bundle(), "[egress]"):])
	n.write("home/bin/README", "")
	if err := os.Symlink(bed.KZ(t), n.Path("home/bin/kz")); err != nil {
		t.Fatal(err)
	}
	return n
}

// write puts a file, and the directories above it, below the Bed's directory.
func (n *newcomer) write(name, text string) {
	n.t.Helper()
	path := n.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// environment is that of the shell, with more variables.
func (n *newcomer) environment(more ...string) []string {
	return slices.Concat([]string{
		"PATH=" + n.Path("home/bin") + ":" + bed.Path, "HOME=" + n.Path("home"), "TMPDIR=" + n.Path("home/tmp"),
		"GORACE=atexit_sleep_ms=0", // the race detector would sleep for a second at the end of each command
	}, n.Env, more)
}

// replace changes one text in the project's configuration.
func (n *newcomer) replace(old, by string) {
	n.t.Helper()
	text, err := os.ReadFile(n.Path("project/.keyzero.toml"))
	if err != nil || strings.Count(string(text), old) != 1 {
		n.t.Fatalf("%q is not once in the configuration: %v\n%s", old, err, text)
	}
	n.write("project/.keyzero.toml", strings.Replace(string(text), old, by, 1))
}

// types runs a line of the shell in the project.
func (n *newcomer) types(line string) bed.Result {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.Dir = n.Path("project")
	cmd.Env = n.environment()
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		n.t.Fatal(err)
	}
	n.last = bed.Result{Stdout: []byte(stdout.String()), Stderr: []byte(stderr.String()), Code: cmd.ProcessState.ExitCode()}
	n.Clean(n.last)
	return n.last
}

// configure writes the project's configuration and approves it.
func (n *newcomer) configure(text string) {
	n.write("project/.keyzero.toml", text)
	n.trusts()
}

// trusts approves the project's configuration as it stands.
func (n *newcomer) trusts() {
	n.t.Helper()
	n.types(`kz trust --yes "$(sha256sum .keyzero.toml | cut -d ' ' -f 1)"`).Succeeds(n.t)
}

// stores puts a fresh value of API_KEY into the dotenv file that dotenv names.
func (n *newcomer) stores() string {
	v := canary.Value("k-")
	n.Watch("API_KEY", v)
	n.write("store/secrets.env", "API_KEY="+v+"\n")
	return v
}

// dotenv is a configuration with one secret in a dotenv file.
func (n *newcomer) dotenv() string {
	return "[backends.local]\ntype = \"env_file\"\npath = \"" + n.Path("store/secrets.env") + "\"\n\n[secrets.API_KEY]\nhosts = [\"api.test\"]\n"
}

// calls is what most of them want to do.
const calls = `kz run --blind -- sh -c 'curl -sS -o /dev/null -w "%{http_code}" -H "Authorization: Bearer $API_KEY" https://api.test/echo'`

// arrives fails the test unless the last line went well and the origin has got the value.
func (n *newcomer) arrives(value string) {
	n.t.Helper()
	n.last.Succeeds(n.t)
	got := n.Origin.Requests()
	if len(got) == 0 || got[len(got)-1].Header.Get("Authorization") != "Bearer "+value {
		n.t.Errorf("the value did not arrive:\n%s", n.last.Stderr)
	}
}

// spoken is what kz said with a label, without the lines that say it.
func spoken(res bed.Result, label string) (texts []string) {
	for line := range strings.Lines(string(res.Stderr)) {
		if text, ok := strings.CutPrefix(line, "kz: "+label+": "); ok {
			texts = append(texts, strings.TrimSuffix(text, "\n"))
		}
	}
	return texts
}

// misstep is a wrong step: what is typed, and the one error and the one hint that it gives. The hint is then followed, by
// doing what it says, and mended holds the test that nothing more is wrong.
type misstep struct {
	name  string
	lay   func(n *newcomer)
	typed string // calls when it is left out
	code  int    // 125 when it is left out
	says  string // a regular expression for the error
	hint  string // one for the hint
	mend  func(n *newcomer, hint string)
}

// commands are what stands between backquotes in a hint.
func commands(hint string) (out []string) {
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(hint, -1) {
		out = append(out, m[1])
	}
	return out
}

func TestEachWrongStepOfANewcomerHasOneErrorAndAHintThatMendsIt(t *testing.T) {
	t.Parallel()
	for _, m := range allMissteps() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			n := newNewcomer(t)
			if m.lay != nil {
				m.lay(n)
			}
			if m.typed == "" {
				m.typed = calls
			}
			if m.code == 0 {
				m.code = 125
			}
			res := n.types(m.typed)
			res.Exits(t, m.code)
			errors, hints := spoken(res, "error"), spoken(res, "hint")
			if len(errors) != 1 || !regexp.MustCompile(m.says).MatchString(errors[0]) {
				t.Fatalf("want one error that matches %q:\n%s", m.says, res.Stderr)
			}
			if len(hints) != 1 || !regexp.MustCompile(m.hint).MatchString(hints[0]) {
				t.Fatalf("want one hint that matches %q:\n%s", m.hint, res.Stderr)
			}
			if len(n.Origin.Requests()) > 0 {
				t.Error("something was sent all the same")
			}
			m.mend(n, hints[0])
		})
	}
}
