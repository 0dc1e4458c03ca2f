package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

func TestAStoreThatIsDownForFiveMinutes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		down      func(*resolvertest.Fake)
		most      int           // calls of the store
		waited    time.Duration // by all requests that follow one another, together
		lastError resolver.Kind
	}{
		// A failure is kept for at least one second.
		"refuses every call": {func(f *resolvertest.Fake) { f.Fail("", broken) }, 300, 0, resolver.Unavailable},
		// A call takes 30 s, and its failure is kept for a second more: ten of them, and 2 s for the first.
		"answers nothing": {func(f *resolvertest.Fake) { f.Delay(time.Hour) }, 10, 2*time.Second + 9*200*time.Millisecond, resolver.TimedOut},
	} {
		t.Run("one that "+name+" costs requests nothing within max_stale, and fails closed after, by name", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cache, fake := open(t, nil)
				want(t, cache, "one")
				time.Sleep(time.Hour)
				c.down(fake)
				due := time.Now()
				var waited time.Duration
				for time.Since(due) < 5*time.Minute {
					began := time.Now()
					var crowd sync.WaitGroup
					for range 20 {
						crowd.Go(func() { want(t, cache, "one") })
					}
					crowd.Wait()
					waited += time.Since(began)
					time.Sleep(500 * time.Millisecond)
				}
				if waited > c.waited {
					t.Errorf("requests waited for %v, at most %v was due", waited, c.waited)
				}
				if n := fake.Calls("k") - 1; n > c.most || c.most > 100 && n < 75 { // counted when they end
					t.Errorf("%d calls", n)
				}
				time.Sleep(10*time.Minute - time.Since(due))
				_, err := cache.Get(t.Context(), "K")
				var e *resolver.Error
				if !errors.As(err, &e) || e.Kind != c.lastError || e.Secret != "K" || e.Backend != "store" || e.Hint() == "" && c.lastError == resolver.TimedOut {
					t.Errorf("past max_stale: %v", err)
				}
				fake.Fail("", nil)
				fake.Delay(0)
				fake.Set("k", "two")
				time.Sleep(time.Minute)
				want(t, cache, "two")
			})
		})
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	t.Run("a hundred requests at the moment of expiry make one call, and all get what it brings", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			fake.Set("k", "two")
			fake.Delay(time.Second)
			time.Sleep(time.Hour)
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() { want(t, c, "two") })
			}
			all.Wait()
			calls(t, fake, 2)
		})
	})
	t.Run("an answer after 40 s comes too late, then and later", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			fake.DelayDeaf(40 * time.Second)
			began := time.Now()
			wantKind(t, c, resolver.TimedOut)
			if d := time.Since(began); d != 30*time.Second {
				t.Errorf("cut after %v", d)
			}
			time.Sleep(10 * time.Second) // it is there now, and nobody took it
			fake.Delay(0)
			fake.Set("k", "two")
			want(t, c, "two")
		})
	})
	t.Run("a lease of less than a second is used for its time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			fake.Lease("k", 400*time.Millisecond)
			for i := range 10 {
				want(t, c, "one")
				want(t, c, "one")
				calls(t, fake, i+1)
				time.Sleep(400 * time.Millisecond)
			}
		})
	})
	t.Run("a value that is due when it comes is used once, and is stale for no longer than max_stale past its time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			past := &dated{Fake: resolvertest.NewFake(map[string]string{"k": "one"}), by: -9 * time.Minute}
			c := newCache(t, resolver.CacheOptions{Sources: []resolver.Source{{Name: "K", Backend: "store", Resolver: past, Ref: resolver.Ref{ID: "k"}, TTL: -1}}})
			want(t, c, "one")
			want(t, c, "one")
			calls(t, past.Fake, 2)
			past.Fail("k", broken)
			want(t, c, "one")
			time.Sleep(time.Minute)
			wantKind(t, c, resolver.Unavailable)
		})
	})
	t.Run("with ttl 0 those who ask at the same time share a call, and nobody gets what an earlier one brought", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, func(s *resolver.Source, _ *resolver.CacheOptions) { s.TTL = 0 })
			fake.Delay(time.Second)
			for i, v := range []string{"one", "two", "three"} {
				fake.Set("k", v)
				var all sync.WaitGroup
				for range 100 {
					all.Go(func() { want(t, c, v) })
				}
				all.Wait()
				calls(t, fake, i+1)
			}
		})
	})
}

// dated is a store whose values are due some time after they came, or before.
type dated struct {
	*resolvertest.Fake
	by time.Duration
}

func (d *dated) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	r, err := d.Fake.Resolve(ctx, ref)
	r.RefreshAt = time.Now().Add(d.by)
	return r, err
}

// lame is a store that takes its time for one secret.
type lame struct {
	*resolvertest.Fake
	id   string
	wait atomic.Int64 // nanoseconds
}

func (l *lame) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	if ref.ID == l.id {
		select {
		case <-time.After(time.Duration(l.wait.Load())):
		case <-ctx.Done():
			return resolver.Result{}, resolver.Transport(ctx.Err())
		}
	}
	return l.Fake.Resolve(ctx, ref)
}

// lameBatch is lame for several at a time; each call is bounded, as stores do it.
type lameBatch struct{ *lame }

