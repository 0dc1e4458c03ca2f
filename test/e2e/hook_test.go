package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"kz/test/bed"
)

// hookShells are the shells with what one has to write differently in each. fish tells nobody of its prompt without a terminal.
var hookShells = []struct {
	name  string
	flags []string
	lines map[string]string
}{
	{"bash", []string{"--norc", "-i"}, map[string]string{"start": `eval "$(kz hook --shell bash)"`, "set": "KEY=before", "sum": `$(sha256sum .keyzero.toml | cut -d' ' -f1)`}},
	{"zsh", []string{"-f", "-i"}, map[string]string{"start": `eval "$(kz hook --shell zsh)"`, "set": "KEY=before", "sum": `$(sha256sum .keyzero.toml | cut -d' ' -f1)`}},
	{"fish", []string{"-i"}, map[string]string{"start": `kz hook --shell fish | source`, "set": "set -gx KEY before", "prompt": "emit fish_prompt", "sum": `(sha256sum .keyzero.toml | cut -d' ' -f1)`}},
}

// hookValue needs every kind of quoting.
const hookValue = `it's $HOME "quoted" \ back` + "`tick`; echo INJECTED"

// TestHook goes from directory to directory in each shell, as a person does.
func TestHook(t *testing.T) {
	t.Parallel()
	for _, sh := range hookShells {
		t.Run(sh.name+" has a directory's values while it is there", func(t *testing.T) {
			t.Parallel()
			w := newHookWorld(t)
			script := strings.NewReplacer("@start@", sh.lines["start"], "@set@", sh.lines["set"], "@sum@", sh.lines["sum"], "@prompt@", sh.lines["prompt"]).Replace(`
@start@
@set@
cd ` + w.project + `
sh -c 'echo "UNAPPROVED [$KEY]" >> ` + w.out + `'
kz trust --yes @sum@ >/dev/null
@prompt@
sh -c 'echo "APPROVED [$KEY] [$MORE]" >> ` + w.out + `'
cd sub
sh -c 'echo "BELOW [$KEY]" >> ` + w.out + `'
cd ` + w.elsewhere + `
sh -c 'echo "LEFT [$KEY] [${MORE-unset}] [$KZ_HOOK]" >> ` + w.out + `'
echo "THE SHELL'S OWN [$KEY]" >> ` + w.out + `
cd ` + w.project + `
sh -c 'echo "AGAIN [$KEY]" >> ` + w.out + `'
exit
`)
			said := w.interact(t, bed.Program(t, sh.name), sh.flags, script)
			got, err := os.ReadFile(w.out)
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			lines := strings.Split(strings.TrimSpace(string(got)), "\n")
			before := "before"
			if sh.name != "fish" {
				before = "" // a variable that was not exported is none for a child
			}
			want := []string{
				"UNAPPROVED [" + before + "]",
				"APPROVED [" + hookValue + "] [second line value]",
				"BELOW [" + hookValue + "]",
				"LEFT [" + before + "] [unset] [:]",
				"THE SHELL'S OWN [before]",
				"AGAIN [" + hookValue + "]",
			}
			if strings.Join(lines, "\n") != strings.Join(want, "\n") {
				t.Errorf("the shell's programs have\n%s\nwant\n%s\nit said\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"), said)
			}
			for text, times := range map[string]int{"not approved, or changed since": 1, "`kz trust` shows": 1, "kz: loaded KEY, MORE": 2, "kz: unloaded KEY, MORE": 1, hookValue: 0, "INJECTED": 0} {
				if n := strings.Count(said, text); n != times {
					t.Errorf("%q was said %d times, not %d:\n%s", text, n, times, said)
				}
			}
		})
	}
}

// fish reads its start-up file for scripts, too.
func TestAScriptOfFishLoadsNothing(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	w.approve(t)
	cmd := exec.Command(bed.Program(t, "fish"), "--no-config", "-c", "kz hook --shell fish | source; cd "+w.project+"; emit fish_prompt; echo \"[$KEY]\"")
	cmd.Dir, cmd.Env = w.elsewhere, w.env
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "[]\n" {
		t.Errorf("%v: it printed %q", err, out)
	}
}

