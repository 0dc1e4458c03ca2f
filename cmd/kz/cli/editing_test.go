//go:build unix

package cli

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kz/cmd/kz/config"
)

// TestEditsAtOneMoment: each of them is in the file, with what was there before, and the file keeps its mode.
func TestEditsAtOneMoment(t *testing.T) {
	t.Parallel()
	const head = "# keep this comment\n[backends.unused]\ntype = \"env\"\n"
	w := newInitWorld(t, map[string]string{".keyzero.toml": head})
	if err := os.Chmod(w.file(), 0o640); err != nil {
		t.Fatal(err)
	}
	var want []string
	var all sync.WaitGroup
	edit := func(args ...string) {
		all.Go(func() {
			if code, _, stderr := w.kz(t, args...); code != 0 {
				t.Errorf("kz %s: exit code %d: %s", strings.Join(args, " "), code, stderr)
			}
		})
	}
	for i := range 5 {
		want = append(want, fmt.Sprintf("KEY_%d", i))
		edit("add", want[i], "--backend", "local", "--hosts", "api.example.com")
	}
	for i := range 3 {
		edit("backends", "add", fmt.Sprintf("b%d", i), "--type", "env")
	}
	edit("backends", "rm", "unused")
	all.Wait()
	cfg := w.config(t)
	if got := secretNames(cfg.Secrets); !slices.Equal(slices.Sorted(slices.Values(got)), want) || len(cfg.Backends) != 4 {
		t.Errorf("the file has the secrets %v and %d backends", got, len(cfg.Backends))
	}
	if text, _ := os.ReadFile(w.file()); !strings.HasPrefix(string(text), "# keep this comment\n") || mode(t, w.file()) != 0o640 {
		t.Errorf("the file is of mode %v: %s", mode(t, w.file()), text)
	}
	if entries, err := os.ReadDir(w.dir); err != nil || len(entries) != 1 {
		t.Errorf("the workspace has %v", entries)
	}
}

// TestEveryEditWaitsForTheOther: for as long as another kz may need, and then it writes nothing.
func TestEveryEditWaitsForTheOther(t *testing.T) {
	t.Parallel()
	const text = "[backends.unused]\ntype = \"env\"\n"
	for _, c := range []struct {
		args   []string
		before string
	}{
		{[]string{"init"}, ""},
		{[]string{"add", "KEY"}, ""},
		{[]string{"add", "KEY", "--backend", "local"}, text},
		{[]string{"backends", "add", "b", "--type", "env"}, text},
		{[]string{"backends", "rm", "unused"}, text},
		{[]string{"trust", "--yes", fmt.Sprintf("%x", sha256.Sum256([]byte(text)))}, text},
	} {
		t.Run("kz "+c.args[0]+" "+fmt.Sprint(len(c.args)), func(t *testing.T) {
			t.Parallel()
			w := newInitWorld(t, nil)
			if c.before != "" {
				plant(t, w.file(), c.before)
			}
			synctest.Test(t, func(t *testing.T) {
				a, _, _ := testApp(w.env...)
				a.cwd = func() (string, error) { return w.dir, nil }
				done, err := a.editing(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer done()
				began := time.Now()
				if code, _, stderr := w.kz(t, c.args...); code != exitFailure || !strings.Contains(stderr, "kz: error: another kz has been changing files") || time.Since(began) != editPatience {
					t.Errorf("exit code %d after %s: %s", code, time.Since(began), stderr)
				}
			})
			if after, _ := os.ReadFile(w.file()); string(after) != c.before {
				t.Errorf("the file is now %s", after)
			}
			if _, err := os.Stat(filepath.Join(w.home, ".local", "state", "kz", "trust.json")); err == nil {
				t.Error("an approval was written")
			}
		})
	}
}

// TestApprovalsAtOneMoment: each of them is kept.
func TestApprovalsAtOneMoment(t *testing.T) {
	t.Parallel()
	first := newInitWorld(t, nil)
	worlds := []initWorld{first}
	for range 4 {
		worlds = append(worlds, newInitWorldLike(t, first))
	}
	var all sync.WaitGroup
	for i, w := range worlds {
		plant(t, w.file(), fmt.Sprintf("# %d\n[backends.b]\ntype = \"env\"\n", i))
		hash := w.config(t).Sources[0].SHA256
		all.Go(func() {
			if code, _, stderr := w.kz(t, "trust", "--yes", hash); code != 0 {
				t.Errorf("exit code %d: %s", code, stderr)
			}
		})
	}
	all.Wait()
	store, err := config.OpenTrust(filepath.Join(first.home, ".local", "state", "kz", "trust.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range worlds {
		if left := w.config(t).Untrusted(store); len(left) != 0 {
			t.Errorf("the approval of file %d is lost", i)
		}
	}
}

func TestEditing(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	a, _, _ := testApp("HOME=" + home)
	a.cwd = func() (string, error) { return t.TempDir(), nil }
	t.Run("ends after 10 s when another kz does not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			done, err := a.editing(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if _, err := a.editing(t.Context()); err == nil || !strings.Contains(err.Error(), "another kz has been changing files for 10s") || time.Since(began) != editPatience {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
			ctx, stop := context.WithCancelCause(t.Context())
			stop(&interruption{})
			if _, err := a.editing(ctx); err == nil || err != context.Cause(ctx) { //nolint:errorlint // that very one
				t.Errorf("interrupted: %v", err)
			}
			done()
			if done, err = a.editing(t.Context()); err != nil {
				t.Errorf("once it is done: %v", err)
			} else {
				done()
			}
		})
	})
	t.Run("goes on without a lock where there is no place for it", func(t *testing.T) {
		inside := newInitWorld(t, nil, "XDG_STATE_HOME=@here@")
		inside.env[1] = "XDG_STATE_HOME=" + filepath.Join(inside.dir, "state")
		for name, environ := range map[string][]string{"no home": nil, "state in the workspace": inside.env} {
			a, _, _ := testApp(environ...)
			a.cwd = func() (string, error) { return inside.dir, nil }
			for range 2 {
				if _, err := a.editing(t.Context()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}
