package resolver_test

import (
	"errors"
	"fmt"
	"strings"
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
		err2 := c.Refresh(t.Context(), []string{"OTHER"})
		for _, err := range []error{err, err2, c.ResolveAll(t.Context(), []string{"OTHER"})} {
			if !errors.Is(err, resolver.InvalidReference) || !strings.Contains(err.Error(), "OTHER") {
				t.Error(err)
			}
		}
	})
}
