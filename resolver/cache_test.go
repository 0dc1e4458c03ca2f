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

// open makes a cache of one secret, K, of a fake.
func open(t *testing.T, change func(*resolver.Source, *resolver.CacheOptions)) (*resolver.Cache, *resolvertest.Fake) {
	t.Helper()
	fake := resolvertest.NewFake(map[string]string{"k": "one"})
	src := resolver.Source{Name: "K", Backend: "store", Resolver: fake, Ref: resolver.Ref{ID: "k"}, TTL: -1}
	var o resolver.CacheOptions
	if change != nil {
		change(&src, &o)
	}
	o.Sources = append(o.Sources, src)
	c, err := resolver.NewCache(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, fake
}

func want(t *testing.T, c *resolver.Cache, value string) {
	t.Helper()
	s, err := c.Get(t.Context(), "K")
	if err != nil || s.Reveal() != value {
		t.Fatalf("got %q %v, want %q", s.Reveal(), err, value)
	}
}

func wantKind(t *testing.T, c *resolver.Cache, kind resolver.Kind) {
	t.Helper()
	s, err := c.Get(t.Context(), "K")
	if !errors.Is(err, kind) || !s.IsZero() {
		t.Fatalf("got %v, want %s", err, kind)
	}
}

func calls(t *testing.T, f *resolvertest.Fake, n int) {
	t.Helper()
	if got := f.Calls("k"); got != n {
		t.Fatalf("%d calls of the store, want %d", got, n)
	}
}

var broken = &resolver.Error{Kind: resolver.Unavailable, Message: "down"}

func TestCacheFreshness(t *testing.T) {
	t.Parallel()
	t.Run("a value is fetched at its first use, kept for an hour, and fetched again at the next use", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			calls(t, fake, 0)
			want(t, c, "one")
			fake.Set("k", "two")
			time.Sleep(time.Hour - time.Nanosecond)
			want(t, c, "one")
			calls(t, fake, 1)
			time.Sleep(time.Nanosecond)
			want(t, c, "two")
			time.Sleep(20 * time.Hour)
			calls(t, fake, 2) // nothing runs in the background
		})
	})
	t.Run("ttl says otherwise", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, func(s *resolver.Source, _ *resolver.CacheOptions) { s.TTL = time.Minute })
			want(t, c, "one")
			fake.Set("k", "two")
			time.Sleep(59 * time.Second)
			want(t, c, "one")
			time.Sleep(time.Second)
			want(t, c, "two")
		})
	})
	t.Run("a lease goes before the hour, and ttl before a longer lease", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			fake.Lease("k", 8*time.Minute)
			want(t, c, "one")
			time.Sleep(8 * time.Minute)
			want(t, c, "one")
			calls(t, fake, 2)
			c, fake = open(t, func(s *resolver.Source, _ *resolver.CacheOptions) { s.TTL = time.Minute })
			fake.Lease("k", 8*time.Minute)
			want(t, c, "one")
			time.Sleep(time.Minute)
			want(t, c, "one")
			calls(t, fake, 2)
		})
	})
	t.Run("with ttl 0 every use asks the store, and a failure is not papered over", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, func(s *resolver.Source, _ *resolver.CacheOptions) { s.TTL = 0 })
			want(t, c, "one")
			want(t, c, "one")
			calls(t, fake, 2)
			fake.Fail("k", broken)
			wantKind(t, c, resolver.Unavailable)
		})
	})
}

func TestCacheStale(t *testing.T) {
	t.Parallel()
	t.Run("while the store fails the last value is served for ten minutes, then the failure", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			fake.Fail("k", broken)
			time.Sleep(time.Hour)
			want(t, c, "one")
			time.Sleep(10*time.Minute - time.Nanosecond)
			want(t, c, "one")
			time.Sleep(time.Nanosecond)
			wantKind(t, c, resolver.Unavailable)
			time.Sleep(3 * time.Second)
			fake.Fail("k", nil)
			fake.Set("k", "two")
			want(t, c, "two")
		})
	})
	t.Run("max_stale says for how long", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, func(s *resolver.Source, _ *resolver.CacheOptions) { s.MaxStale = time.Nanosecond })
			want(t, c, "one")
			fake.Fail("k", broken)
			time.Sleep(time.Hour + time.Nanosecond)
			wantKind(t, c, resolver.Unavailable)
		})
	})
	t.Run("a slow refresh holds a caller up for two seconds, and is used once it is there", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			time.Sleep(time.Hour)
			fake.Set("k", "two")
			fake.Delay(10 * time.Second)
			began := time.Now()
			want(t, c, "one")
			if d := time.Since(began); d != 2*time.Second {
				t.Errorf("it took %v", d)
			}
			time.Sleep(8 * time.Second)
			synctest.Wait()
			want(t, c, "two")
			calls(t, fake, 2)
		})
	})
	t.Run("a slow refresh that ends after max_stale is waited for", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, func(s *resolver.Source, _ *resolver.CacheOptions) { s.MaxStale = time.Second })
			want(t, c, "one")
			time.Sleep(time.Hour)
			fake.Set("k", "two")
			fake.Delay(10 * time.Second)
			want(t, c, "two")
		})
	})
}

