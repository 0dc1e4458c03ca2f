//go:build unix

package ca

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func keepable(t *testing.T) *Authority {
	t.Helper()
	return newTestAuthority(t, Options{Lifetime: KeptLifetime, PermittedHosts: []string{"api.example.com", "*.example.org", "10.0.0.1"}})
}

func keptIn(t *testing.T) (dir string, a *Authority) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "state", "kz", "ca")
	a = keepable(t)
	if err := Keep(dir, a); err != nil {
		t.Fatal(err)
	}
	return dir, a
}

func TestKeep(t *testing.T) {
	t.Parallel()
	t.Run("what was kept is loaded again, key and all", func(t *testing.T) {
		t.Parallel()
		dir, a := keptIn(t)
		b, err := LoadKept(dir)
		if err != nil {
			t.Fatal(err)
		}
		if b.Fingerprint() != a.Fingerprint() || !b.key.Equal(a.key) {
			t.Error("another authority came back")
		}
		c, err := KeptCertificate(dir)
		if err != nil || Fingerprint(c) != a.Fingerprint() {
			t.Errorf("certificate alone: %v", err)
		}
	})
	t.Run("directory and file are closed to others, whatever the umask", func(t *testing.T) {
		t.Parallel()
		dir, _ := keptIn(t)
		for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, keptFile): 0o600} {
			info, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != want {
				t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("%v left in the directory, %v", entries, err)
		}
	})
	t.Run("a second authority is refused and the first one stays", func(t *testing.T) {
		t.Parallel()
		dir, a := keptIn(t)
		if err := Keep(dir, keepable(t)); !errors.Is(err, ErrKept) {
			t.Errorf("got %v, want ErrKept", err)
		}
		if b, err := LoadKept(dir); err != nil || b.Fingerprint() != a.Fingerprint() {
			t.Errorf("the first one is gone: %v", err)
		}
	})
	t.Run("an unconstrained authority or one of more than 30 days is refused, and nothing is written", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "ca")
		for _, o := range []Options{
			{Lifetime: KeptLifetime},
			{Lifetime: KeptLifetime + time.Second, PermittedHosts: []string{"api.example.com"}},
		} {
			if err := Keep(dir, newTestAuthority(t, o)); err == nil {
				t.Errorf("kept %+v", o)
			}
		}
		if _, err := os.Lstat(dir); err == nil {
			t.Error("the directory was made")
		}
	})
	t.Run("a symbolic link in the file's place is neither followed nor replaced", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "ca")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(t.TempDir(), "elsewhere")
		if err := os.Symlink(target, filepath.Join(dir, keptFile)); err != nil {
			t.Fatal(err)
		}
		if err := Keep(dir, keepable(t)); !errors.Is(err, ErrUnsafeFile) {
			t.Errorf("got %v, want ErrUnsafeFile", err)
		}
		if _, err := os.Lstat(target); err == nil {
			t.Error("written through the link")
		}
		if _, err := LoadKept(dir); !errors.Is(err, ErrUnsafeFile) {
			t.Errorf("loading got %v, want ErrUnsafeFile", err)
		}
	})
	t.Run("a directory that is a symbolic link or open to others is refused", func(t *testing.T) {
		t.Parallel()
		base := t.TempDir()
		open, link := filepath.Join(base, "open"), filepath.Join(base, "link")
		if err := os.Mkdir(open, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(open, link); err != nil {
			t.Fatal(err)
		}
		if err := Keep(link, keepable(t)); !errors.Is(err, ErrUnsafeFile) {
			t.Errorf("link: %v", err)
		}
		if err := os.Chmod(open, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := Keep(open, keepable(t)); !errors.Is(err, ErrUnsafeFile) {
			t.Errorf("open: %v", err)
		}
		if entries, _ := os.ReadDir(open); len(entries) != 0 {
			t.Errorf("left behind: %v", entries)
		}
	})
}

func TestLoadKeptRefuses(t *testing.T) {
	t.Parallel()
	t.Run("nothing kept", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{dir, filepath.Join(dir, "none")} {
			if _, err := LoadKept(d); !errors.Is(err, ErrNotKept) {
				t.Errorf("got %v, want ErrNotKept", err)
			}
		}
	})
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601} {
		t.Run("a key file of mode "+mode.String(), func(t *testing.T) {
			t.Parallel()
			dir, _ := keptIn(t)
			if err := os.Chmod(filepath.Join(dir, keptFile), mode); err != nil {
				t.Fatal(err)
			}
			if _, err := LoadKept(dir); !errors.Is(err, ErrUnsafeFile) {
				t.Errorf("got %v, want ErrUnsafeFile", err)
			}
		})
	}
	t.Run("a directory open to others", func(t *testing.T) {
		t.Parallel()
		dir, _ := keptIn(t)
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKept(dir); !errors.Is(err, ErrUnsafeFile) {
			t.Errorf("got %v, want ErrUnsafeFile", err)
		}
	})
	t.Run("a symbolic link to a good file", func(t *testing.T) {
		t.Parallel()
		dir, _ := keptIn(t)
		file, moved := filepath.Join(dir, keptFile), filepath.Join(dir, "moved")
		if err := errors.Join(os.Rename(file, moved), os.Symlink(moved, file)); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKept(dir); !errors.Is(err, ErrUnsafeFile) {
			t.Errorf("got %v, want ErrUnsafeFile", err)
		}
	})
	t.Run("a named pipe, without waiting for its other end", func(t *testing.T) {
		t.Parallel()
		dir, _ := keptIn(t)
		file := filepath.Join(dir, keptFile)
		if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKept(dir); !errors.Is(err, ErrUnsafeFile) {
			t.Errorf("got %v, want ErrUnsafeFile", err)
		}
	})
	t.Run("a file of another user", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 { // only root can give a file away
			info, err := os.Stat("/")
			if err != nil {
				t.Fatal(err)
			}
			if err := checkOwn("/", info, true); !errors.Is(err, ErrUnsafeFile) || !strings.Contains(err.Error(), "another user") {
				t.Errorf("got %v, want ErrUnsafeFile", err)
			}
			return
		}
		dir, _ := keptIn(t)
		if err := os.Chown(filepath.Join(dir, keptFile), 65534, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKept(dir); !errors.Is(err, ErrUnsafeFile) {
			t.Errorf("got %v, want ErrUnsafeFile", err)
		}
	})
	t.Run("an authority without constraints, put there by hand", func(t *testing.T) {
		t.Parallel()
		dir, _ := keptIn(t)
		free := newTestAuthority(t, Options{Lifetime: time.Hour})
		data := append(free.CertPEM(), mustKeyPEM(t, free)...)
		if err := os.WriteFile(filepath.Join(dir, keptFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKept(dir); err == nil || !strings.Contains(err.Error(), "not constrained") {
			t.Errorf("got %v", err)
		}
	})
}

func TestKeptCertificateIsReadAfterItsEnd(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	past := func() time.Time { return time.Now().Add(-48 * time.Hour) }
	a := newTestAuthority(t, Options{Lifetime: time.Hour, PermittedHosts: []string{"api.example.com"}, Now: past})
	if err := Keep(dir, a); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKept(dir); !errors.Is(err, ErrExpired) {
		t.Errorf("LoadKept: %v, want ErrExpired", err)
	}
	if c, err := KeptCertificate(dir); err != nil || !bytes.Equal(c.Raw, a.cert.Raw) {
		t.Errorf("KeptCertificate: %v", err)
	}
}

func TestRemoveKept(t *testing.T) {
	t.Parallel()
	t.Run("key, interrupted draft and directory go, twice without complaint", func(t *testing.T) {
		t.Parallel()
		dir, _ := keptIn(t)
		if err := os.WriteFile(filepath.Join(dir, keptDraft+"123"), []byte("half a key"), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := RemoveKept(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the directory is still there: %v", err)
			}
		}
	})
	t.Run("what is not ours stays", func(t *testing.T) {
		t.Parallel()
		dir, _ := keptIn(t)
		other := filepath.Join(dir, "notes.txt")
		if err := os.WriteFile(other, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := RemoveKept(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(other); err != nil {
			t.Error(err)
		}
		if _, err := LoadKept(dir); !errors.Is(err, ErrNotKept) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a symbolic link in the directory's place is not followed", func(t *testing.T) {
		t.Parallel()
		dir, _ := keptIn(t)
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(dir, link); err != nil {
			t.Fatal(err)
		}
		if err := RemoveKept(link); !errors.Is(err, ErrUnsafeFile) {
			t.Errorf("got %v", err)
		}
		if _, err := LoadKept(dir); err != nil {
			t.Errorf("the authority behind the link: %v", err)
		}
	})
}
