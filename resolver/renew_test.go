package resolver_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
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
