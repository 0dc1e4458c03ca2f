package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

func sources(store resolver.Resolver, n int) []resolver.Source {
	var out []resolver.Source
	for i := range n {
		out = append(out, resolver.Source{Name: fmt.Sprintf("S%d", i), Backend: "b", Resolver: store, Ref: resolver.Ref{ID: fmt.Sprint(i)}, TTL: -1})
	}
	return out
}

func filled(n int) *resolvertest.Fake {
	fake := resolvertest.NewFake(nil)
	for i := range n {
		fake.Set(fmt.Sprint(i), fmt.Sprintf("value-%d", i))
	}
	return fake
}

func newCache(t *testing.T, o resolver.CacheOptions) *resolver.Cache {
	t.Helper()
	c, err := resolver.NewCache(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestResolveAll(t *testing.T) {
	t.Parallel()
	t.Run("eight calls are made at the same time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake := filled(20)
			fake.Delay(time.Second)
			c := newCache(t, resolver.CacheOptions{Sources: sources(fake, 20)})
			began := time.Now()
			if err := c.ResolveAll(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(began); d != 3*time.Second || fake.Most() != 8 {
				t.Errorf("%v, %d at the same time", d, fake.Most())
			}
			for i := range 20 {
				if s, err := c.Get(t.Context(), fmt.Sprintf("S%d", i)); err != nil || s.Reveal() != fmt.Sprintf("value-%d", i) {
					t.Error(i, err)
				}
				if fake.Calls(fmt.Sprint(i)) != 1 {
					t.Error("fetched again")
				}
			}
		})
	})
	t.Run("every failure is reported, in order, and the rest is there", func(t *testing.T) {
		t.Parallel()
		fake := filled(5)
		fake.Fail("3", &resolver.Error{Kind: resolver.AccessDenied})
		fake.Fail("1", &resolver.Error{Kind: resolver.Throttled})
		for _, store := range []resolver.Resolver{fake, fake.Batch()} {
			c := newCache(t, resolver.CacheOptions{Sources: sources(store, 5)})
			err := c.ResolveAll(t.Context(), nil)
			if err == nil || err.Error() != "resolving S1: b: throttled\nresolving S3: b: access denied" {
				t.Fatal(err)
			}
			if _, err := c.Get(t.Context(), "S4"); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("only the named ones are fetched", func(t *testing.T) {
		t.Parallel()
		fake := filled(3)
		c := newCache(t, resolver.CacheOptions{Sources: sources(fake, 3)})
		if err := c.ResolveAll(t.Context(), []string{"S2", "S2"}); err != nil {
			t.Fatal(err)
		}
		if fake.Calls("0") != 0 || fake.Calls("2") != 1 {
			t.Error(fake.Calls("0"), fake.Calls("2"))
		}
	})
	t.Run("a caller who gives up does so at once", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake := filled(20)
			fake.Delay(10 * time.Second)
			c := newCache(t, resolver.CacheOptions{Sources: sources(fake, 20)})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			if err := c.ResolveAll(ctx, nil); !errors.Is(err, resolver.TimedOut) || time.Since(began) != time.Second {
				t.Error(err, time.Since(began))
			}
			time.Sleep(time.Minute)
			if err := c.ResolveAll(t.Context(), nil); err != nil || fake.Calls("0") != 1 {
				t.Error("the calls went on:", err, fake.Calls("0"))
			}
		})
	})
}

func TestResolveAllBatches(t *testing.T) {
	t.Parallel()
	t.Run("what one store is asked for goes together, and callers of Get join in", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			one, other := filled(30).Batch(), filled(2)
			one.Delay(time.Second)
			list := sources(one, 30)
			for _, s := range sources(other, 2) {
				s.Name += "other"
				list = append(list, s)
			}
			c := newCache(t, resolver.CacheOptions{Sources: list})
			var all sync.WaitGroup
			all.Go(func() {
				if s, err := c.Get(t.Context(), "S0"); err != nil || s.Reveal() != "value-0" {
					t.Error(err)
				}
			})
			synctest.Wait()
			all.Go(func() {
				if err := c.ResolveAll(t.Context(), nil); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			all.Go(func() {
				if s, err := c.Get(t.Context(), "S7"); err != nil || s.Reveal() != "value-7" {
					t.Error(err)
				}
			})
			all.Wait()
			if b := one.Batches(); len(b) != 1 || len(b[0]) != 29 {
				t.Errorf("%d batches", len(b))
			}
			for i := range 30 {
				if one.Calls(fmt.Sprint(i)) != 1 {
					t.Error(i, one.Calls(fmt.Sprint(i)))
				}
			}
		})
	})
	t.Run("one secret needs no batch", func(t *testing.T) {
		t.Parallel()
		store := filled(1).Batch()
		c := newCache(t, resolver.CacheOptions{Sources: sources(store, 1)})
		if err := c.ResolveAll(t.Context(), nil); err != nil || len(store.Batches()) != 0 {
			t.Error(err)
		}
	})
	t.Run("a batch that never ends is given up", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			store := filled(3).Batch()
			store.DelayDeaf(time.Hour)
			c := newCache(t, resolver.CacheOptions{Sources: sources(store, 3)})
			if err := c.ResolveAll(t.Context(), nil); !errors.Is(err, resolver.TimedOut) {
				t.Error(err)
			}
			time.Sleep(time.Hour)
		})
	})
	t.Run("an outcome that is not there is a failure", func(t *testing.T) {
		t.Parallel()
		c := newCache(t, resolver.CacheOptions{Sources: sources(short{filled(3)}, 3)})
		err := c.ResolveAll(t.Context(), nil)
		if !errors.Is(err, resolver.Unavailable) {
			t.Error(err)
		}
		if _, err := c.Get(t.Context(), "S0"); err != nil {
			t.Error(err)
		}
	})
}

