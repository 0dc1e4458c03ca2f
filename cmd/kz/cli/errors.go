package cli

import (
	"errors"
	"fmt"
)

// The exit codes of kz. A child's own code is passed through; see childExit.
const (
	exitMisuse        = 2
	exitFailure       = 125
	exitCannotExecute = 126
	exitNotFound      = 127
	exitSignalled     = 128 // plus the signal's number
)

// hinter is an error that knows what to do about itself; the hint is one sentence
// and holds no value of a secret.
type hinter interface{ Hint() string }

// coder is an error that decides the exit code of kz.
type coder interface{ ExitCode() int }

// cliError is an error of the command line itself.
type cliError struct {
	err  error
	hint string
	code int
}

func (e *cliError) Error() string { return e.err.Error() }
func (e *cliError) Unwrap() error { return e.err }
func (e *cliError) Hint() string  { return e.hint }
func (e *cliError) ExitCode() int { return e.code }

// withHint adds what to do to an error. An empty hint or a nil error changes nothing.
func withHint(err error, format string, args ...any) error {
	if err == nil || format == "" {
		return err
	}
	return &cliError{err: err, hint: fmt.Sprintf(format, args...), code: exitCode(err)}
}

// misuse is an error in the command line as it was typed: exit code 2.
func misuse(hint, format string, args ...any) error {
	return &cliError{err: fmt.Errorf(format, args...), hint: hint, code: exitMisuse}
}

// exitStatus ends kz with a code and without a word: the child has said what there was to say.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
func (e exitStatus) ExitCode() int { return int(e) }

// childExit turns a child's exit code into what a command returns.
func childExit(code int) error {
	if code == 0 {
		return nil
	}
	return exitStatus(code)
}

// exitCode is 0 without an error, the error's own code if it has one, and 125 otherwise.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	var c coder
	if errors.As(err, &c) {
		return c.ExitCode()
	}
	return exitFailure
}
