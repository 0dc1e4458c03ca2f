package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// childSpec is a program to run in kz's place: its own terminal, its own process group,
// its own signals.
type childSpec struct {
	Argv []string // Argv[0] is looked up in the PATH of Env, unless it has a slash
	Env  []string // the whole environment

	// The child gets these very files. Anything else than an *os.File is copied through a pipe.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	CoreLimit uint64        // its soft limit on core dumps; 0: none are made
	Sealed    bool          // no other descriptor that kz was started with reaches the child
	Grace     time.Duration // between SIGTERM and SIGKILL once the context has ended; zero: 10 s
}

// runChild runs a program to its end and returns the code that kz is to exit with: the
// program's own, or 128 + n when signal n ended it. An error means that it was not started;
// its exit code is 127 for not found, 126 for cannot be executed, 125 for anything of kz's own.
//
// While it runs, kz does not die of the signals it passes on (signals_unix.go), and a
// child of a killed kz is killed as well (Linux). A context that ends asks the child to end,
// and insists after Grace. What the child leaves running in turn is not kz's.
func runChild(ctx context.Context, spec childSpec) (code int, err error) {
	path, err := lookCommand(spec.Argv[0], spec.Env)
	if err != nil {
		return 0, err
	}
	if spec.Sealed {
		if err := closeOnExec(); err != nil {
			return 0, fmt.Errorf("closing inherited descriptors: %w", err)
		}
	}
	signals := make(chan os.Signal, 16)
	notifyAll(signals, forwarded) // before the start: none may be lost, or end kz alone
	defer signal.Stop(signals)
	if err := takeOver(ctx); err != nil {
		return 0, err
	}

	c := &child{
		cmd: &exec.Cmd{
			Path:        path,
			Args:        spec.Argv,
			Env:         append([]string{}, spec.Env...), // not nil, which would mean kz's own
			Stdin:       spec.Stdin,
			Stdout:      spec.Stdout,
			Stderr:      spec.Stderr,
			SysProcAttr: childAttributes(),
		},
		started: make(chan error, 1),
		ended:   make(chan error, 1),
	}
	go c.supervise()
	if err := <-c.started; err != nil {
		return 0, startError(spec.Argv[0], path, err)
	}
	setCoreLimit(c.cmd.Process.Pid, spec.CoreLimit)
	return c.wait(ctx, signals, spec.Grace)
}

type child struct {
	cmd            *exec.Cmd
	started, ended chan error
}

// supervise starts the program and stays on its thread until the end: the parent-death
// signal is tied to the thread that forked, not to the process (prctl(2)).
func (c *child) supervise() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	c.started <- err
	if err != nil {
		return
	}
	awaitExit(c.cmd.Process.Pid)
	c.ended <- c.cmd.Wait()
}

// wait passes signals on until the program has ended.
func (c *child) wait(ctx context.Context, signals <-chan os.Signal, grace time.Duration) (int, error) {
	if grace == 0 {
		grace = 10 * time.Second
	}
	done := ctx.Done()
	var insist <-chan time.Time
	for {
		select {
		case s := <-signals:
			forward(c.cmd.Process, s)
		case <-done:
			done = nil
			_ = c.cmd.Process.Signal(terminate)
			t := time.NewTimer(grace)
			defer t.Stop()
			insist = t.C
		case <-insist:
			_ = c.cmd.Process.Kill()
		case err := <-c.ended:
			if c.cmd.ProcessState == nil {
				return 0, fmt.Errorf("waiting for the child: %w", err)
			}
			return statusCode(c.cmd.ProcessState), nil
		}
	}
}

// statusCode is the code a shell gives to a program's end.
func statusCode(state *os.ProcessState) int {
	if w, ok := state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return exitSignalled + int(w.Signal())
	}
	return state.ExitCode()
}

// startError says why a program was not started, in the exit codes of a shell (POSIX 2.8.2).
func startError(name, path string, err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fmt.Errorf("starting %q: %w", name, err)
	}
	info, statErr := os.Stat(path)
	cannot := func(why, hint string) error {
		return &cliError{err: fmt.Errorf("executing %q: %s", name, why), hint: hint, code: exitCannotExecute}
	}
	switch {
	case errno == syscall.EAGAIN, errno == syscall.ENOMEM, errno == syscall.EMFILE, errno == syscall.ENFILE:
		return fmt.Errorf("starting %q: %w", name, errno)
	case errno == syscall.ENOENT && statErr != nil:
		return notFound(name)
	case errno == syscall.ENOENT:
		return cannot("its interpreter is missing", "look at the first line of "+path+", or the loader that `file` names")
	case statErr == nil && info.IsDir():
		return cannot("it is a directory", "")
	case errno == syscall.EACCES:
		return cannot("permission denied", "is it executable? `chmod +x` makes it so")
	case errno == syscall.ENOEXEC:
		return cannot("not a program of this machine", "a script needs a first line such as #!/bin/sh")
	case errno == syscall.E2BIG:
		return cannot("its arguments and environment are too long", "--clean-env makes the environment smaller")
	}
	return cannot(errno.Error(), "")
}

func notFound(name string) error {
	hint := ""
	if !strings.Contains(name, "/") {
		hint = "it is in no directory of the child's PATH"
	}
	return &cliError{err: fmt.Errorf("executing %q: not found", name), hint: hint, code: exitNotFound}
}

// lastValue is a variable's value in an environment, as a program would read it.
func lastValue(env []string, name string) (value string, ok bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if k, v, isVar := splitVar(env[i]); isVar && k == name {
			return v, true
		}
	}
	return "", false
}
