// Package keychain reads and writes entries of the system's keychain: the Secret Service of a Linux or BSD desktop, the
// macOS Keychain, the Windows Credential Manager.
//
// A reference's ID is the account of an entry; the service is the backend's. The entries are those of go-keyring and of
// `secret-tool lookup service kz username ID`, so that other programs can make them.
//
// The Secret Service is spoken to directly: go-keyring waits for a password prompt without end and leaves its dialog
// open, and starts a bus of its own (dbus-launch, from PATH) where there is none. On macOS and Windows go-keyring does the
// work; it takes no context, so a call that outlives its limit is left behind, at most so many of them.
//
// Any program of the same user can ask the same keychain for the same entries.
package keychain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"kz/resolver"
)

// DefaultService is the service of entries when none is given.
const DefaultService = "kz"

// maxValue bounds a value; what programs log in with is far below.
const maxValue = 1 << 20

// Options sets up a Store.
type Options struct {
	Service string              // "": DefaultService
	Timeout time.Duration       // of one call, in which a person may have to unlock the keychain; 0 is resolver.DefaultTimeout
	Getenv  func(string) string // for DBUS_SESSION_BUS_ADDRESS and XDG_RUNTIME_DIR; nil is os.Getenv
}

// keyring is the system's. Its errors are *resolver.Error. It may not outlive ctx.
type keyring interface {
	get(ctx context.Context, service, account string) (string, error)
	set(ctx context.Context, service, account, value string) error
	check(ctx context.Context) error
}

// Store is one service of the keychain. It is safe for concurrent use.
type Store struct {
	opt  Options
	ring keyring
}

// New makes a Store. It does no I/O.
func New(o Options) (*Store, error) {
	if o.Service == "" {
		o.Service = DefaultService
	}
	if !isName(o.Service) {
		return nil, errors.New("keychain: service is not a plain name")
	}
	if o.Timeout <= 0 {
		o.Timeout = resolver.DefaultTimeout
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	return &Store{o, systemKeyring(o.Getenv)}, nil
}

// isName: line breaks and control bytes would end a command of macOS's security program.
func isName(s string) bool {
	return s != "" && len(s) <= 512 && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

func (s *Store) valid(ref resolver.Ref) error {
	if isName(ref.ID) {
		return nil
	}
	return &resolver.Error{Kind: resolver.InvalidReference, Message: "no entry of the keychain is named", Advice: "write `name = \"ACCOUNT\"` in the secret: up to 512 bytes, without control bytes"}
}

// Resolve returns the value of one entry.
func (s *Store) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	if err := s.valid(ref); err != nil {
		return resolver.Result{}, err
	}
	value, err := s.get(ctx, ref.ID)
	if err != nil {
		return resolver.Result{}, err
	}
	return resolver.PickField(resolver.Result{Secret: resolver.NewSecret(value)}, ref.Field, resolver.Field)
}

func (s *Store) get(ctx context.Context, account string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", resolver.Transport(err)
	}
	value, err := s.ring.get(ctx, s.opt.Service, account)
	if err != nil {
		return "", err
	}
	if len(value) > maxValue {
		return "", &resolver.Error{Kind: resolver.Unavailable, Message: "the entry is longer than 1 MiB", Advice: "check that it is the one that is meant"}
	}
	return value, nil
}

// Put writes one entry.
func (s *Store) Put(ctx context.Context, ref resolver.Ref, value resolver.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	if err := s.valid(ref); err != nil {
		return err
	}
	text := value.Reveal()
	if ref.Field != "" {
		old, err := s.get(ctx, ref.ID)
		if err != nil && !errors.Is(err, resolver.NotFound) {
			return err
		}
		if text, err = resolver.SetField(old, ref.Field, text); err != nil {
			return err
		}
	}
	if len(text) > maxValue {
		return tooLong("1 MiB")
	}
	if err := ctx.Err(); err != nil {
		return resolver.Transport(err)
	}
	return s.ring.set(ctx, s.opt.Service, ref.ID, text)
}

// Check asks whether there is a keychain; it reads no entry's value.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	return s.ring.check(ctx)
}

func notFound(service, account string) *resolver.Error {
	return &resolver.Error{Kind: resolver.NotFound, Message: fmt.Sprintf("the keychain has no entry %q of the service %q", account, service),
		Advice: "write it: kz put NAME, or another way with that service and account"}
}

func locked() *resolver.Error {
	return &resolver.Error{Kind: resolver.AccessDenied, Message: "the keychain is locked",
		Advice: "unlock it and try again; where nobody can be asked, start it unlocked (gnome-keyring-daemon --unlock) or use the type local"}
}

func tooLong(limit string) *resolver.Error {
	return &resolver.Error{Kind: resolver.InvalidReference, Message: "the value is too long for this system's keychain, which takes " + limit,
		Advice: "keep it in a backend of the type local"}
}

// ended is of a call whose time is up, or whose caller has gone.
func ended(ctx context.Context) *resolver.Error {
	e := resolver.Transport(ctx.Err())
	if e.Kind == resolver.TimedOut {
		e.Advice = "the keychain may be waiting for its password in a dialog: unlock it and try again"
	}
	return e
}
