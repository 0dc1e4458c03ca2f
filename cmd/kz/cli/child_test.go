//go:build unix

package cli

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var signalNames = map[string]os.Signal{
	"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP,
	"QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

func newSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// program writes an executable file.
func program(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunChildExitCodes(t *testing.T) {
	t.Parallel()
	dir, earlier := t.TempDir(), t.TempDir()
	const script = "#!/bin/sh\nexit 7\n"
	program(t, dir, "good", script, 0o755)
	program(t, dir, "noexec", script, 0o644)
	program(t, earlier, "shadowed", script, 0o644)
	program(t, dir, "shadowed", script, 0o755)
	program(t, dir, "badinterpreter", "#!/no/such/interpreter\n", 0o755)
	program(t, dir, "noshebang", "exit 0\n", 0o755)
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + earlier + ":" + dir + ":/usr/bin:/bin"
	for _, tt := range []struct {
		name string
		argv []string
		env  []string
		code int
		err  string
	}{
		{"success", []string{"sh", "-c", "exit 0"}, []string{path}, 0, ""},
		{"the child's own code", []string{"sh", "-c", "exit 3"}, []string{path}, 3, ""},
		{"a code that looks like kz's", []string{"sh", "-c", "exit 125"}, []string{path}, 125, ""},
		{"killed", []string{"sh", "-c", "kill -KILL $$"}, []string{path}, 128 + 9, ""},
		{"terminated", []string{"sh", "-c", "kill -TERM $$"}, []string{path}, 128 + 15, ""},
		{"found in the child's PATH", []string{"good"}, []string{path}, 7, ""},
		{"the last PATH of several counts", []string{"good"}, []string{"PATH=/nowhere", path}, 7, ""},
		{"a PATH by default", []string{"sh", "-c", "exit 4"}, []string{}, 4, ""},
		{"one that cannot be executed is passed over", []string{"shadowed"}, []string{path}, 7, ""},
		{"not in PATH", []string{"no-such-program"}, []string{path}, 127, `executing "no-such-program": not found`},
		{"an empty name", []string{""}, []string{path}, 127, "not found"},
		{"kz's own PATH does not count", []string{"sh"}, []string{"PATH=" + earlier}, 127, "not found"},
		{"a path to nothing", []string{dir + "/none"}, nil, 127, "not found"},
		{"no x bit, by PATH", []string{"noexec"}, []string{path}, 126, "permission denied"},
		{"no x bit, by path", []string{dir + "/noexec"}, nil, 126, "permission denied"},
		{"a directory by path", []string{dir + "/directory"}, nil, 126, "it is a directory"},
		{"a directory in PATH is no program", []string{"directory"}, []string{path}, 127, "not found"},
		{"a missing interpreter", []string{"badinterpreter"}, []string{path}, 126, "its interpreter is missing"},
		{"no program", []string{"noshebang"}, []string{path}, 126, "not a program"},
		{"below a file", []string{dir + "/good/x"}, nil, 126, "not a directory"},
		{"too long", []string{"good", strings.Repeat("x", 4<<20)}, []string{path}, 126, "too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, err := runChild(background(), childSpec{Argv: tt.argv, Env: tt.env})
			if err != nil {
				code = exitCode(err)
			}
			if code != tt.code {
				t.Errorf("exit code %d, want %d (%v)", code, tt.code, err)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestTheChildHasTheGivenEnvironmentAndNothingElse(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, env := range [][]string{nil, {"A=1", "B=x=y"}} {
		out.Reset()
		if _, err := runChild(background(), childSpec{Argv: []string{"/usr/bin/env"}, Env: env, Stdout: &out}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Fields(out.String()); strings.Join(got, " ") != strings.Join(env, " ") {
			t.Errorf("got %q, want %q", got, env)
		}
	}
}

func TestARelativePATHIsTheWorkingDirectorys(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	program(t, dir, "here", "#!/bin/sh\nexit 5\n", 0o755)
	for _, path := range []string{"PATH=:/nowhere", "PATH=."} {
		if code, err := runChild(background(), childSpec{Argv: []string{"here"}, Env: []string{path}}); code != 5 || err != nil {
			t.Errorf("%s: exit code %d, %v", path, code, err)
		}
	}
}

func TestAnEndedContextEndsTheChild(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		code         int
	}{
		{"by asking", "trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done", 9},
		{"by force when it does not listen", "trap '' TERM; echo up; while :; do sleep 0.01; done", 128 + 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(background())
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = r.Read(make([]byte, 3))
				cancel()
			}()
			code, err := runChild(ctx, childSpec{
				Argv: []string{"sh", "-c", tt.script}, Env: os.Environ(), Stdout: w, Grace: 300 * time.Millisecond,
			})
			if code != tt.code || err != nil {
				t.Errorf("exit code %d, %v; want %d", code, err, tt.code)
			}
		})
	}
}

// kz started without a terminal, as by a supervisor.
func TestSignalsReachTheChild(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"INT", "TERM", "HUP", "QUIT", "USR1", "USR2"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := "trap 'exit 33' " + name + "; echo up; while :; do sleep 0.01; done"
			cmd := exec.Command("kz-child", "sh", "-c", script)
			cmd.SysProcAttr = newSession()
			out := startAndWait(t, cmd, "up")
			if err := cmd.Process.Signal(signalNames[name]); err != nil {
				t.Fatal(err)
			}
			if code := endedWith(t, cmd); code != 33 {
				t.Errorf("exit code %d, output %q", code, out)
			}
		})
	}
}

func TestAnIgnoredSignalStaysIgnored(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", `trap '' HUP; exec kz-child sh -c 'kill -HUP $$; echo alive'`)
	out, err := cmd.Output()
	if err != nil || string(out) != "alive\n" {
		t.Errorf("output %q, %v", out, err)
	}
}
