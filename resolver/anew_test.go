package resolver_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
)

// asked is a store that keeps how it was asked.
type asked struct {
	mu   sync.Mutex
	anew []bool
}

func (a *asked) Resolve(ctx context.Context, _ resolver.Ref) (resolver.Result, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.anew = append(a.anew, resolver.IsAnew(ctx))
	return resolver.Result{Secret: resolver.NewSecret("v")}, nil
}

func (a *asked) ResolveBatch(ctx context.Context, refs []resolver.Ref) (out []resolver.Outcome) {
	for _, ref := range refs {
		r, err := a.Resolve(ctx, ref)
		out = append(out, resolver.Outcome{Result: r, Err: err})
	}
	return out
}

func TestAStoreIsToldWhatMayNotBeKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kept, never, both := &asked{}, &asked{}, &asked{}
		c, err := resolver.NewCache(resolver.CacheOptions{Sources: []resolver.Source{
			{Name: "A", Resolver: kept, TTL: time.Minute}, {Name: "B", Resolver: never},
			{Name: "C", Resolver: both, TTL: time.Minute}, {Name: "D", Resolver: both, TTL: time.Minute, Ref: resolver.Ref{ID: "d"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		use := func(name string) {
			if _, err := c.Get(t.Context(), name); err != nil {
				t.Error(err)
			}
		}
		use("A")
		time.Sleep(2 * time.Minute)
		use("A")                                  // due
		_ = c.Refresh(t.Context(), []string{"A"}) // refused by an upstream
		c.Renew(t.Context(), nil)                 // a person asks
		use("B")                                  // never kept
		if want := []bool{false, false, true, true}; !slices.Equal(kept.anew, want) {
			t.Errorf("asked anew: %v, want %v", kept.anew, want)
		}
		if slices.Contains(never.anew, false) {
			t.Errorf("a value that is never kept is asked for anew: %v", never.anew)
		}
		if want := []bool{true, true}; !slices.Equal(both.anew, want) {
			t.Errorf("together: %v, want %v", both.anew, want)
		}
	})
}