func TestCacheFailures(t *testing.T) {
	t.Parallel()
	t.Run("a failure is kept for one to three seconds, not always the same time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			times := map[time.Duration]bool{}
			for range 20 {
				c, fake := open(t, nil)
				fake.Fail("k", broken)
				wantKind(t, c, resolver.Unavailable)
				began := time.Now()
				for fake.Calls("k") == 1 {
					wantKind(t, c, resolver.Unavailable)
					time.Sleep(time.Millisecond)
				}
				d := time.Since(began)
				if d < time.Second || d > 3*time.Second+time.Millisecond {
					t.Fatalf("asked again after %v", d)
				}
				times[d] = true
			}
			if len(times) < 3 {
				t.Error("no jitter")
			}
		})
	})
	t.Run("an error names the secret and the backend, and keeps nothing of an unknown error", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			fake.Fail("k", fmt.Errorf("wrapped %s: %w", canary, &resolver.Error{Kind: resolver.Throttled, Advice: "wait"}))
			_, err := c.Get(t.Context(), "K")
			var e *resolver.Error
			if !errors.As(err, &e) || e.Secret != "K" || e.Backend != "store" || e.Kind != resolver.Throttled || e.Hint() != "wait" {
				t.Errorf("%#v", err)
			}
			clean(t, "the error", fmt.Sprintf("%v %+v", err, err))
			time.Sleep(3 * time.Second)
			fake.Fail("k", errors.New(canary))
			_, err = c.Get(t.Context(), "K")
			if !errors.Is(err, resolver.Unavailable) {
				t.Error(err)
			}
			clean(t, "the error", fmt.Sprintf("%v %+v %v", err, err, errors.Unwrap(err)))
		})
	})
	t.Run("a store that never answers is given up at the limit, whether it heeds its context or not", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			for _, deaf := range []bool{false, true} {
				c, fake := open(t, nil)
				fake.Delay(24 * time.Hour)
				if deaf {
					fake.DelayDeaf(24 * time.Hour)
				}
				began := time.Now()
				wantKind(t, c, resolver.TimedOut)
				if d := time.Since(began); d != 30*time.Second {
					t.Errorf("after %v", d)
				}
			}
			time.Sleep(24 * time.Hour) // let the deaf one end
		})
	})
	t.Run("an unknown name is an error of its own", func(t *testing.T) {
		t.Parallel()
		c, _ := open(t, nil)
		_, err := c.Get(t.Context(), "OTHER")
		_, err2 := c.Refresh(t.Context(), "OTHER")
		for _, err := range []error{err, err2, c.ResolveAll(t.Context(), []string{"OTHER"})} {
			if !errors.Is(err, resolver.InvalidReference) || !strings.Contains(err.Error(), "OTHER") {
				t.Error(err)
			}
		}
	})
}

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
				if _, err := c.Refresh(t.Context(), "K"); err != nil {
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
	t.Run("a refresh says whether the value changed, at most one call in 30 seconds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			refresh := func(want bool) {
				t.Helper()
				if changed, err := c.Refresh(t.Context(), "K"); err != nil || changed != want {
					t.Fatal(changed, err)
				}
			}
			want(t, c, "one")
			refresh(false)
			calls(t, fake, 2)
			fake.Set("k", "two")
			time.Sleep(30*time.Second - 1)
			refresh(false)
			calls(t, fake, 2)
			time.Sleep(1)
			refresh(true)
			calls(t, fake, 3)
			want(t, c, "two")
			refresh(true) // another request that was refused with the old value
			calls(t, fake, 3)
		})
	})
	t.Run("when it fails the old value stays, and is due", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			fake.Fail("k", broken)
			if changed, err := c.Refresh(t.Context(), "K"); changed || !errors.Is(err, resolver.Unavailable) {
				t.Fatal(changed, err)
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
			c.Refresh(t.Context(), "K")
			time.Sleep(5 * time.Minute)
			c.Refresh(t.Context(), "K") // does not begin the time anew
			time.Sleep(5 * time.Minute)
			wantKind(t, c, resolver.Unavailable)
		})
	})
	t.Run("a caller who gives up does so at once", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			fake.Delay(10 * time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := c.Refresh(ctx, "K"); !errors.Is(err, resolver.TimedOut) {
				t.Error(err)
			}
			time.Sleep(10 * time.Second) // the call ends by itself
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
