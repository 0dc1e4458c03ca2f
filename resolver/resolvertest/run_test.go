package resolvertest_test

import (
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

func TestFakeIsAStore(t *testing.T) {
	t.Parallel()
	resolvertest.Run(t, func(t *testing.T) resolvertest.Harness {
		fake := resolvertest.NewFake(nil)
		return resolvertest.Harness{
			Resolver: fake.Batch(),
			Put:      func(_ *testing.T, id, value string) { fake.Set(id, value) },
			Deny: func(_ *testing.T, id string) {
				fake.Fail(id, &resolver.Error{Kind: resolver.AccessDenied, Advice: "ask"})
			},
			Down: func(*testing.T) resolver.Resolver {
				down := resolvertest.NewFake(nil)
				down.Fail("", &resolver.Error{Kind: resolver.Unavailable, Advice: "wait"})
				return down
			},
			Silent: func(_ *testing.T, limit time.Duration) resolver.Resolver {
				silent := resolvertest.NewFake(nil)
				silent.Delay(time.Hour)
				silent.SetLimit(limit)
				return silent
			},
		}
	})
}
