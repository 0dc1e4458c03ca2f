package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this binary stand in for kz, and for the programs of the tests that need a
// process of their own.
func TestMain(m *testing.M) {
	programs := map[string]func(){"kz": func() { os.Exit(Main()) }}
	for name, f := range testPrograms {
		programs[name] = f
	}
	// The race detector would sleep for a second at the end of each of them.
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	if programs[filepath.Base(os.Args[0])] == nil {
		hearAll()
	}
	testscript.Main(m, programs)
}

// hearAll takes back what the tests' own parent ignores, as nohup and a shell's & do: a program that a test starts gets a
// caught signal's default, but an ignored one ignored.
func hearAll() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: func(e *testscript.Env) error { e.Setenv("GORACE", os.Getenv("GORACE")); return nil },
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"status": scriptStatus},
	})
}

// scriptStatus runs a program that must end with the given exit code: status CODE PROGRAM ARG…
func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE PROGRAM ARG…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// testApp is an app without a process: what it says is in the two buffers.
func testApp(environ ...string) (a *app, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	a = &app{
		stdin:      new(bytes.Buffer),
		stdout:     stdout,
		ui:         newUI(stderr, false),
		environ:    environ,
		cwd:        func() (string, error) { return "/", nil },
		isTerminal: func(any) bool { return false },
		now:        func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		inSession:  func() bool { return false },
	}
	return a, stdout, stderr
}

func background() context.Context { return context.Background() }
