package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/term"
)

// pasteTime is how long what was pasted may take to arrive whole behind its first line.
const pasteTime = 50 * time.Millisecond

// askValue reads one line from the terminal without showing it. The caller has made sure that there is a terminal. The
// terminal is as it was at the end, also after an interruption, which is the error.
func (a *app) askValue(ctx context.Context, what string) (string, error) {
	f, ok := a.stdin.(*os.File)
	if !ok {
		return "", errors.New("asking for the value: standard input is no terminal")
	}
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return "", errors.New("asking for the value: standard input is no terminal")
	}
	discardTyped(f) // what was there before the question is no answer to it, whoever put it there
	a.ui.ask(what + ": ")
	type input struct {
		line []byte
		err  error
		more bool
	}
	done := make(chan input, 1)
	go func() { // left behind when interrupted: the process ends then
		line, err := term.ReadPassword(int(f.Fd()))
		done <- input{line: line, err: err, more: err == nil && moreTyped(f, pasteTime)}
	}()
	var in input
	select {
	case in = <-done:
	case <-ctx.Done():
		_ = term.Restore(int(f.Fd()), before)
		a.ui.answered()
		return "", context.Cause(ctx)
	}
	a.ui.answered()
	switch {
	case in.err != nil:
		return "", errors.New("asking for the value: nothing was typed")
	case in.more:
		discardTyped(f) // or the shell would take it for commands
		return "", withHint(errors.New("what was typed has more than one line, and was not used"), "give such a value on standard input: kz put NAME < FILE")
	case len(in.line) >= maxTyped:
		return "", withHint(fmt.Errorf("a terminal takes lines of %d bytes at most, so the value may be cut", maxTyped), "give it on standard input: kz put NAME < FILE")
	}
	if len(in.line) > 0 {
		a.ui.Notef("read %s", plural(len(in.line), "byte"))
	}
	return string(in.line), nil
}