// chained is a store that logs in with another secret of the cache.
type chained struct {
	*resolvertest.Fake
	cache **resolver.Cache
}

func (s *chained) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	if _, err := (*s.cache).Get(ctx, "TOKEN"); err != nil {
		return resolver.Result{}, err
	}
	return s.Fake.Resolve(ctx, ref)
}

func TestAStoreThatNeedsASecretOfAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c *resolver.Cache
		tokens := resolvertest.NewFake(map[string]string{"t": "token"})
		tokens.Delay(time.Second)
		store := &chained{filled(20), &c}
		list := append(sources(store, 20), resolver.Source{Name: "TOKEN", Backend: "tokens", Resolver: tokens, Ref: resolver.Ref{ID: "t"}, TTL: -1})
		c = newCache(t, resolver.CacheOptions{Sources: list})
		began := time.Now()
		if err := c.ResolveAll(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != time.Second {
			t.Errorf("it took %v", d)
		}

		tokens.Fail("t", &resolver.Error{Kind: resolver.AccessDenied, Message: "no", Advice: "log in"})
		c = newCache(t, resolver.CacheOptions{Sources: list})
		_, err := c.Get(t.Context(), "S0")
		var e *resolver.Error
		if !errors.As(err, &e) || e.Secret != "S0" || e.Backend != "b" || e.Hint() != "log in" ||
			e.Error() != "resolving S0: b: access denied: the backend's own credential, TOKEN: no" {
			t.Errorf("%v", err)
		}
	})
}

// short is a BatchResolver that forgets all refs but the first.
type short struct{ *resolvertest.Fake }

func (s short) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	return s.Batch().ResolveBatch(ctx, refs[:1])
}

func TestWave(t *testing.T) {
	t.Parallel()
	t.Run("fields of one place come from one fetch", func(t *testing.T) {
		t.Parallel()
		fake := resolvertest.NewFake(map[string]string{"a": `{"x":"ax","y":"ay"}`, "b": `{"x":"bx"}`})
		refs := []resolver.Ref{{ID: "a", Field: "x"}, {ID: "b", Field: "x"}, {ID: "a", Field: "y"}, {ID: "b", Field: "no"}, {ID: "c"}}
		out := resolver.Wave(t.Context(), refs, 8, fake.Resolve, resolver.Field)
		var got []string
		for _, o := range out {
			got = append(got, o.Result.Secret.Reveal()+string(resolver.KindOf(o.Err)))
		}
		if !slices.Equal(got, []string{"ax", "bx", "ay", "field missing", "not found"}) {
			t.Error(got)
		}
		if fake.Calls("a") != 1 || fake.Calls("b") != 1 {
			t.Error("fetched more than once")
		}
	})
}

func TestReport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := filled(2)
		fake.Delay(time.Second)
		c := newCache(t, resolver.CacheOptions{Sources: sources(fake, 3)}) // the third is not there
		began := time.Now()
		c.ResolveAll(t.Context(), nil)
		c.Get(t.Context(), "S0")
		fake.Set("0", "other")
		time.Sleep(time.Hour)
		c.Get(t.Context(), "S0")
		r := c.Report()
		if len(r) != 3 || r[0].Name != "S0" || r[0].Backend != "b" {
			t.Fatalf("%+v", r)
		}
		s := r[0]
		if s.Uses != 3 || s.Hits != 1 || s.Calls != 2 || s.Rotations != 1 || s.Err != nil || s.Latency != time.Second || s.Stale {
			t.Errorf("%+v", s)
		}
		if !s.ResolvedAt.Equal(began.Add(time.Hour+2*time.Second)) || !s.RefreshAt.Equal(s.ResolvedAt.Add(time.Hour)) {
			t.Errorf("%+v", s)
		}
		if !r[1].Stale {
			t.Error("S1 is past its time")
		}
		if !errors.Is(r[2].Err, resolver.NotFound) || r[2].Failures[resolver.NotFound] != 1 {
			t.Errorf("%+v", r[2])
		}
		total := resolver.ByBackend(r)["b"]
		if total.Uses != 5 || total.Calls != 4 || total.Rotations != 1 || total.Failures[resolver.NotFound] != 1 {
			t.Errorf("%+v", total)
		}
		clean(t, "the report", fmt.Sprintf("%+v", r))
	})
}
