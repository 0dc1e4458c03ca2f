package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kz/cmd/kz/config"
)

// announced has a session without secrets write for its clients, and says what it has written.
func announced(t *testing.T, f proxyFlags) (remove func(), said string, err error) {
	t.Helper()
	a, _, stderr := testApp("HOME="+t.TempDir(), "TMPDIR="+t.TempDir())
	s, err := a.newBlind(&config.Config{}, nil, blindOptions{Strict: true, Audit: filepath.Join(t.TempDir(), "audit.jsonl")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	remove, err = a.announce(t.Context(), s, f, "kz.internal:8080")
	a.ui.Error(err)
	return remove, stderr.String(), err
}

func below(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestWhatAProxyWritesForItsClients(t *testing.T) {
	t.Parallel()
	t.Run("goes with it", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		remove, _, err := announced(t, proxyFlags{CADir: filepath.Join(dir, "ca"), EnvFile: filepath.Join(dir, "env"), EnvFileMode: 0o640, ClientCADir: "/kz"})
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "env"))
		if names := below(t, dir); err != nil || info.Mode() != 0o640 || !slices.Contains(names, "ca.pem") || !slices.Contains(names, "bundle.pem") {
			t.Errorf("%s, %v, %v", names, info, err)
		}
		remove()
		if names := below(t, dir); len(names) > 0 {
			t.Errorf("left behind: %s", names)
		}
	})
	t.Run("is another proxy's by then, and stays", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		f := proxyFlags{CADir: filepath.Join(dir, "ca"), EnvFile: filepath.Join(dir, "env"), EnvFileMode: 0o600}
		first, _, err := announced(t, f)
		if err != nil {
			t.Fatal(err)
		}
		second, _, err := announced(t, f)
		if err != nil {
			t.Fatal(err)
		}
		first()
		if names := below(t, dir); !slices.Contains(names, "env") || !slices.Contains(names, "ca.pem") || !slices.Contains(names, "bundle.pem") {
			t.Errorf("what the second proxy's clients need is gone; left are %s", names)
		}
		second()
		if _, err := os.Stat(f.EnvFile); err == nil {
			t.Error("the second proxy's env file is left behind")
		}
	})
	t.Run("stays good with a session file, and so stays there", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		remove, _, err := announced(t, proxyFlags{CADir: filepath.Join(dir, "ca"), EnvFile: filepath.Join(dir, "env"), EnvFileMode: 0o600, SessionFile: "/somewhere"})
		if err != nil {
			t.Fatal(err)
		}
		before := below(t, dir)
		remove()
		if names := below(t, dir); !slices.Equal(names, before) || !slices.Contains(names, "env") {
			t.Errorf("of %s are left %s", before, names)
		}
	})
	t.Run("goes when not all of it can be written, which is said", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			flags proxyFlags
			hint  string
		}{
			{proxyFlags{CADir: file}, "kz: hint: --ca-dir must be a directory that kz may write to; clients mount it read-only\n"},
			{proxyFlags{CADir: filepath.Join(dir, "ca"), EnvFile: filepath.Join(dir, "none", "env"), EnvFileMode: 0o600},
				"kz: hint: --env-file must lie in a directory that kz may write to\n"},
		} {
			remove, said, err := announced(t, c.flags)
			if err == nil || remove != nil || !strings.Contains(said, c.hint) {
				t.Errorf("it says %s", said)
			}
			if names := below(t, dir); !slices.Equal(names, []string{"file"}) {
				t.Errorf("left behind: %s", names)
			}
		}
	})
}
