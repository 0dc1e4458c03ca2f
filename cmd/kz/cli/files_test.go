//go:build unix

package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

func TestWriteFileAtomic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	for _, text := range []string{"first", "second, longer"} {
		if err := writeFileAtomic(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text || mode(t, path) != 0o600 {
			t.Errorf("got %q, %v, mode %v", got, err, mode(t, path))
		}
	}

	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("untouched"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	if err := writeFileAtomic(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(victim); string(got) != "untouched" || mode(t, link) != 0o600 {
		t.Errorf("a link was followed: %q", got)
	}

	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{filepath.Join(dir, "none", "out"), filepath.Join(dir, "d")} {
		if err := writeFileAtomic(bad, []byte("x")); err == nil || !strings.Contains(err.Error(), "writing "+bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("left over: %v", entries)
	}
}

func TestStateDir(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	xdg := t.TempDir()
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"by XDG", []string{"HOME=" + home, "XDG_STATE_HOME=" + xdg}, xdg + "/kz"},
		{"by HOME", []string{"HOME=" + home}, home + "/.local/state/kz"},
		{"a relative XDG directory is ignored", []string{"HOME=" + home, "XDG_STATE_HOME=state"}, home + "/.local/state/kz"},
		{"nowhere", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _, _ := testApp(tt.env...)
			got, err := a.stateDir()
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("got %q, %v", got, err)
			}
			if got != "" && mode(t, got).Perm() != 0o700 {
				t.Errorf("mode %v", mode(t, got))
			}
		})
	}
	if err := os.Chmod(xdg+"/kz", 0o777); err != nil {
		t.Fatal(err)
	}
	a, _, _ := testApp("XDG_STATE_HOME=" + xdg)
	if _, err := a.stateDir(); err == nil || !strings.Contains(err.Error(), "can be written by others") {
		t.Errorf("a directory open to others: %v", err)
	}
}

func TestRunDir(t *testing.T) {
	t.Parallel()
	runtime, tmp := t.TempDir(), t.TempDir()
	if err := os.Chmod(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	a, _, _ := testApp("XDG_RUNTIME_DIR="+runtime, "TMPDIR="+tmp)
	d, err := a.newRunDir()
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(d.path) != runtime || mode(t, d.path).Perm() != 0o700 {
		t.Errorf("%s, mode %v", d.path, mode(t, d.path))
	}
	path, err := d.Write("ca.pem", []byte("public"))
	if err != nil || path != filepath.Join(d.path, "ca.pem") || mode(t, path) != 0o644 {
		t.Errorf("%s, %v", path, err)
	}
	for _, name := range []string{"ca.pem", "../escaped", "/escaped"} {
		if _, err := d.Write(name, nil); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(d.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left over: %v", err)
	}

	if err := os.Chmod(runtime, 0o755); err != nil {
		t.Fatal(err)
	}
	if d, err = a.newRunDir(); err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(d.path) != tmp {
		t.Errorf("%s, where others may look", d.path)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestSweepRemovesWhatKilledRunsLeft(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	open := func() *runDir {
		d, err := openRunDir(base)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write("ca.pem", nil); err != nil {
			t.Fatal(err)
		}
		return d
	}
	running, killed, lockless := open(), open(), open()
	_ = killed.lock.Close() // as the kernel does
	_ = lockless.lock.Close()
	_ = os.Remove(filepath.Join(lockless.path, "lock"))
	target := t.TempDir()
	link := filepath.Join(base, runDirPrefix+"link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(base, "other")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	exists := func(path string) bool { _, err := os.Lstat(path); return err == nil }

	sweepRunDirs(base, time.Now())
	if !exists(killed.path) || !exists(lockless.path) {
		t.Error("a directory that may belong to a run about to start was removed")
	}
	sweepRunDirs(base, time.Now().Add(time.Hour))
	if exists(killed.path) || exists(lockless.path) {
		t.Error("the directories of dead runs are there")
	}
	if !exists(running.path) || !exists(link) || !exists(target) || !exists(other) {
		t.Error("something else was removed")
	}
	if err := running.Close(); err != nil {
		t.Error(err)
	}
}

func TestRunDirHasAPathThatEveryClientCanBeTold(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{`a"b`, "a$b", "a:b", "a\nb", "a b'c;d#é"} {
		tmp := filepath.Join(t.TempDir(), odd)
		if err := os.Mkdir(tmp, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, variable := range []string{"TMPDIR", "XDG_RUNTIME_DIR"} {
			a, _, _ := testApp(variable + "=" + tmp)
			d, err := a.newRunDir()
			if err != nil {
				t.Fatal(err)
			}
			if there := filepath.Dir(d.path) == tmp; there != (odd == "a b'c;d#é") {
				t.Errorf("%s=%q: %q", variable, tmp, d.path)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
