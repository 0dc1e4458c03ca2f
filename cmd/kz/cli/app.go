// Package cli is the command line of kz: one file per command, assembled in root.go.
//
// Everything a command takes from the process (streams, environment, clock) comes through
// app, so that a test can run any command without touching its own process. What kz says
// goes to standard error in one voice (ui.go): "kz: error: …", then "kz: hint: …".
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// app is what the commands share: the process, seen from inside.
// Its fields are set once, before a command starts.
type app struct {
	stdin  io.Reader
	stdout io.Writer
	ui     *ui // standard error, in kz's voice

	// environ is the environment kz was started with, before harden removed
	// anything from it. The child's environment is computed from this one.
	environ []string

	process process // what harden left

	held heldStores // what closeStores gives back

	files fileVariables // what stores read of the environment, and lies in files

	runtimes string // pattern of the runtime directories of users

	cwd        func() (string, error)
	isTerminal func(stream any) bool // stream: one of stdin, stdout, stderr
	now        func() time.Time
	inSession  func() bool // does this process descend from a blind session?
	doubt      string      // what kept inSession from knowing it, if anything did
}

// newApp binds an app to this process.
func newApp() *app {
	a := &app{
		stdin:      os.Stdin,
		stdout:     os.Stdout,
		environ:    os.Environ(),
		cwd:        os.Getwd,
		isTerminal: isTerminal,
		now:        time.Now,
		runtimes:   "/run/user/*",
	}
	a.inSession = func() bool {
		inside, sure := ancestorSession()
		return inside || a.sessionSaysSo(sure)
	}
	a.ui = newUI(os.Stderr, colourful(a.getenv, isTerminal(os.Stderr)))
	a.ui.live = isTerminal(os.Stderr) && a.getenv("TERM") != "dumb"
	a.ui.width = columns(os.Stderr)
	return a
}

// getenv looks in the remembered environment; as the kernel hands it over, the last
// of several entries wins, which is also what a child would be given.
func (a *app) getenv(name string) string {
	v, _ := a.lookupEnv(name)
	return v
}

func (a *app) lookupEnv(name string) (string, bool) {
	for i := len(a.environ) - 1; i >= 0; i-- {
		if k, v, ok := splitVar(a.environ[i]); ok && k == name {
			return v, true
		}
	}
	return "", false
}

// isTerminal reports whether a stream is a terminal; anything that is not a file is none.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// columns is how wide a terminal is; 0 for what is none, and helpWidth for one that does not know.
func columns(f *os.File) int {
	if !isTerminal(f) {
		return 0
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return min(width, widest)
	}
	return helpWidth
}

// widest is how wide text is made on a wider terminal: longer lines are hard to read.
const widest = 100

// Main runs kz with the process's arguments and returns its exit code.
func Main() (code int) {
	hidden := hideCrashes() // first: what comes after takes os.Stderr
	startUncollected()
	a := newApp()
	defer func() {
		if v := recover(); v != nil {
			a.ui.panicked()
			code = exitFailure
		}
	}()
	p, err := harden()
	if err = errors.Join(hidden, err, a.keepToOwnPath()); err != nil {
		a.ui.Error(err)
		return exitCode(err)
	}
	a.process = p
	return a.main(context.Background(), os.Args[1:])
}

// main runs one command line and reports its error.
func (a *app) main(ctx context.Context, args []string) int {
	ctx, stop := interruptible(ctx)
	defer stop()
	err := func() error {
		defer a.closeStores()
		return execute(ctx, newRootCmd(a), args)
	}()
	var cause *interruption
	if err != nil && errors.As(context.Cause(ctx), &cause) {
		err = cause // whatever failed, failed because of it
	}
	a.ui.Error(err)
	return exitCode(err)
}
