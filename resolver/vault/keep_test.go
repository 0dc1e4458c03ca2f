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
	for name, c := range map[string]struct {
		log    login
		tokens string // the path of its token's renewals
	}{
		"token": {byToken, ""},
		"approle, whose own token is kept as well": {func(t *testing.T, s *server, policy string) (func(*vault.Options), []string) {
			return s.appRole(t, policy, map[string]any{"token_ttl": "6s"}).set, nil
		}, "auth/token/renew-self"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := s.dynamic(t, "5s")
			addr, wire := front(t, s)
			set, _ := c.log(t, s, d.policy(t, mayRevoke))
			store := open(t, addr, set)
			ctx, cancel := context.WithCancel(t.Context())
			store.Keep(ctx) // nothing is held: it returns
			get(t, store, d.ref, "first")
			before := d.leases(t)
			ended := make(chan struct{})
			go func() { store.Keep(ctx); close(ended) }()
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			// Without renewals, both would have ended.
			for over := time.Now().Add(6500 * time.Millisecond); time.Now().Before(over); <-tick.C {
			}
			if len(wire.of("sys/leases/renew")) == 0 || c.tokens != "" && len(wire.of(c.tokens)) == 0 {
				t.Errorf("%d renewals of the lease", len(wire.of("sys/leases/renew")))
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
	}
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
