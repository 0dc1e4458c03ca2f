package vault_test

import (
	"context"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/vault"
)

func TestLeasesThatNobodyAsksForAreKept(t *testing.T) {
	t.Parallel()
	s := real(t)
	t.Run("with the token that they are bound to", func(t *testing.T) {
		t.Parallel()
		d := s.dynamic(t, "5s")
		addr, wire := front(t, s)
		store := open(t, addr, s.appRole(t, d.policy(t, ""), map[string]any{"token_ttl": "6s"}).set)
		ctx, cancel := context.WithCancel(t.Context())
		store.Keep(ctx) // nothing is held: it returns
		get(t, store, d.ref, "first")
		before := d.leases(t)
		ended := make(chan struct{})
		go func() { store.Keep(ctx); close(ended) }()
		// Without renewals, both would have ended.
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			renewals, reads := wire.of("auth/token/renew-self"), wire.of(d.mount+"/app")
			if len(renewals) > 0 && len(reads) > 0 && time.Since(reads[0].at) > 6200*time.Millisecond {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d renewals of the token, %d of the lease", len(renewals), len(wire.of("sys/leases/renew")))
			}
		}
		if after := d.leases(t); len(before) != 1 || len(after) != 1 || before[0] != after[0] {
			t.Errorf("the leases were %v and are %v", before, after)
		}
		if n := len(wire.of(d.mount + "/app")); n != 1 {
			t.Errorf("%d reads", n)
		}
		cancel()
		<-ended
		if err := store.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a lease that cannot be renewed is left to end", func(t *testing.T) {
		t.Parallel()
		d := s.dynamic(t, "")
		addr, wire := front(t, s)
		clock := newClock()
		store := open(t, addr, func(o *vault.Options) { o.Token, o.Now = resolver.NewSecret(rootToken), clock.Now })
		get(t, store, d.ref, "first")
		clock.pass(50 * time.Minute)
		store.Keep(t.Context())
		if n := len(wire.of("sys/leases/renew")); n != 0 {
			t.Errorf("%d renewals", n)
		}
	})
}
