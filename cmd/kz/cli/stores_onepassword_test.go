//go:build unix

package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"kz/resolver"
)

func TestTheProgramOfAStoreIsNeverOneOfTheWorkspace(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	program := func(dir string, mode os.FileMode) string {
		path := filepath.Join(top, dir, "op")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inside, outside := program("work/bin", 0o700), program("bin", 0o700)
	program("plain", 0o600)
	if err := os.MkdirAll(filepath.Join(top, "work/.git"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(top, "links/op")
	if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(inside, link); err != nil {
		t.Fatal(err)
	}
	find := func(path string, dirs ...string) (string, error) {
		list := ""
		for _, dir := range dirs {
			list += dir + ":"
		}
		a, _, _ := testApp("HOME="+top, "PATH="+list)
		a.cwd = func() (string, error) { return filepath.Join(top, "work"), nil }
		return a.trustedProgram("op", path)
	}
	for name, c := range map[string]struct {
		path string
		dirs []string
		want string
		kind resolver.Kind
	}{
		"the first on PATH that is outside, absolute and executable": {"", []string{"", ".", "bin", filepath.Dir(inside), filepath.Dir(link), filepath.Join(top, "plain"), filepath.Dir(outside)}, outside, ""},
		"none on PATH":                       {"", []string{filepath.Dir(inside)}, "", resolver.Unavailable},
		"one that is named":                  {outside, nil, outside, ""},
		"one that is named in the workspace": {inside, nil, "", resolver.AccessDenied},
		"one that is named and leads there":  {link, nil, "", resolver.AccessDenied},
	} {
		got, err := find(c.path, c.dirs...)
		if got != c.want || resolver.KindOf(err) != c.kind {
			t.Errorf("%s: %q %v", name, got, err)
		}
		var e *resolver.Error
		if errors.As(err, &e) && e.Hint() == "" {
			t.Errorf("%s: no hint", name)
		}
	}
}
