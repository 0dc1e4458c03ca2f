package keychain

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

var errMissing, errTooBig = errors.New("missing " + resolvertest.Canary), errors.New("too big " + resolvertest.Canary)

func newLibrary(get func(service, account string) (string, error)) *Store {
	return &Store{Options{Service: "s", Timeout: resolver.DefaultTimeout}, &library{getValue: get, setValue: func(_, account, _ string) error {
		if account == "big" {
			return errTooBig
		}
		return nil
	}, missing: errMissing, tooBig: errTooBig, limit: "2560 bytes", turns: make(chan struct{}, maxLeft)}}
}

func TestALibraryWithoutContexts(t *testing.T) {
	t.Parallel()
	t.Run("a call that never ends is left behind at the limit, and only so many are", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			answered, calls := make(chan struct{}), atomic.Int32{}
			s := newLibrary(func(string, string) (string, error) {
				calls.Add(1)
				<-answered
				return "late", nil
			})
			for range maxLeft + 2 {
				began := time.Now()
				_, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"})
				if resolver.KindOf(err) != resolver.TimedOut || time.Since(began) != resolver.DefaultTimeout {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			}
			if n := calls.Load(); n != maxLeft {
				t.Errorf("%d calls are under way", n)
			}
			close(answered)
			synctest.Wait()
			if r, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"}); err != nil || r.Secret.Reveal() != "late" {
				t.Errorf("once it is answered: %v", err)
			}
		})
	})
	t.Run("its failures", func(t *testing.T) {
		t.Parallel()
		for code, want := range map[string]struct {
			err  error
			kind resolver.Kind
		}{
			"missing": {errMissing, resolver.NotFound}, "unknown": {errors.New(resolvertest.Canary), resolver.Unavailable},
			"36": {exec.Command("/bin/sh", "-c", "exit 36").Run(), resolver.AccessDenied}, "1": {exec.Command("/bin/sh", "-c", "exit 1").Run(), resolver.Unavailable},
		} {
			s := newLibrary(func(string, string) (string, error) { return "", want.err })
			_, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"})
			var e *resolver.Error
			if !errors.As(err, &e) || e.Kind != want.kind || e.Hint() == "" {
				t.Errorf("%s: %v", code, err)
			}
			resolvertest.NoLeak(t, err, resolvertest.Canary)
			if err := s.Check(t.Context()); (err == nil) != (code == "missing") {
				t.Errorf("%s: the check: %v", code, err)
			}
		}
		s := newLibrary(nil)
		err := s.Put(t.Context(), resolver.Ref{ID: "big"}, resolver.NewSecret("x"))
		if resolver.KindOf(err) != resolver.InvalidReference || !strings.Contains(err.Error(), "2560 bytes") {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Put(ctx, resolver.Ref{ID: "k"}, resolver.NewSecret("x")); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"a\nb", "a\x00", strings.Repeat("x", 513), "\xff"} {
		if _, err := New(Options{Service: service}); err == nil {
			t.Errorf("%q is taken", service)
		}
	}
}
