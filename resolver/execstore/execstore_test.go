//go:build unix

package execstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/execstore"
	"kz/resolver/resolvertest"
	"kz/test/bed"
)

const canary = resolvertest.Canary

func open(t *testing.T, o execstore.Options) *execstore.Store {
	t.Helper()
	s, err := execstore.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// script makes a program of the lines of a shell script.
func script(t *testing.T, lines ...string) (path string) {
	t.Helper()
	return file(t, filepath.Join(t.TempDir(), "get"), 0o755, append([]string{"#!/bin/sh"}, lines...)...)
}

func file(t *testing.T, path string, mode os.FileMode, lines ...string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

func get(t *testing.T, s *execstore.Store, id string) string {
	t.Helper()
	r, err := s.Resolve(t.Context(), resolver.Ref{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return r.Secret.Reveal()
}

func fails(t *testing.T, s *execstore.Store, kind resolver.Kind, text string) *resolver.Error {
	t.Helper()
	r, err := s.Resolve(t.Context(), resolver.Ref{ID: "id"})
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Error(), text) || e.Hint() == "" || !r.Secret.IsZero() {
		t.Fatalf("%v is not %s: …%s… with a hint", err, kind, text)
	}
	resolvertest.NoLeak(t, err, canary)
	return e
}

func TestConformance(t *testing.T) {
	t.Parallel()
	bed.Program(t, "pass")
	resolvertest.Shown(t, "exec", "", "Debian's pass with a key of gpg, and scripts")
	resolvertest.Run(t, func(t *testing.T) resolvertest.Harness {
		dir := t.TempDir()
		return resolvertest.Harness{
			Resolver: open(t, execstore.Options{Command: script(t, `cat "`+dir+`/$1"`), Args: []string{"{id}"}}),
			Absent:   resolver.Unavailable, // what an exit code means is not known
			Put: func(t *testing.T, id, value string) {
				if err := os.WriteFile(filepath.Join(dir, id), []byte(value+"\n"), 0o600); err != nil {
					t.Error(err)
				}
			},
			Silent: func(t *testing.T, limit time.Duration) resolver.Resolver {
				return open(t, execstore.Options{Command: script(t, "sleep 1000"), Timeout: limit})
			},
		}
	})
}

func TestPass(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "kz") //nolint:usetesting // short: a socket's path has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"PATH": bed.Path, "HOME": dir, "GNUPGHOME": dir + "/g", "PASSWORD_STORE_DIR": dir + "/store"}
	run := func(stdin string, argv ...string) {
		t.Helper()
		cmd := exec.Command(bed.Program(t, argv[0]), argv[1:]...)
		for name, value := range vars {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", argv, err, out)
		}
	}
	t.Cleanup(func() {
		cmd := exec.Command("gpgconf", "--homedir", vars["GNUPGHOME"], "--kill", "all")
		_ = cmd.Run()
		_ = os.RemoveAll(dir)
	})
	if err := os.Mkdir(vars["GNUPGHOME"], 0o700); err != nil {
		t.Fatal(err)
	}
	run("", "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "kz test <kz@example.com>", "default", "default", "never")
	run("", "pass", "init", "kz@example.com")
	run(canary+"\n", "pass", "insert", "-m", "openai")
	run(`{"api_key":"`+canary+`-k"}`+"\n", "pass", "insert", "-m", "prod/stripe key")

	s := open(t, execstore.Options{Command: bed.Program(t, "pass"), Args: []string{"show", "{id}"}, KeepEnv: []string{"GNUPGHOME", "PASSWORD_STORE_DIR"},
		Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }})
	outs := s.ResolveBatch(t.Context(), []resolver.Ref{{ID: "openai"}, {ID: "prod/stripe key", Field: "api_key"}, {ID: "gone"}})
	if outs[0].Result.Secret.Reveal() != canary || outs[1].Result.Secret.Reveal() != canary+"-k" {
		t.Errorf("%v %v", outs[0].Err, outs[1].Err)
	}
	if e := outs[2].Err; resolver.KindOf(e) != resolver.Unavailable || !strings.Contains(e.Error(), "exit code 1") {
		t.Error(e)
	}
}

func TestWhatACommandGets(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"PATH": "/usr/bin:bin:/project/tools:/bin:", "HOME": "/home/x", "USER": "x", "LANG": "C", "LC_ALL": "C", "TMPDIR": "/tmp",
		"MINE": "kept", "AWS_SECRET_ACCESS_KEY": canary, "VAULT_TOKEN": canary, "LD_PRELOAD": "/x.so", "BASH_ENV": "/x", "KZ_SESSION": "1"}
	lookup := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	t.Run("a few variables, and those that are kept", func(t *testing.T) {
		t.Parallel()
		s := open(t, execstore.Options{Command: bed.Program(t, "env"), Lookup: lookup, KeepEnv: []string{"MINE", "UNSET"}, Workspaces: []string{"/project"}})
		if got, want := get(t, s, "id"), "PATH=/usr/bin:/bin\nHOME=/home/x\nUSER=x\nLANG=C\nLC_ALL=C\nTMPDIR=/tmp\nMINE=kept"; got != want {
			t.Errorf("the environment is\n%s\nwant\n%s", got, want)
		}
	})
	t.Run("nothing where nothing is set", func(t *testing.T) {
		t.Parallel()
		s := open(t, execstore.Options{Command: bed.Program(t, "env"), Lookup: func(string) (string, bool) { return "", false }})
		if e := fails(t, s, resolver.Unavailable, "printed nothing"); !strings.Contains(e.Hint(), "env") {
			t.Error(e.Hint())
		}
	})
	t.Run("its arguments, word by word and past no shell", func(t *testing.T) {
		t.Parallel()
		s := open(t, execstore.Options{Command: script(t, `for a in "$@"; do echo "<$a>"; done`), Args: []string{"get", "--name={id}", "{id}{id}", "$HOME", ""}})
		id := "a b; touch /x `id` $(id) *"
		if got, want := get(t, s, id), "<get>\n<--name="+id+">\n<"+id+id+">\n<$HOME>\n<>"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
	t.Run("no input, no terminal, and / as its directory", func(t *testing.T) {
		t.Parallel()
		s := open(t, execstore.Options{Command: script(t, `pwd; wc -c; if (: </dev/tty) 2>/dev/null; then echo a terminal; else echo none; fi`)})
		if got := get(t, s, "id"); got != "/\n0\nnone" {
			t.Errorf("%q", got)
		}
	})
	t.Run("its own name", func(t *testing.T) {
		t.Parallel()
		link := filepath.Join(t.TempDir(), "other-name")
		if err := os.Symlink(bed.Program(t, "sh"), link); err != nil {
			t.Fatal(err)
		}
		if got := get(t, open(t, execstore.Options{Command: link, Args: []string{"-c", "echo $0"}}), "id"); got != link {
			t.Errorf("%q", got)
		}
	})
}

func TestWhatACommandPrints(t *testing.T) {
	t.Parallel()
	mib := strings.Repeat("x", 1<<20)
	big := file(t, filepath.Join(t.TempDir(), "big"), 0o600, mib)
	for name, c := range map[string]struct{ lines, want string }{
		"a line":                       {`echo value`, "value"},
		"no line end":                  {`printf value`, "value"},
		"two line ends: one goes":      {`printf 'value\n\n'`, "value\n"},
		"a line end of two bytes":      {`printf 'value\r\n'`, "value"},
		"a return alone stays":         {`printf 'value\r'`, "value\r"},
		"any bytes":                    {`printf '\001\377 \n\200'`, "\x01\xff \n\x80"},
		"1 MiB and a line end":         {"cat " + big, mib},
		"what is beside it is no part": {`echo value; echo ` + canary + ` >&2`, "value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := get(t, open(t, execstore.Options{Command: script(t, c.lines)}), "id"); got != c.want {
				t.Errorf("%.40q (%d bytes), want %.40q", got, len(got), c.want)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines, text string
	}{
		"an exit code":                {`echo ` + canary + `; echo ` + canary + ` >&2; exit 3`, "ended with exit code 3"},
		"a signal":                    {`echo ` + canary + `; kill -9 $$`, "ended by a signal"},
		"nothing":                     {`echo ` + canary + ` >&2`, "printed nothing"},
		"a line end and nothing else": {`echo`, "printed nothing"},
		"too much":                    {`yes ` + canary, "more than 1 MiB"},
		"a byte too much":             {`head -c 1048579 /dev/zero`, "more than 1 MiB"},
		"a process that stays":        {`sleep 20 & echo ` + canary, "left something running"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			s := open(t, execstore.Options{Command: script(t, c.lines), Args: []string{"{id}", "it's"}})
			e := fails(t, s, resolver.Unavailable, c.text)
			if strings.Contains(e.Hint(), "terminal") && !strings.HasSuffix(e.Hint(), `/get id 'it'\''s'`) {
				t.Error(e.Hint())
			}
			if d := time.Since(began); d > 15*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
	t.Run("a file that is no program", func(t *testing.T) {
		t.Parallel()
		path := file(t, filepath.Join(t.TempDir(), "get"), 0o755, "echo "+canary)
		fails(t, open(t, execstore.Options{Command: path}), resolver.InvalidReference, "cannot be executed")
	})
	t.Run("an ID that cannot be an argument", func(t *testing.T) {
		t.Parallel()
		_, err := open(t, execstore.Options{Command: script(t, "echo x")}).Resolve(t.Context(), resolver.Ref{ID: "a\x00b"})
		if resolver.KindOf(err) != resolver.InvalidReference {
			t.Error(err)
		}
	})
}

func TestACommandThatIsGivenUpOnIsKilledWithAllItStarted(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]time.Duration{"by its time": 5 * time.Second, "by the caller": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pids := filepath.Join(t.TempDir(), "pids")
			s := open(t, execstore.Options{Command: script(t, "sleep 1000 & sleep 1000 & echo $$ $! >"+pids+".new; mv "+pids+".new "+pids+"; wait"), Timeout: limit})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var text []byte
			done := make(chan error, 1)
			go func() { _, err := s.Resolve(ctx, resolver.Ref{ID: "id"}); done <- err }()
			eventually(t, "the script has begun", func() bool { text, _ = os.ReadFile(pids); return len(text) > 0 })
			want := resolver.TimedOut
			if limit == time.Minute {
				cancel()
				want = resolver.Unavailable
			}
			if err := <-done; resolver.KindOf(err) != want || want == resolver.Unavailable && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			for _, word := range strings.Fields(string(text)) {
				pid, err := strconv.Atoi(word)
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool { return ended(pid) })
			}
		})
	}
}

// ended: there is no such process, or one that only waits to be noticed.
func ended(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is not so that %s", what)
		}
	}
}
