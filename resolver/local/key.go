package local

import (
	"context"
	"errors"
	"strings"

	"filippo.io/age"

	"kz/resolver"
)

// keyRef is where the keychain has the key of this file: each store has its own.
func (s *Store) keyRef() resolver.Ref {
	return resolver.Ref{ID: "key of the local store " + s.opt.Path}
}

func (s *Store) lastKey() *age.X25519Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key
}

func (s *Store) remember(key *age.X25519Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
}

// findKey is the key in the key file or in the keychain; nil when it is in neither.
func (s *Store) findKey(ctx context.Context) (*age.X25519Identity, error) {
	text, err := readPrivate(s.opt.KeyFile)
	switch {
	case err == nil:
		return s.parseKey(string(text), s.opt.KeyFile)
	case resolver.KindOf(err) != resolver.NotFound:
		return nil, err
	case s.opt.Keychain == nil:
		return nil, nil
	}
	r, err := s.opt.Keychain.Resolve(ctx, s.keyRef())
	switch {
	case err == nil:
		return s.parseKey(r.Secret.Reveal(), "the keychain")
	case resolver.KindOf(err) == resolver.NotFound:
		return nil, nil
	}
	e := resolver.Error{Kind: resolver.Unavailable}
	var typed *resolver.Error
	if errors.As(err, &typed) {
		e = *typed
	}
	e.Message = strings.TrimSuffix("the key of the local store is not in "+s.opt.KeyFile+", and the keychain cannot be asked: "+e.Message, ": ")
	// The keychain's own advice would be to use the type local instead.
	e.Advice = "if the key was in that file, put it back; if the keychain has it, unlock that, or run kz where it is: in your desktop session"
	return nil, &e
}

// parseKey reads a key as makeKey writes it. age's own error is not passed on: it may quote the text.
func (s *Store) parseKey(text, place string) (*age.X25519Identity, error) {
	key, err := age.ParseX25519Identity(strings.TrimSpace(text))
	if err != nil {
		return nil, s.undecryptable("the key in " + place + " is damaged")
	}
	return key, nil
}

// makeKey sees to a key for a file that is not there yet: the one that an earlier file had, or a new one, in the keychain
// if that keeps it and else in the key file. The caller has the lock.
func (s *Store) makeKey(ctx context.Context) error {
	key, err := s.findKey(ctx)
	if ctx.Err() != nil {
		return resolver.Transport(ctx.Err())
	}
	if err == nil && key != nil {
		s.remember(key)
		return nil
	}
	if err != nil && resolver.KindOf(err) == resolver.DecryptionFailed {
		return err // a damaged key is not thrown away: another store's file may be a copy
	}
	fresh, err := age.GenerateX25519Identity()
	if err != nil {
		return &resolver.Error{Kind: resolver.Unavailable, Message: "making the key of the local store"}
	}
	if !s.keptInKeychain(ctx, fresh) {
		if err := writePrivate(s.opt.KeyFile, []byte(fresh.String()+"\n")); err != nil {
			return err
		}
	}
	s.remember(fresh)
	return nil
}

// keptInKeychain reports whether the keychain has taken the key and gives it back.
func (s *Store) keptInKeychain(ctx context.Context, key *age.X25519Identity) bool {
	if s.opt.Keychain == nil || s.opt.Keychain.Put(ctx, s.keyRef(), resolver.NewSecret(key.String())) != nil {
		return false
	}
	r, err := s.opt.Keychain.Resolve(ctx, s.keyRef())
	return err == nil && r.Secret.Reveal() == key.String()
}
