package keychain

import (
	"context"
	"errors"
	"os/exec"

	"kz/resolver"
)

// maxLeft is how many calls may be under way, those that were left behind included. Each may have a dialog open.
const maxLeft = 4

// library is a keyring whose functions take no context. A call that outlives its own is left behind; it ends once its
// dialog is answered, and its result is dropped.
type library struct {
	getValue func(service, account string) (string, error)
	setValue func(service, account, value string) error
	missing  error // of an entry that is not there
	tooBig   error // of a value that is too long
	limit    string
	turns    chan struct{}
}

func (l *library) get(ctx context.Context, service, account string) (string, error) {
	value := ""
	err := l.call(ctx, func() (err error) { value, err = l.getValue(service, account); return err })
	if err != nil {
		return "", l.explain(ctx, err, service, account)
	}
	return value, nil
}

func (l *library) set(ctx context.Context, service, account, value string) error {
	if err := l.call(ctx, func() error { return l.setValue(service, account, value) }); err != nil {
		return l.explain(ctx, err, service, account)
	}
	return nil
}

// check looks for an entry that need not be there.
func (l *library) check(ctx context.Context) error {
	_, err := l.get(ctx, DefaultService, "kz-check")
	if errors.Is(err, resolver.NotFound) {
		return nil
	}
	return err
}

// call makes one call of the library, or gives up with ctx.
func (l *library) call(ctx context.Context, do func() error) error {
	select {
	case l.turns <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-l.turns }()
		done <- do()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The exit codes of macOS's security program, the low byte of its OSStatus:
// https://developer.apple.com/documentation/security/security-framework-result-codes
const (
	interactionNotAllowed = 36  // errSecInteractionNotAllowed, -25308
	authFailed            = 51  // errSecAuthFailed, -25293
	userCanceled          = 128 // errSecUserCanceled, -128
)

func (l *library) explain(ctx context.Context, err error, service, account string) error {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ended(ctx)
	case errors.Is(err, l.missing):
		return notFound(service, account)
	case errors.Is(err, l.tooBig):
		return tooLong(l.limit)
	case errors.As(err, &exit) && (exit.ExitCode() == interactionNotAllowed || exit.ExitCode() == authFailed || exit.ExitCode() == userCanceled):
		return locked()
	}
	return &resolver.Error{Kind: resolver.Unavailable, Message: "the system's keychain fails", Advice: "see whether its own program can open it: Keychain Access, or Credential Manager"}
}
