package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

// guarded is a store that lets in who has its token of now.
type guarded struct {
	*resolvertest.Fake
	token  string
	accept *string
	puts   *int
}

func (g *guarded) let() error {
	if g.token != *g.accept {
		return &resolver.Error{Kind: resolver.AccessDenied, Status: 403, Advice: "log in"}
	}
	return nil
}

func (g *guarded) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	if err := g.let(); err != nil {
		return resolver.Result{}, err
	}
	return g.Fake.Resolve(ctx, ref)
}

func (g *guarded) Check(context.Context) error { return g.let() }

func (g *guarded) Put(_ context.Context, ref resolver.Ref, value resolver.Secret) error {
	if err := g.let(); err != nil {
		return err
	}
	*g.puts++
	g.Set(ref.ID, value.Reveal())
	return nil
}

func TestACredentialThatWasRotatedInItsStoreIsFetchedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens, values := resolvertest.NewFake(map[string]string{"t": "one"}), resolvertest.NewFake(nil)
		accept, puts := "one", 0
		var cache *resolver.Cache
		store := &chainedStore{names: map[string]string{"token": "TOKEN"}, cache: func() *resolver.Cache { return cache },
			make: func(chained map[string]resolver.Secret) (resolver.Resolver, error) {
				return &guarded{values, chained["token"].Reveal(), &accept, &puts}, nil
			}}
		list := []resolver.Source{{Name: "TOKEN", Backend: "tokens", Resolver: tokens, Ref: resolver.Ref{ID: "t"}, TTL: -1}}
		var names []string
		for i := range 10 {
			id := fmt.Sprintf("S%d", i)
			values.Set(id, "value-"+id)
			list = append(list, resolver.Source{Name: id, Backend: "values", Resolver: store, Ref: resolver.Ref{ID: id}, TTL: time.Minute})
			names = append(names, id)
		}
		var err error
		if cache, err = resolver.NewCache(resolver.CacheOptions{Sources: list}); err != nil {
			t.Fatal(err)
		}
		all := func() error { return cache.ResolveAll(t.Context(), names) }
		rotate := func(token string) {
			time.Sleep(time.Minute) // all values are due, the token is not
			tokens.Set("t", token)
			accept = token
		}
		expect := func(what string, calls int, err error) {
			t.Helper()
			if err != nil || tokens.Calls("t") != calls {
				t.Errorf("%s: the token was fetched %d times, want %d: %v", what, tokens.Calls("t"), calls, err)
			}
		}
		expect("at the start", 1, all())
		rotate("two")
		expect("in a batch", 2, all())
		rotate("three")
		var crowd sync.WaitGroup
		for _, name := range names {
			crowd.Go(func() {
				if _, err := cache.Get(t.Context(), name); err != nil {
					t.Error(err)
				}
			})
		}
		crowd.Wait()
		expect("each by itself", 3, nil)
		time.Sleep(time.Hour)
		expect("when it is due", 4, store.Check(t.Context()))
		rotate("four")
		expect("a check", 5, store.Check(t.Context()))
		rotate("five")
		expect("a put", 6, store.Put(t.Context(), resolver.Ref{ID: "S0"}, resolver.NewSecret("new")))

		// What is denied for another reason stays so, and asks once in 30 seconds.
		time.Sleep(time.Minute)
		accept = "nobody's"
		for range 5 {
			if err := store.Check(t.Context()); !errors.Is(err, resolver.AccessDenied) {
				t.Error(err)
			}
		}
		expect("denied for good", 7, nil)
	})
}