func (l lameBatch) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	return resolver.Wave(ctx, refs, resolver.DefaultLimit, func(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
		ctx, cancel := context.WithTimeout(ctx, resolver.DefaultTimeout)
		defer cancel()
		return l.Resolve(ctx, ref)
	}, resolver.Field)
}

func TestOneSecretThatTakes40SecondsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for name, batch := range map[string]bool{"each by itself": false, "in a batch": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				slow := &lame{Fake: filled(20), id: "3"}
				store := resolver.Resolver(slow)
				if batch {
					store = lameBatch{slow}
				}
				c := newCache(t, resolver.CacheOptions{Sources: sources(store, 20)})
				// At the start: the one is cut and named, all others are there.
				slow.wait.Store(int64(40 * time.Second))
				began := time.Now()
				err := c.ResolveAll(t.Context(), nil)
				if d := time.Since(began); d != 30*time.Second || !errors.Is(err, resolver.TimedOut) || strings.Count(err.Error(), "resolving") != 1 || !strings.Contains(err.Error(), "resolving S3: b: timed out") {
					t.Fatalf("after %v: %v", d, err)
				}
				get := func(i int) (string, time.Duration) {
					t.Helper()
					began := time.Now()
					s, err := c.Get(t.Context(), fmt.Sprintf("S%d", i))
					if err != nil {
						t.Errorf("S%d: %v", i, err)
					}
					return s.Reveal(), time.Since(began)
				}
				slow.wait.Store(0)
				time.Sleep(5 * time.Second)
				get(3)
				// While all are fetched anew: the others go on with what they have, and then with what there is.
				slow.wait.Store(int64(40 * time.Second))
				for i := range 20 {
					slow.Set(fmt.Sprint(i), fmt.Sprintf("newer-%d", i))
				}
				renewed := make(chan struct{})
				go func() {
					defer close(renewed)
					if changed, err := c.Renew(t.Context(), nil); len(changed) != 19 || !errors.Is(err, resolver.TimedOut) {
						t.Errorf("%d changed, %v", len(changed), err)
					}
				}()
				time.Sleep(3 * time.Second)
				for i := range 20 {
					v, d := get(i)
					if d != 0 || !batch && i != 3 && v != fmt.Sprintf("newer-%d", i) { // a batch brings all at once
						t.Errorf("S%d is %s after %v", i, v, d)
					}
				}
				<-renewed
				for i := range 20 {
					if v, _ := get(i); i != 3 && v != fmt.Sprintf("newer-%d", i) {
						t.Errorf("S%d is %s", i, v)
					}
				}
			})
		})
	}
}

func TestAStoreThatAnswersNothingIsGivenUpAfterOneRound(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(*resolvertest.Fake) resolver.Resolver{
		"each secret by itself": func(f *resolvertest.Fake) resolver.Resolver { return f },
		"in a wave":             func(f *resolvertest.Fake) resolver.Resolver { return lameBatch{&lame{Fake: f}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake := filled(200)
				fake.Delay(time.Hour)
				c := newCache(t, resolver.CacheOptions{Sources: sources(store(fake), 200)})
				began := time.Now()
				err := c.ResolveAll(t.Context(), nil)
				if d := time.Since(began); d != 30*time.Second {
					t.Errorf("it took %v", d)
				}
				if n := strings.Count(err.Error(), "timed out"); n != 200 {
					t.Errorf("%d secrets are named", n)
				}
				if fake.Most() != resolver.DefaultLimit {
					t.Errorf("%d calls at a time", fake.Most())
				}
			})
		})
	}
	t.Run("one that answers a single call is asked for all", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			slow := &lame{Fake: filled(24)}
			refs := make([]resolver.Ref, 24)
			for i := range refs {
				refs[i].ID = fmt.Sprint(i)
			}
			asked := 0
			var mu sync.Mutex
			resolver.Wave(t.Context(), refs, 8, func(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
				mu.Lock()
				asked++
				first := asked == 1
				mu.Unlock()
				if first {
					return slow.Resolve(ctx, ref)
				}
				time.Sleep(30 * time.Second)
				return resolver.Result{}, &resolver.Error{Kind: resolver.TimedOut}
			}, resolver.Field)
			if asked != 24 {
				t.Errorf("%d were asked for", asked)
			}
		})
	})
}

// torn is a store whose code is broken, in a way that shows a value.
type torn struct{ resolver.Resolver }

func (torn) Resolve(context.Context, resolver.Ref) (resolver.Result, error) { panic(canary) }

// tornBatch is torn for several at a time.
type tornBatch struct{ torn }

func (tornBatch) ResolveBatch(context.Context, []resolver.Ref) []resolver.Outcome { panic(canary) }

func TestAPanicInAStoreIsAnErrorWithoutItsText(t *testing.T) {
	t.Parallel()
	wave := func() error {
		return resolver.Wave(t.Context(), []resolver.Ref{{ID: "k"}}, 1, torn{}.Resolve, resolver.Field)[0].Err
	}
	one := newCache(t, resolver.CacheOptions{Sources: sources(torn{}, 1)}).ResolveAll(t.Context(), nil)
	many := newCache(t, resolver.CacheOptions{Sources: sources(tornBatch{}, 2)}).ResolveAll(t.Context(), nil)
	for _, err := range []error{one, many, wave()} {
		if !errors.Is(err, resolver.Unavailable) {
			t.Errorf("got %v", err)
		}
		clean(t, "the error", fmt.Sprintf("%v %+v", err, err))
	}
}
