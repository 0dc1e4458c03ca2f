package resolver_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

func TestCacheSharesCalls(t *testing.T) {
	t.Parallel()
	t.Run("many callers make one call", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			fake.Delay(time.Second)
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() { want(t, c, "one") })
			}
			all.Go(func() {
				if err := c.ResolveAll(t.Context(), nil); err != nil {
					t.Error(err)
				}
			})
			all.Go(func() {
				if err := c.Refresh(t.Context(), []string{"K"}); err != nil {
					t.Error(err)
				}
			})
			all.Wait()
			calls(t, fake, 1)
		})
	})
	t.Run("a caller who gives up does so at once, and the others get the value", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			fake.Delay(10 * time.Second)
			ctx, cancel := context.WithCancel(t.Context())
			began := time.Now()
			var all sync.WaitGroup
			all.Go(func() {
				_, err := c.Get(ctx, "K") // the first: the call is made for it
				if d := time.Since(began); !errors.Is(err, context.Canceled) || d != time.Second {
					t.Errorf("%v after %v", err, d)
				}
			})
			synctest.Wait()
			all.Go(func() { want(t, c, "one") })
			time.Sleep(time.Second)
			cancel()
			all.Wait()
			calls(t, fake, 1)
		})
	})
}

func TestCacheRefresh(t *testing.T) {
	t.Parallel()
	refresh := func(t *testing.T, c *resolver.Cache) error { return c.Refresh(t.Context(), []string{"K"}) }
	t.Run("a refresh makes at most one call in 30 seconds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			again := func(made int) {
				t.Helper()
				if err := refresh(t, c); err != nil {
					t.Fatal(err)
				}
				calls(t, fake, made)
			}
			want(t, c, "one")
			again(2)
			fake.Set("k", "two")
			time.Sleep(30*time.Second - 1)
			again(2)
			want(t, c, "one")
			time.Sleep(time.Nanosecond)
			again(3)
			want(t, c, "two")
			again(3) // another request that was refused with the old value
		})
	})
	t.Run("a store that makes a new value for each who asks is asked ever less often", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			store := &pairs{}
			c := newCache(t, resolver.CacheOptions{Sources: fieldsOf(store)})
			again := func(d time.Duration) {
				for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
					if err := c.Refresh(t.Context(), []string{"password"}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := c.Get(t.Context(), "password"); err != nil {
				t.Fatal(err)
			}
			again(24 * time.Hour)
			if store.fetches < 140 || store.fetches > 150 { // every 10 min
				t.Errorf("%d values were made in a day", store.fetches)
			}
			time.Sleep(20 * time.Minute) // all is well for a while
			before := store.fetches
			again(time.Minute)
			if n := store.fetches - before; n != 2 {
				t.Errorf("%d values in the minute after", n)
			}
		})
	})
	t.Run("a call that was under way before the refusal is not the one in 30 seconds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			time.Sleep(time.Hour)
			fake.Delay(time.Second)
			go func() { _, _ = c.Get(t.Context(), "K") }()
			synctest.Wait()
			if err := refresh(t, c); err != nil { // it waits for that call
				t.Fatal(err)
			}
			calls(t, fake, 2)
			fake.Set("k", "two")
			if err := refresh(t, c); err != nil {
				t.Fatal(err)
			}
			calls(t, fake, 3)
			want(t, c, "two")
		})
	})
	t.Run("when it fails the old value stays, and is due", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			fake.Fail("k", broken)
			if err := refresh(t, c); !errors.Is(err, resolver.Unavailable) {
				t.Fatal(err)
			}
			want(t, c, "one")
			time.Sleep(3 * time.Second)
			fake.Fail("k", nil)
			fake.Set("k", "two")
			want(t, c, "two")
		})
	})
	t.Run("a failing one does not serve the refused value for longer than max_stale", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			fake.Fail("k", broken)
			_ = refresh(t, c)
			time.Sleep(5 * time.Minute)
			_ = refresh(t, c) // does not begin the time anew
			time.Sleep(5 * time.Minute)
			wantKind(t, c, resolver.Unavailable)
		})
	})
	t.Run("a caller who gives up does so at once, be it before, and the call is made all the same", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			fake.Set("k", "two")
			fake.Delay(10 * time.Second)
			for _, d := range []time.Duration{0, time.Second} {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				defer cancel()
				began := time.Now()
				if err := c.Refresh(ctx, []string{"K"}); !errors.Is(err, resolver.TimedOut) || time.Since(began) != d {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			}
			time.Sleep(10 * time.Second) // the call ends by itself
			calls(t, fake, 2)
			want(t, c, "two")
		})
	})
}

func TestCacheOnValue(t *testing.T) {
	t.Parallel()
	t.Run("each new value is announced before anyone gets it, an unchanged one is not", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var announced []string
			var now atomic.Value
			c, fake := open(t, func(_ *resolver.Source, o *resolver.CacheOptions) {
				o.OnValue = func(name string, s resolver.Secret) error {
					time.Sleep(time.Minute) // callers have to wait for this
					announced = append(announced, name+"="+s.Reveal())
					now.Store(s.Reveal())
					return nil
				}
			})
			for i, value := range []string{"one", "one", "two", "one"} {
				fake.Set("k", value)
				var all sync.WaitGroup
				for range 3 {
					all.Go(func() {
						s, err := c.Get(t.Context(), "K")
						if err != nil || s.Reveal() != value && (i == 0 || s.Reveal() == value) {
							t.Errorf("%q %v", s.Reveal(), err)
						}
						if i == 0 && now.Load() == nil {
							t.Error("not announced yet")
						}
					})
				}
				all.Wait()
				time.Sleep(2 * time.Hour)
			}
			if got := strings.Join(announced, " "); got != "K=one K=two K=one" {
				t.Error(got)
			}
		})
	})
	t.Run("a refused value is not used", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			refusal := errors.New("too short")
			c, fake := open(t, func(_ *resolver.Source, o *resolver.CacheOptions) {
				o.OnValue = func(_ string, s resolver.Secret) error {
					if s.Reveal() == "short" {
						return refusal
					}
					return nil
				}
			})
			fake.Set("k", "short")
			if s, err := c.Get(t.Context(), "K"); !errors.Is(err, refusal) || !s.IsZero() {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			fake.Set("k", "long")
			want(t, c, "long")
			fake.Set("k", "short")
			time.Sleep(time.Hour)
			want(t, c, "long")
			time.Sleep(10 * time.Minute)
			if _, err := c.Get(t.Context(), "K"); !errors.Is(err, refusal) {
				t.Fatal(err)
			}
		})
	})
}

func TestNewCacheReportsEveryProblem(t *testing.T) {
	t.Parallel()
	fake := resolvertest.NewFake(nil)
	_, err := resolver.NewCache(resolver.CacheOptions{Sources: []resolver.Source{
		{Backend: "b", Resolver: fake}, {Name: "A", Resolver: fake}, {Name: "A", Resolver: fake}, {Name: "B"},
	}})
	for _, part := range []string{`backend "b"`, "named A", "source B"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v lacks %s", err, part)
		}
	}
}
