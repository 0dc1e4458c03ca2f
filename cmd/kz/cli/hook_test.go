package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHookTakesNamesOnly(t *testing.T) {
	t.Parallel()
	stamp, names := hookState("abc:KEY,$(touch x),A;B,MORE_2,2X,,A B,É")
	if stamp != "abc" || !slices.Equal(names, []string{"KEY", "MORE_2"}) {
		t.Errorf("stamp %q, names %q", stamp, names)
	}
}

// hookApp is an app in a directory with an approved configuration.
func hookApp(t *testing.T, secret string) (a *app, said func() (stdout, stderr string)) {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "project"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"secrets.env":           "KEY=canary-value\n",
		"project/.keyzero.toml": "[backends.own]\ntype = \"env_file\"\npath = \"../secrets.env\"\n[secrets." + secret + "]\nbackend = \"own\"\nname = \"KEY\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, stdout, stderr := testApp("HOME=" + filepath.Join(dir, "home"))
	a.cwd = func() (string, error) { return filepath.Join(dir, "project"), nil }
	cfg, err := a.read("", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.trust(background(), "", []string{cfg.Sources[len(cfg.Sources)-1].SHA256}); err != nil {
		t.Fatal(err)
	}
	stdout.Reset()
	return a, func() (string, string) { return stdout.String(), stderr.String() }
}

func TestHookStep(t *testing.T) {
	t.Parallel()
	t.Run("loads an approved directory, and leaves it alone while nothing changes", func(t *testing.T) {
		t.Parallel()
		a, said := hookApp(t, "KEY")
		if err := a.hookStep(background(), "bash", ""); err != nil {
			t.Fatal(err)
		}
		script, _ := said()
		_, state, ok := strings.Cut(script, "export KZ_HOOK='")
		state, _, _ = strings.Cut(state, "'")
		if !strings.Contains(script, "export KEY='canary-value'\n") || !ok || !strings.HasSuffix(state, ":KEY") || strings.Contains(state, "canary") {
			t.Fatalf("it prints %q", script)
		}
		if err := a.hookStep(background(), "bash", state); err != nil {
			t.Fatal(err)
		}
		if again, _ := said(); again != script {
			t.Errorf("the second step prints %q", strings.TrimPrefix(again, script))
		}
	})
	t.Run("remembers whether what was there was exported", func(t *testing.T) {
		t.Parallel()
		for waits, environ := range map[string][]string{"__kz_own_KEY": nil, "__kz_was_KEY": {"KEY=before"}} {
			a, said := hookApp(t, "KEY")
			a.environ = append(a.environ, environ...)
			err := a.hookStep(background(), "bash", "")
			if script, _ := said(); err != nil || !strings.Contains(script, waits+`="$KEY"`) {
				t.Errorf("with %q: %v, it prints %q", environ, err, script)
			}
		}
	})
	t.Run("inside a session is silent and gives nothing", func(t *testing.T) {
		t.Parallel()
		a, said := hookApp(t, "KEY")
		_, before := said()
		a.inSession = func() bool { return true }
		err := a.hookStep(background(), "bash", "")
		if stdout, stderr := said(); err != nil || stdout != "" || stderr != before {
			t.Errorf("%v, it prints %q and says %q", err, stdout, stderr)
		}
	})
	t.Run("takes away what the last step set, before it fails", func(t *testing.T) {
		t.Parallel()
		a, said := hookApp(t, "KEY")
		dir, _ := a.cwd()
		if err := os.Remove(filepath.Join(dir, "../secrets.env")); err != nil {
			t.Fatal(err)
		}
		err := a.hookStep(background(), "bash", "other:KEY")
		if stdout, stderr := said(); err != nil || !strings.Contains(stdout, "else unset KEY; fi\n") || !strings.Contains(stdout, ":'\n") || !strings.Contains(stderr, "kz: error: ") {
			t.Errorf("%v, it prints %q and says %q", err, stdout, stderr)
		}
	})
	t.Run("never prints on a terminal", func(t *testing.T) {
		t.Parallel()
		a, said := hookApp(t, "KEY")
		a.isTerminal = func(any) bool { return true }
		err := a.hookStep(background(), "bash", "")
		if stdout, _ := said(); err != nil || stdout != "" {
			t.Errorf("%v, it prints %q", err, stdout)
		}
	})
}

func TestExportNamesWhatItGives(t *testing.T) {
	t.Parallel()
	a, said := hookApp(t, "KEY")
	a.environ = append(a.environ, "KZ_VALUES=OLD,$(touch x)")
	if err := a.export(background(), exportFlags{Shell: "bash"}); err != nil {
		t.Fatal(err)
	}
	if stdout, _ := said(); stdout != "export KEY='canary-value'\nexport KZ_VALUES='OLD,KEY'\n" {
		t.Errorf("it prints %q", stdout)
	}
}

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	t.Run("a terminal", func(t *testing.T) {
		t.Parallel()
		a, said := hookApp(t, "KEY")
		a.isTerminal = func(any) bool { return true }
		a.ui.Error(a.export(background(), exportFlags{Shell: "zsh"}))
		if stdout, stderr := said(); stdout != "" || !strings.Contains(stderr, "kz: error: the values would stand on the terminal\nkz: hint: have the shell read them: eval \"$(kz export)\"\n") {
			t.Errorf("it prints %q and says %q", stdout, stderr)
		}
	})
	t.Run("a shell that it does not know", func(t *testing.T) {
		t.Parallel()
		a, _ := hookApp(t, "KEY")
		if err := a.export(background(), exportFlags{Shell: "tcsh"}); exitCode(err) != exitMisuse {
			t.Error(err)
		}
	})
}
