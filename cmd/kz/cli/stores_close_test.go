package cli

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

// lender is a store that holds something for its session.
type lender struct {
	*resolvertest.Fake
	close func(ctx context.Context) error
}

func (l *lender) Close(ctx context.Context) error { return l.close(ctx) }

func TestTheStoresOfACommandAreClosedOnce(t *testing.T) {
	t.Parallel()
	a, _, stderr := testApp()
	var closed atomic.Int32 // all are closed at the same time
	ok := &lender{resolvertest.NewFake(nil), func(ctx context.Context) error {
		if d, limited := ctx.Deadline(); !limited || time.Until(d) > closeTime {
			t.Error("it may take for ever")
		}
		closed.Add(1)
		return nil
	}}
	fails := &lender{resolvertest.NewFake(nil), func(context.Context) error {
		return &resolver.Error{Kind: resolver.Unavailable, Message: "2 of what is held", Advice: "wait"}
	}}
	a.held.keep(map[string]resolver.Resolver{"good": ok, "bad": fails, "plain": resolvertest.NewFake(nil)})
	a.held.keep(map[string]resolver.Resolver{"second": ok})
	a.closeStores()
	a.closeStores()
	if n := closed.Load(); n != 2 {
		t.Errorf("%d stores closed, want 2", n)
	}
	if got, want := stderr.String(), "kz: warning: backend bad: unavailable: 2 of what is held\nkz: hint: wait\n"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

func TestAChainedStoreIsNotMadeAnewAfterItsEnd(t *testing.T) {
	t.Parallel()
	made, closed := 0, 0
	tokens := resolvertest.NewFake(map[string]string{"t": "one"})
	cache, err := resolver.NewCache(resolver.CacheOptions{Sources: []resolver.Source{{Name: "TOKEN", Backend: "tokens", Resolver: tokens, Ref: resolver.Ref{ID: "t"}}}})
	if err != nil {
		t.Fatal(err)
	}
	store := &chainedStore{names: map[string]string{"token": "TOKEN"}, cache: func() *resolver.Cache { return cache },
		make: func(map[string]resolver.Secret) (resolver.Resolver, error) {
			made++
			return &lender{resolvertest.NewFake(map[string]string{"a": "v"}), func(context.Context) error { closed++; return nil }}, nil
		}}
	use := func() error { _, err := store.Resolve(t.Context(), resolver.Ref{ID: "a"}); return err }
	if err := use(); err != nil {
		t.Fatal(err)
	}
	tokens.Set("t", "two") // with another credential it is another store; both may hold something
	if err := errors.Join(use(), use(), store.Close(t.Context())); err != nil {
		t.Error(err)
	}
	if err := use(); !errors.Is(err, resolver.Unavailable) {
		t.Errorf("after the end: %v", err)
	}
	if made != 2 || closed != 2 {
		t.Errorf("%d stores made and %d closed, want 2 and 2", made, closed)
	}
}
