package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interruptible makes a context that ends at the first signal that asks kz to stop, so that
// what a command has deferred is done: a listener closed, a directory removed. The cause is
// the error to report. A second signal ends kz at once. It lasts until stop, or until a
// child takes the signals over.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	notifyAll(signals, stopSignals)
	quit, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		var got os.Signal
		select {
		case got = <-signals:
		case <-quit:
		}
		signal.Stop(signals) // first: from now on the next one ends kz
		if got == nil {
			select {
			case got = <-signals: // it came before the end
			default:
			}
		}
		if got != nil {
			cancel(interrupted(got))
		}
	}()
	stop = sync.OnceFunc(func() {
		close(quit)
		<-finished
	})
	return context.WithValue(ctx, interruptKey{}, stop), stop
}

type interruptKey struct{}

// takeOver ends the watch of interruptible, for a child that gets the signals from now on.
// A signal that came before has ended the context.
func takeOver(ctx context.Context) error {
	if stop, ok := ctx.Value(interruptKey{}).(func()); ok {
		stop()
	}
	return context.Cause(ctx)
}

// interrupted is the error of a kz that was asked to stop; its exit code is a shell's.
func interrupted(s os.Signal) error {
	code, text := exitFailure, "interrupted"
	if s != os.Interrupt {
		text += " (" + s.String() + ")"
	}
	if n, ok := s.(syscall.Signal); ok {
		code = exitSignalled + int(n)
	}
	return &interruption{cliError{err: errors.New(text), code: code}}
}

type interruption struct{ cliError }

// notifyAll takes signals over. One that kz was started with as ignored (nohup, a background
// job of a plain shell) stays so, for a child too.
func notifyAll(c chan<- os.Signal, signals []os.Signal) {
	for _, s := range signals {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
}
