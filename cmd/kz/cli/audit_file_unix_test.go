//go:build unix

package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAnAuditIsAFile: a pipe would be waited for, and a device has no end.
func TestAnAuditIsAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	plant(t, filepath.Join(dir, "kz.toml"), "[backends.own]\ntype = \"env\"\n[secrets.KEY]\nbackend = \"own\"\nhosts = [\"api.test\"]\n")
	for _, file := range []string{pipe, dir, os.DevNull} {
		for _, argv := range [][]string{{"audit"}, {"audit", "--follow"}, {"audit", "--verify"}, {"explain", "KEY", "--config", filepath.Join(dir, "kz.toml"), "--audit"}} {
			t.Run(strings.Join(argv[:min(len(argv), 2)], " ")+" "+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				a, _, stderr := testApp("HOME=" + dir)
				err := execute(t.Context(), newRootCmd(a), append(argv, file))
				a.ui.Error(err)
				if exitCode(err) != exitFailure || !strings.Contains(stderr.String(), file+" is not a regular file") || strings.Count(stderr.String(), "kz: hint: ") != 1 {
					t.Errorf("%v: %s", err, stderr)
				}
			})
		}
	}
}

// TestAnAuditThatIsNotThere says which there is.
func TestAnAuditThatIsNotThere(t *testing.T) {
	t.Parallel()
	a, _, stderr := testApp("HOME=" + t.TempDir())
	a.ui.Error(execute(t.Context(), newRootCmd(a), []string{"audit", "nope.jsonl"}))
	if !strings.Contains(stderr.String(), "nope.jsonl: no such file") || !strings.Contains(stderr.String(), "`kz audit` without one") {
		t.Error(stderr)
	}
}

// TestAFollowedFileThatIsReplaced goes on with what has its name now, from its beginning.
func TestAFollowedFileThatIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	f := &followed{path: path}
	line := func(host string) string { return `{"session":"s","kind":"request","host":"` + host + `"}` + "\n" }
	for _, step := range []struct {
		name string
		do   func() error
		want string
	}{
		{"before it is there", func() error { return nil }, ""},
		{"its first lines", func() error { return os.WriteFile(path, []byte(line("one")+line("two")), 0o600) }, "one two"},
		{"nothing new", func() error { return nil }, ""},
		{"half a line", func() error { return appendTo(path, line("three")[:20]) }, ""},
		{"another in its place, after a rotation", func() error {
			return errors.Join(os.WriteFile(path+".new", []byte(line("four")+strings.Repeat(line("four"), 9)), 0o600), os.Rename(path+".new", path))
		}, "replaced" + strings.Repeat(" four", 10)},
		{"moved away", func() error { return os.Rename(path, path+".1") }, ""},
		{"a new one", func() error { return os.WriteFile(path, []byte(line("five")), 0o600) }, "replaced five"},
		{"cut to nothing", func() error { return os.Truncate(path, 0) }, "replaced"},
		{"and written again", func() error { return appendTo(path, line("six")) }, "six"},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		var got []string
		err := f.read(t.Context(), func(l auditLine) error { got = append(got, l.Host); return nil }, func() { got = append(got, "replaced") })
		if err != nil || strings.Join(got, " ") != step.want {
			t.Errorf("%s: %q, %v", step.name, got, err)
		}
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