// A shell that an agent starts reads the same start-up file.
func TestHookInsideASession(t *testing.T) {
	t.Parallel()
	for _, sh := range hookShells {
		t.Run(sh.name+" in a blind session loads nothing", func(t *testing.T) {
			t.Parallel()
			w := newHookWorld(t)
			w.approve(t)
			for _, unmark := range []string{"", "unset KZ_SESSION\n"} {
				if sh.name == "fish" {
					unmark = strings.ReplaceAll(unmark, "unset", "set -e")
				}
				_ = os.Remove(w.out)
				script := unmark + sh.lines["start"] + "\ncd " + w.elsewhere + "\ncd " + w.project + "\ntrue\nsh -c 'echo \"IN [$KEY] [$KZ_HOOK]\" >> " + w.out + "'\nexit\n"
				argv := append([]string{"run", "--blind", "--quiet", "--", bed.Program(t, sh.name)}, sh.flags...)
				said := w.interact(t, bed.KZ(t), argv, script)
				got, err := os.ReadFile(w.out)
				if err != nil || !strings.HasPrefix(string(got), "IN [kz_masked_") || !strings.HasSuffix(string(got), "] []\n") {
					t.Errorf("%q: %v, inside there is %q\n%s", unmark, err, got, said)
				}
				if strings.Contains(said, hookValue) || strings.Contains(said, "refused inside") {
					t.Errorf("%q: it said\n%s", unmark, said)
				}
			}
		})
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	w.approve(t)
	for name, script := range map[string]string{
		"bash": `eval "$(kz export)"; printf '%s|%s' "$KEY" "$MORE"`,
		"zsh":  `eval "$(kz export --shell zsh)"; printf '%s|%s' "$KEY" "$MORE"`,
		"fish": `kz export --shell fish | source; printf '%s|%s' "$KEY" "$MORE"`,
		"dash": `eval "$(kz export --only KEY)"; printf '%s|%s' "$KEY" "${MORE-second line value}"`,
	} {
		t.Run(name+" evaluates what kz export prints", func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(bed.Program(t, name), "-c", script)
			cmd.Dir, cmd.Env = w.project, w.env
			out, err := cmd.Output()
			if err != nil || string(out) != hookValue+"|second line value" {
				t.Errorf("%v: it has %q", err, out)
			}
		})
	}
	t.Run("an unapproved file exports nothing", func(t *testing.T) {
		t.Parallel()
		w := newHookWorld(t)
		cmd := exec.Command(bed.KZ(t), "export")
		cmd.Dir, cmd.Env = w.project, w.env
		out, err := cmd.Output()
		if err == nil || len(out) > 0 {
			t.Errorf("%v: it printed %q", err, out)
		}
	})
}

// hookWorld is a home, a project with a configuration, and another directory.
type hookWorld struct {
	home, project, elsewhere, out string
	env                           []string
}

func newHookWorld(t *testing.T) *hookWorld {
	t.Helper()
	dir := t.TempDir()
	w := &hookWorld{home: dir + "/home", project: dir + "/project", elsewhere: dir + "/elsewhere", out: dir + "/out"}
	// fish makes completions in the background at its first start unless their directory is there.
	for _, d := range []string{w.home + "/.local/share/fish/generated_completions", w.project + "/sub", w.elsewhere, dir + "/bin"} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{
		dir + "/secrets.env": "KEY=\"" + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(hookValue) + "\"\nMORE=\"second line value\"\n",
		w.project + "/.keyzero.toml": "[backends.own]\ntype = \"env_file\"\npath = \"../secrets.env\"\n" +
			"[secrets.KEY]\nbackend = \"own\"\nhosts = [\"api.test\"]\n[secrets.MORE]\nbackend = \"own\"\nhosts = [\"api.test\"]\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(bed.KZ(t), dir+"/bin/kz"); err != nil {
		t.Fatal(err)
	}
	w.env = []string{"HOME=" + w.home, "PATH=" + dir + "/bin:" + bed.Path, "TERM=dumb"}
	return w
}

func (w *hookWorld) approve(t *testing.T) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `exec kz trust --yes "$(sha256sum .keyzero.toml | cut -d' ' -f1)"`)
	cmd.Dir, cmd.Env = w.project, w.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("approving: %v\n%s", err, out)
	}
}

// interact types a script into an interactive shell and returns what it and its programs said.
func (w *hookWorld) interact(t *testing.T, program string, flags []string, script string) string {
	t.Helper()
	cmd := exec.Command(program, flags...)
	cmd.Dir, cmd.Env, cmd.Stdin = w.elsewhere, w.env, strings.NewReader(script)
	if flags[0] == "run" {
		cmd.Dir = w.project
	}
	out, _ := cmd.CombinedOutput() // a shell whose input ends has its own exit codes; what it did is in w.out
	return string(out)
}
