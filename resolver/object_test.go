package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
)

// pairs is a store whose every fetch brings another version of an object, as a database engine does.
type pairs struct {
	mu      sync.Mutex
	fetches int
	wait    time.Duration
	without string // a field that is not there
}

func (p *pairs) fetch(context.Context, resolver.Ref) (resolver.Result, error) {
	time.Sleep(p.wait)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetches++
	var text string
	for _, f := range []string{"user", "password", "host"} {
		if f != p.without {
			text += fmt.Sprintf(`%q:"%d",`, f, p.fetches)
		}
	}
	return resolver.Result{Secret: resolver.NewSecret("{" + text[:len(text)-1] + "}")}, nil
}

func (p *pairs) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	r, err := p.fetch(ctx, ref)
	if err != nil {
		return r, err
	}
	return resolver.PickField(r, ref.Field, resolver.Field)
}

func (p *pairs) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	return resolver.Wave(ctx, refs, 8, p.fetch, resolver.Field)
}

// fieldsOf has the three fields of one object, and one of another object.
func fieldsOf(store resolver.Resolver) (list []resolver.Source) {
	for _, f := range []string{"user", "password", "host"} {
		list = append(list, resolver.Source{Name: f, Backend: "db", Resolver: store, Ref: resolver.Ref{ID: "creds", Field: f}, TTL: time.Minute})
	}
	return append(list, resolver.Source{Name: "other", Backend: "db", Resolver: store, Ref: resolver.Ref{ID: "other", Field: "user"}, TTL: time.Minute})
}

func TestTheFieldsOfOneObject(t *testing.T) {
	t.Parallel()
	same := func(t *testing.T, c *resolver.Cache, version string, names ...string) {
		t.Helper()
		for _, name := range names {
			if s, err := c.Get(t.Context(), name); err != nil || s.Reveal() != version {
				t.Errorf("%s is of version %q, not %s (%v)", name, s.Reveal(), version, err)
			}
		}
	}
	test := func(name string, f func(t *testing.T, store *pairs, c *resolver.Cache)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &pairs{}
				f(t, store, newCache(t, resolver.CacheOptions{Sources: fieldsOf(store)}))
			})
		})
	}
	names := []string{"user", "password", "host"}
	test("are of one version whichever is used first, at the cost of one call", func(t *testing.T, store *pairs, c *resolver.Cache) {
		if err := c.ResolveAll(t.Context(), names); err != nil {
			t.Fatal(err)
		}
		same(t, c, "1", names...)
		time.Sleep(time.Minute)
		store.wait = time.Second
		var all sync.WaitGroup
		for range 10 {
			for _, name := range names {
				all.Go(func() { same(t, c, "2", name) })
			}
		}
		all.Wait()
		time.Sleep(30 * time.Second)
		same(t, c, "2", names...)
		if store.fetches != 2 {
			t.Errorf("%d calls", store.fetches)
		}
	})
	test("are all fetched again when one is refused, once in 30 seconds", func(t *testing.T, store *pairs, c *resolver.Cache) {
		if err := c.ResolveAll(t.Context(), names); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"password", "user"} {
			if err := c.Refresh(t.Context(), []string{name}); err != nil {
				t.Fatal(err)
			}
		}
		same(t, c, "2", names...)
		if _, err := c.Renew(t.Context(), names); err != nil {
			t.Fatal(err)
		}
		same(t, c, "3", names...)
	})
	test("that nobody uses are not fetched, and those of another object neither", func(t *testing.T, _ *pairs, c *resolver.Cache) {
		same(t, c, "1", "user")
		for _, s := range c.Report()[1:] {
			if s.Calls != 0 {
				t.Errorf("%s was fetched", s.Name)
			}
		}
	})
	test("that have gone leave the others as they come", func(t *testing.T, store *pairs, c *resolver.Cache) {
		if err := c.ResolveAll(t.Context(), names); err != nil {
			t.Fatal(err)
		}
		store.without = "host"
		time.Sleep(time.Minute)
		same(t, c, "2", "user", "password")
		same(t, c, "1", "host") // stale
		time.Sleep(10 * time.Minute)
		if _, err := c.Get(t.Context(), "host"); !errors.Is(err, resolver.FieldMissing) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("are each by itself where the store cannot be asked for several", func(t *testing.T) {
		t.Parallel()
		store := &pairs{}
		c := newCache(t, resolver.CacheOptions{Sources: fieldsOf(struct{ resolver.Resolver }{store})})
		if err := c.ResolveAll(t.Context(), names); err != nil || store.fetches != 3 {
			t.Errorf("%d calls, %v", store.fetches, err)
		}
	})
}
