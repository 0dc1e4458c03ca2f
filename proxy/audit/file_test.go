package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func write(t testing.TB, f *File, n int) {
	t.Helper()
	for i := range n {
		if err := f.Write(numbered("s", i)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneKzWritesAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	f := open(t, path)
	write(t, f, 1)
	if _, err := OpenFile(path); err == nil || !strings.Contains(err.Error(), "another kz writes it") {
		t.Errorf("a second one: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, open(t, path), 1)
	whole(t, read(t, path), 2)
}

func TestAFileIsTakenOnlyAsKzLeavesOne(t *testing.T) {
	t.Parallel()
	good := session(t, filepath.Join(t.TempDir(), "a"), 3)
	for _, tt := range []struct {
		name    string
		content []byte
		mode    os.FileMode
		want    string
	}{
		{"one that others can read", good, 0o644, "others can read or write it"},
		{"one that the group can write", good, 0o620, "others can read or write it"},
		{"one with a changed line", bytes.Replace(good, []byte(`"/2"`), []byte(`"/3"`), 1), 0o600, "its chain is broken"},
		{"one without its beginning", good[bytes.IndexByte(good, '\n')+1:], 0o600, "its chain is broken"},
		{"any other file", []byte("export A=1\n"), 0o600, "it is not an audit of kz"},
		{"any other line", []byte("x"), 0o600, "it is not an audit of kz"},
	} {
		t.Run(tt.name+" is refused and left as it was", func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a")
			if err := os.WriteFile(path, tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenFile(path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if !bytes.Equal(read(t, path), tt.content) {
				t.Error("it was changed")
			}
		})
	}
	t.Run("a long one is looked at from its end", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a")
		f := open(t, path)
		e := numbered("s", 1)
		e.Path = strings.Repeat("x", 1<<20)
		for range 10 {
			if err := f.Write(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		whole(t, session(t, path, 1), 11)
	})
}

// meddle is what another program does to a file that kz has open.
var meddle = map[string]struct {
	do   func(path string) error
	seen bool // by Err, before a line is written
}{
	"it was removed": {os.Remove, true},
	"it was moved":   {func(path string) error { return os.Rename(path, path+".old") }, true},
	"it was cut":     {func(path string) error { return os.Truncate(path, 10) }, true},
	"it was emptied": {func(path string) error { return os.Truncate(path, 0) }, true},
	"it was appended to": {func(path string) error {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString("{}\n")
		return err
	}, false},
	"another was put in its place": {func(path string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path+".new", b, 0o600); err != nil {
			return err
		}
		return os.Rename(path+".new", path)
	}, true},
}

func TestAFileThatIsNotAsItWasLeftIsWrittenNoMore(t *testing.T) {
	t.Parallel()
	for name, m := range meddle {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a")
			f := open(t, path)
			write(t, f, 2)
			if err := m.do(path); err != nil {
				t.Fatal(err)
			}
			if seen := f.Err() != nil; seen != m.seen {
				t.Errorf("before a line: %v, want an error: %v", f.Err(), m.seen)
			}
			if err := f.Write(numbered("s", 3)); err == nil {
				t.Error("a line was written")
			}
			if f.Err() == nil || f.Write(numbered("s", 4)) == nil {
				t.Error("it went on")
			}
			if f.Close() == nil {
				t.Error("closing it says nothing")
			}
			if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(`"/3"`)) {
				t.Error("the line is there")
			}
		})
	}
	t.Run("what is done after the last line shows when it is closed", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a")
		f := open(t, path)
		write(t, f, 2)
		if err := meddle["it was appended to"].do(path); err != nil {
			t.Fatal(err)
		}
		if f.Close() == nil {
			t.Error("nothing was said")
		}
	})
}

func TestTheEndIsTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	f := open(t, path)
	if n, sum := f.End(); n != 0 || sum != "" {
		t.Errorf("%d %q of nothing", n, sum)
	}
	write(t, f, 3)
	n, sum := f.End()
	if r := whole(t, read(t, path), 3); n != 3 || r.Chain != sum {
		t.Errorf("told %d %s, found %+v", n, sum, r)
	}
}

// BenchmarkWrite is a whole line: formed, sealed and written.
func BenchmarkWrite(b *testing.B) {
	e := usual()
	for _, writers := range []struct {
		name string
		n    int
	}{{"1 writer", 1}, {"64 writers", 64}} {
		b.Run(writers.name, func(b *testing.B) {
			f := open(b, filepath.Join(b.TempDir(), "a"))
			b.ReportAllocs()
			var wg sync.WaitGroup
			for range writers.n {
				wg.Go(func() {
					for range b.N / writers.n {
						if f.Err() != nil || f.Write(e) != nil {
							b.Error("not written")
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
