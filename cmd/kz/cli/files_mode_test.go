//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAFileHasItsModeBeforeItsName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private := filepath.Join(dir, "private")
	if err := os.WriteFile(private, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "public")
	if err := os.Symlink(private, path); err != nil {
		t.Fatal(err)
	}
	if err := writeFileMode(path, []byte("certificate"), 0o644); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]os.FileMode{path: 0o644, private: 0o600} {
		if info, err := os.Lstat(p); err != nil || info.Mode() != want {
			t.Errorf("%s is %v, %v, want %v", filepath.Base(p), info.Mode(), err, want)
		}
	}
}
