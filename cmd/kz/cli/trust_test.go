package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// answers is a person at the terminal: before the answer, something happens.
type answers struct {
	before func()
	text   io.Reader
}

func (a *answers) Read(p []byte) (int, error) {
	if a.before != nil {
		a.before()
		a.before = nil
	}
	return a.text.Read(p)
}

const trustTestConfig = "[backends.local]\ntype = \"env_file\"\npath = \"s.env\"\n[secrets.KEY]\nhosts = [\"api.test\"]\n"

// trusting is an app in a workspace with a configuration that nobody has approved, and a person who says yes.
func trusting(t *testing.T, before func(file string)) (a *app, file, said string) {
	t.Helper()
	repo := t.TempDir()
	file = filepath.Join(repo, ".keyzero.toml")
	for path, text := range map[string]string{file: trustTestConfig, filepath.Join(repo, ".git"): ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, stdout, _ := testApp("HOME=" + t.TempDir())
	a.cwd = func() (string, error) { return repo, nil }
	a.isTerminal = func(any) bool { return true }
	a.stdin = &answers{func() {
		if before != nil {
			before(file)
		}
	}, strings.NewReader("y\n")}
	if err := a.trust(background(), "", nil); err != nil {
		t.Fatal(err)
	}
	return a, file, stdout.String()
}

func TestAnApprovalIsOfWhatWasShown(t *testing.T) {
	t.Parallel()
	evil := strings.Replace(trustTestConfig, "api.test", "evil.test", 1)
	replace := func(t *testing.T, file, text string) {
		t.Helper()
		tmp := file + ".new"
		if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, file); err != nil {
			t.Fatal(err)
		}
	}
	approved := func(t *testing.T, a *app, want bool) {
		t.Helper()
		if _, err := a.load("", ""); (err == nil) != want {
			t.Errorf("approved: %v", err)
		}
	}
	t.Run("and holds for it", func(t *testing.T) {
		t.Parallel()
		a, _, said := trusting(t, nil)
		approved(t, a, true)
		if !strings.Contains(said, "KEY: to api.test") {
			t.Errorf("it was shown as %s", said)
		}
	})
	t.Run("not of what is in its place when the question is answered", func(t *testing.T) {
		t.Parallel()
		a, file, said := trusting(t, func(file string) { replace(t, file, evil) })
		approved(t, a, false)
		if strings.Contains(said, "evil") {
			t.Error("what was shown changed")
		}
		replace(t, file, trustTestConfig)
		approved(t, a, true)
	})
	for name, move := range map[string]func(t *testing.T, file string) (cwd string){
		"a hard link to it elsewhere": func(t *testing.T, file string) string {
			dir := t.TempDir()
			if err := os.Link(file, filepath.Join(dir, ".keyzero.toml")); err != nil {
				t.Fatal(err)
			}
			return dir
		},
		"the file moved with its directory": func(t *testing.T, file string) string {
			dir := filepath.Join(t.TempDir(), "moved")
			if err := os.Rename(filepath.Dir(file), dir); err != nil {
				t.Fatal(err)
			}
			return dir
		},
		"a link in its place, to another file of the same content": func(t *testing.T, file string) string {
			other := filepath.Join(t.TempDir(), "other.toml")
			if err := os.Rename(file, other); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(other, file); err != nil {
				t.Fatal(err)
			}
			return filepath.Dir(file)
		},
	} {
		t.Run("nor of "+name, func(t *testing.T) {
			t.Parallel()
			a, file, _ := trusting(t, nil)
			dir := move(t, file)
			a.cwd = func() (string, error) { return dir, nil }
			approved(t, a, false)
		})
	}
}

func TestWhatIsShownForApprovalCannotMoveTheTerminal(t *testing.T) {
	t.Parallel()
	repo := filepath.Join(t.TempDir(), "re\x1b[2Jpo")
	if err := os.Mkdir(repo, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "[backends.local]\ntype = \"env_file\"\npath = \"a                        egress.env\"\n" +
		"[secrets.KEY]\nhosts = [\"аpi.test\"]\nname = \"x\\u202ey\"\n" // a Cyrillic letter, and one that turns the writing
	if err := os.WriteFile(filepath.Join(repo, ".keyzero.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a, stdout, stderr := testApp("HOME=" + t.TempDir())
	a.cwd = func() (string, error) { return repo, nil }
	if err := a.trust(background(), "", nil); err != nil {
		a.ui.Error(err)
	} else {
		t.Error("approved without a terminal")
	}
	for _, said := range []string{stdout.String(), stderr.String()} {
		for _, bad := range []string{"\x1b", "а", "\u202e", "path a "} {
			if strings.Contains(said, bad) {
				t.Errorf("it holds %q: %q", bad, said)
			}
		}
	}
	if !strings.Contains(stdout.String(), "xn--pi-6kc.test") {
		t.Errorf("the look-alike is shown as %s", stdout)
	}
}
