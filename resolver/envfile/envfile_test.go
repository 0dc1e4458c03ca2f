//go:build unix

package envfile_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/envfile"
	"kz/resolver/resolvertest"
)

func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "secrets.env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) *envfile.Store {
	t.Helper()
	s, err := envfile.New(envfile.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	resolvertest.Shown(t, "env_file", "", "files")
	resolvertest.Run(t, func(t *testing.T) resolvertest.Harness {
		path := write(t, "")
		var mu sync.Mutex
		return resolvertest.Harness{
			Resolver: open(t, path),
			Absent:   resolver.FieldMissing,
			Put: func(t *testing.T, id, value string) {
				mu.Lock()
				defer mu.Unlock()
				f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.WriteString("export " + id + " = " + quoteDouble(value) + " # made by a test\n"); err != nil {
					t.Fatal(err)
				}
			},
			Silent: func(t *testing.T, limit time.Duration) resolver.Resolver {
				pipe := filepath.Join(t.TempDir(), "pipe")
				if err := syscall.Mkfifo(pipe, 0o600); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { // let the readers end
					if w, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
						w.Close()
					}
				})
				s, err := envfile.New(envfile.Options{Path: pipe, Timeout: limit})
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
		}
	})
}

func TestReferences(t *testing.T) {
	t.Parallel()
	s := open(t, write(t, `A=plain`+"\n"+`B={"x":"one","A":"inner"}`+"\n"))
	for name, c := range map[string]struct {
		ref  resolver.Ref
		want string
		kind resolver.Kind
	}{
		"the field is the key":                      {resolver.Ref{Field: "A"}, "plain", ""},
		"the id is the key":                         {resolver.Ref{ID: "A"}, "plain", ""},
		"with both the field is one of the value's": {resolver.Ref{ID: "B", Field: "A"}, "inner", ""},
		"a missing one":                             {resolver.Ref{Field: "C"}, "", resolver.FieldMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := s.Resolve(t.Context(), c.ref)
			if r.Secret.Reveal() != c.want || resolver.KindOf(err) != c.kind {
				t.Error(err)
			}
			if err != nil && !strings.Contains(err.Error(), "its keys are A, B") {
				t.Error(err)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	get := func(t *testing.T, path string) *resolver.Error {
		t.Helper()
		_, err := open(t, path).Resolve(t.Context(), resolver.Ref{Field: "A"})
		var e *resolver.Error
		if !errors.As(err, &e) || e.Hint() == "" {
			t.Fatalf("%#v", err)
		}
		resolvertest.NoLeak(t, err, "canary")
		if other := open(t, path).Check(t.Context()); resolver.KindOf(other) != e.Kind {
			t.Error("Check says", other)
		}
		return e
	}
	t.Run("that are not there", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "no.env")
		if e := get(t, path); e.Kind != resolver.NotFound || !strings.Contains(e.Error(), path) {
			t.Error(e)
		}
	})
	t.Run("that are directories", func(t *testing.T) {
		t.Parallel()
		if e := get(t, t.TempDir()); e.Kind != resolver.InvalidReference || !strings.Contains(e.Error(), "directory") {
			t.Error(e)
		}
	})
	t.Run("that are too long", func(t *testing.T) {
		t.Parallel()
		if e := get(t, write(t, "A=canary"+strings.Repeat("x", 4<<20))); e.Kind != resolver.InvalidReference || !strings.Contains(e.Error(), "4 MiB") {
			t.Error(e)
		}
	})
	t.Run("that are not dotenv files", func(t *testing.T) {
		t.Parallel()
		if e := get(t, write(t, "A=1\nB canary\n")); e.Kind != resolver.InvalidReference || !strings.Contains(e.Error(), "line 2: = is expected") {
			t.Error(e)
		}
	})
	t.Run("that are no file's name", func(t *testing.T) {
		t.Parallel()
		if e := get(t, "a\x00b"); e.Kind != resolver.Unavailable && e.Kind != resolver.InvalidReference {
			t.Error(e)
		}
	})
	t.Run("and no path at all", func(t *testing.T) {
		t.Parallel()
		if _, err := envfile.New(envfile.Options{}); err == nil {
			t.Error("New takes it")
		}
	})
}

func TestABatchReadsTheFileOnce(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go os.WriteFile(pipe, []byte("A=1\nB=2\n"), 0)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	outs := open(t, pipe).ResolveBatch(ctx, []resolver.Ref{{ID: "A"}, {ID: "B"}})
	for i, want := range []string{"1", "2"} {
		if outs[i].Err != nil || outs[i].Result.Secret.Reveal() != want {
			t.Error(outs[i].Err)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	path := write(t, "A=1\n")
	s := open(t, path)
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o644: true, 0o620: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		w := s.Warnings()
		if (len(w) > 0) != warned {
			t.Errorf("%o: %q", mode, w)
		}
		if warned && !strings.Contains(w[0], "chmod 600 "+path) {
			t.Error(w)
		}
	}
	if w := open(t, path+"x").Warnings(); w != nil {
		t.Error(w)
	}
	var _ resolver.Warner = s
}
