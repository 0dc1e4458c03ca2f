//go:build unix

package config

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func TestAPipeInPlaceOfAFileDoesNotHang(t *testing.T) {
	t.Parallel()
	tr := newTree(t, nil)
	if err := syscall.Mkfifo(filepath.Join(tr.dir, ".keyzero.toml"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := tr.load()
	expect(t, err, ".keyzero.toml: this is not a regular file → put a file in its place, or take it away")
}

func TestTheUsersOwnFileMustBeTheUsers(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{"~/.config/keyzero/config.toml": oneSecret})
	file := filepath.Join(tr.home, ".config/keyzero/config.toml")
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := tr.load()
	expect(t, err, file+": anyone may write this file, so its backends cannot be trusted → read it, then `chmod 600` it")
	if err := os.Chmod(file, 0o664); err != nil {
		t.Fatal(err)
	}
	tr.mustLoad()
}

// stat is a file of the given owner.
type stat struct {
	os.FileInfo
	uid uint32
}

func (s stat) Sys() any { return &syscall.Stat_t{Uid: s.uid} }

func TestOwners(t *testing.T) {
	t.Parallel()
	me := uint32(os.Geteuid())
	got := []bool{ownedByUser(stat{uid: me}), ownedByUser(stat{uid: 0}), ownedByUser(stat{uid: me + 1})}
	if want := []bool{true, true, me == 0}; !slices.Equal(got, want) {
		t.Errorf("owners are accepted %v, want %v", got, want)
	}
}
