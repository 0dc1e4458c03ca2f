package resolver_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

func TestRenew(t *testing.T) {
	t.Parallel()
	renew := func(t *testing.T, c *resolver.Cache, want ...string) {
		t.Helper()
		if changed, err := c.Renew(t.Context(), nil); err != nil || !slices.Equal(changed, want) {
			t.Fatalf("changed %v, %v, want %v", changed, err, want)
		}
	}
	t.Run("a fresh value is fetched again, also right after a Refresh", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			if err := c.Refresh(t.Context(), []string{"K"}); err != nil {
				t.Fatal(err)
			}
			fake.Set("k", "two")
			renew(t, c, "K")
			want(t, c, "two")
			renew(t, c)
			calls(t, fake, 4)
		})
	})
	t.Run("a call that began before is not taken for an answer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			fake.Delay(time.Second)
			go func() { _ = c.Refresh(t.Context(), []string{"K"}) }()
			synctest.Wait()
			fake.Set("k", "two")
			renew(t, c)
			calls(t, fake, 3)
		})
	})
	t.Run("only calls that began before are waited for, not those of others since", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			slow, busy := resolvertest.NewFake(map[string]string{"s": "one"}), resolvertest.NewFake(map[string]string{"b": "one"})
			c := newCache(t, resolver.CacheOptions{Sources: []resolver.Source{
				{Name: "S", Resolver: slow, Ref: resolver.Ref{ID: "s"}}, {Name: "B", Resolver: busy, Ref: resolver.Ref{ID: "b"}}}})
			slow.Delay(20 * time.Second)
			busy.Delay(15 * time.Second)
			get := func(name string) { go func() { _, _ = c.Get(t.Context(), name) }() }
			get("S")
			get("B")
			synctest.Wait()
			began := time.Now()
			time.AfterFunc(19*time.Second, func() { get("B") }) // under way when the one of S ends, until 34 s
			renew(t, c)
			if d := time.Since(began); d != 40*time.Second { // S twice
				t.Errorf("it took %v", d)
			}
			synctest.Wait()
			time.Sleep(time.Minute)
			if slow.Calls("s") != 2 || busy.Calls("b") != 2 {
				t.Errorf("%d and %d calls", slow.Calls("s"), busy.Calls("b"))
			}
		})
	})
	t.Run("a failure is told and the value stays", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c, fake := open(t, nil)
			want(t, c, "one")
			fake.Fail("k", broken)
			if changed, err := c.Renew(t.Context(), nil); !errors.Is(err, resolver.Unavailable) || changed != nil {
				t.Fatalf("changed %v, %v", changed, err)
			}
			want(t, c, "one")
			time.Sleep(5 * time.Second)
			fake.Fail("k", nil)
			fake.Set("k", "two")
			want(t, c, "two")
		})
	})
	t.Run("an unknown name is an error", func(t *testing.T) {
		t.Parallel()
		c, _ := open(t, nil)
		if _, err := c.Renew(t.Context(), []string{"X"}); !errors.Is(err, resolver.InvalidReference) {
			t.Errorf("got %v", err)
		}
	})
}
