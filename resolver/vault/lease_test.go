package vault_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/vault"
)

// dynamic is a mount that leases what is read; each reading is a lease of its own, of the value as it is then.
type dynamic struct {
	s     *server
	mount string
	ref   resolver.Ref
}

func (s *server) dynamic(t *testing.T, ttl string) *dynamic {
	t.Helper()
	mount := s.mount(t, "leased-kv", "")
	d := &dynamic{s: s, mount: mount, ref: resolver.Ref{ID: mount + "/app", Field: "value"}}
	d.write(t, "first", ttl)
	return d
}

// write changes the value; without a ttl its leases cannot be renewed.
func (d *dynamic) write(t *testing.T, value, ttl string) {
	t.Helper()
	body := map[string]string{"value": value, "password": value + "-password"}
	if ttl != "" {
		body["ttl"] = ttl
	}
	d.s.do(t, "POST", d.mount+"/app", body)
}

// leases are the identities of the mount's leases that Vault has.
func (d *dynamic) leases(t *testing.T) []any {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "LIST", d.s.addr+"/v1/sys/leases/lookup/"+d.mount+"/app", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", rootToken)
	keys, _ := d.s.answer(t, r)["data"].(map[string]any)["keys"].([]any)
	return keys
}

// policy reads the mount, and may do what else is given.
func (d *dynamic) policy(t *testing.T, more string) string {
	t.Helper()
	name := fmt.Sprintf("policy%d", d.s.serial.Add(1))
	d.s.writePolicy(t, name, fmt.Sprintf(`path "%s/*" { capabilities = ["read"] } %s`, d.mount, more))
	return name
}

const mayRevoke = `path "sys/leases/revoke" { capabilities = ["update"] }`

func due(t *testing.T, r resolver.Result, from time.Time, want time.Duration) {
	t.Helper()
	if d := r.RefreshAt.Sub(from); d < want-2*time.Second || d > want+2*time.Second {
		t.Errorf("due in %v, want %v", d, want)
	}
}

func TestALeaseIsRenewedWhenFourFifthsAreOver(t *testing.T) {
	t.Parallel()
	s := real(t)
	d := s.dynamic(t, "10m")
	addr, wire := front(t, s)
	clock := newClock()
	store := open(t, addr, func(o *vault.Options) { o.Token, o.Now = resolver.NewSecret(rootToken), clock.Now })
	reads := func(want, renewals int, when string) {
		t.Helper()
		if n, m := len(wire.of(d.mount+"/app")), len(wire.of("sys/leases/renew")); n != want || m != renewals {
			t.Errorf("%d reads and %d renewals %s, want %d and %d", n, m, when, want, renewals)
		}
	}
	due(t, get(t, store, d.ref, "first"), clock.Now(), 8*time.Minute)
	d.write(t, "second", "10m")
	get(t, store, d.ref, "first")
	get(t, store, resolver.Ref{ID: d.ref.ID, Field: "password"}, "first-password")
	reads(1, 0, "at first")
	clock.pass(8*time.Minute - time.Second)
	get(t, store, d.ref, "first")
	reads(1, 0, "before four fifths")
	clock.pass(time.Second)
	due(t, get(t, store, d.ref, "first"), clock.Now(), 8*time.Minute)
	get(t, store, resolver.Ref{ID: d.ref.ID, Field: "password"}, "first-password")
	reads(1, 1, "when it is due")
	clock.pass(9 * time.Minute)
	get(t, store, d.ref, "first")
	reads(1, 2, "when it is due again")
	clock.pass(11 * time.Minute)
	get(t, store, d.ref, "second")
	reads(2, 2, "once it has ended")
	d.write(t, "third", "10m")
	get(t, store, d.ref, "second")

	t.Run("a value that an upstream refuses is read anew, its fields of one lease", func(t *testing.T) {
		clock.pass(time.Minute)
		for field, want := range map[string]string{"value": "third", "password": "third-password"} {
			r, err := store.Resolve(resolver.Anew(t.Context()), resolver.Ref{ID: d.ref.ID, Field: field})
			if err != nil || r.Secret.Reveal() != want {
				t.Errorf("%s: %v", field, err)
			}
		}
		reads(3, 2, "after a refusal")
	})
	t.Run("a lease that somebody has revoked is read anew when it is due", func(t *testing.T) {
		s.do(t, "POST", "sys/leases/revoke-prefix/"+d.mount, `{"sync":true}`)
		d.write(t, "fourth", "10m")
		clock.pass(8 * time.Minute)
		get(t, store, d.ref, "fourth")
		reads(4, 3, "after a revocation")
	})
	t.Run("a herd that finds it due has one renewal", func(t *testing.T) {
		clock.pass(8 * time.Minute)
		var herd sync.WaitGroup
		for range 50 {
			herd.Go(func() { get(t, store, d.ref, "fourth") })
		}
		herd.Wait()
		reads(4, 4, "for a herd")
	})
}

func TestTheCacheReadsALeasedValueAnewAfterARefusal(t *testing.T) {
	t.Parallel()
	s := real(t)
	d := s.dynamic(t, "10m")
	clock := newClock()
	store := s.open(t, func(o *vault.Options) { o.Now = clock.Now })
	cache, err := resolver.NewCache(resolver.CacheOptions{Now: clock.Now, Sources: []resolver.Source{
		{Name: "A", Backend: "vault", Resolver: store, Ref: d.ref, TTL: -1}, {Name: "B", Backend: "vault", Resolver: store, Ref: d.ref, TTL: time.Minute},
	}})
	if err != nil {
		t.Fatal(err)
	}
	use := func(name, want string) {
		t.Helper()
		if v, err := cache.Get(t.Context(), name); err != nil || v.Reveal() != want {
			t.Errorf("%s is %q, want %q: %v", name, v.Reveal(), want, err)
		}
	}
	use("A", "first")
	d.write(t, "second", "10m")
	clock.pass(9 * time.Minute)
	use("A", "first") // renewed
	use("B", "first") // a shorter ttl asks more often, and does not cost a lease each time
	if err := cache.Refresh(t.Context(), []string{"A"}); err != nil {
		t.Error(err)
	}
	use("A", "second")
	d.write(t, "third", "10m")
	clock.pass(time.Minute)
	if _, err := cache.Renew(t.Context(), nil); err != nil {
		t.Error(err)
	}
	use("A", "third")
	use("B", "third")
}

func TestALeaseThatCannotBeRenewedIsReadAnew(t *testing.T) {
	t.Parallel()
	s := real(t)
	t.Run("because its engine does not", func(t *testing.T) {
		t.Parallel()
		d := s.dynamic(t, "")
		clock := newClock()
		addr, wire := front(t, s)
		store := open(t, addr, func(o *vault.Options) { o.Token, o.Now = resolver.NewSecret(rootToken), clock.Now })
		due(t, get(t, store, d.ref, "first"), clock.Now(), 48*time.Minute)
		d.write(t, "second", "")
		clock.pass(47 * time.Minute)
		get(t, store, d.ref, "first")
		clock.pass(time.Minute)
		get(t, store, d.ref, "second")
		if n := len(wire.of("sys/leases/renew")); n != 0 {
			t.Errorf("%d renewals", n)
		}
	})
	t.Run("because its longest time is nearly over", func(t *testing.T) {
		t.Parallel()
		d := s.dynamic(t, "10m")
		clock := newClock()
		store := s.open(t, func(o *vault.Options) { o.Now = clock.Now })
		get(t, store, d.ref, "first")
		s.do(t, "POST", "sys/mounts/"+d.mount+"/tune", map[string]string{"default_lease_ttl": "2m", "max_lease_ttl": "2m"})
		d.write(t, "second", "2m")
		clock.pass(8 * time.Minute)
		get(t, store, d.ref, "second")
	})
	t.Run("because the policy does not allow it", func(t *testing.T) {
		t.Parallel()
		d := s.dynamic(t, "10m")
		token := s.do(t, "POST", "auth/token/create", map[string]any{"policies": []string{d.policy(t, "")}, "no_default_policy": true})["auth"].(map[string]any)["client_token"].(string)
		clock := newClock()
		store := s.open(t, func(o *vault.Options) { o.Token, o.Now = resolver.NewSecret(token), clock.Now })
		get(t, store, d.ref, "first")
		d.write(t, "second", "10m")
		clock.pass(8 * time.Minute)
		get(t, store, d.ref, "second")
	})
}

func TestALeaseEndsWithItsLogin(t *testing.T) {
	t.Parallel()
	s := real(t)
	d := s.dynamic(t, "1h")
	r := s.appRole(t, d.policy(t, ""), nil)
	clock := newClock()
	store := open(t, s.addr, func(o *vault.Options) { r.set(o); o.Now = clock.Now })
	due(t, get(t, store, d.ref, "first"), clock.Now(), 8*time.Minute) // of the token's ten, since Vault revokes the lease with it
	d.write(t, "second", "1h")
	clock.pass(7 * time.Minute)
	get(t, store, d.ref, "first")
	clock.pass(time.Minute + time.Second)
	due(t, get(t, store, d.ref, "second"), clock.Now(), 8*time.Minute)
}

func TestVaultAwayAtARenewal(t *testing.T) {
	t.Parallel()
	s := real(t)
	d := s.dynamic(t, "10m")
	clock := newClock()
	var away sync.Map
	addr := serve(t, through(t, s, func(w http.ResponseWriter, r *http.Request) bool {
		_, is := away.Load(strings.TrimPrefix(r.URL.Path, "/v1/"))
		if is {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return is
	}))
	store := open(t, addr, func(o *vault.Options) { o.Token, o.Now = resolver.NewSecret(rootToken), clock.Now })
	get(t, store, d.ref, "first")
	away.Store("sys/leases/renew", true)
	d.write(t, "second", "10m")
	clock.pass(8 * time.Minute)
	fails(t, store, d.ref, resolver.Unavailable) // the cache serves its value on: another one is not asked for
	away.Delete("sys/leases/renew")
	get(t, store, d.ref, "first")
}

// TestALeaseOfFiveSeconds is the one that takes its time: through the cache, in real time.
func TestALeaseOfFiveSeconds(t *testing.T) {
	t.Parallel()
	s := real(t)
	for range 3 { // a machine that stands still for a second says nothing
		d := s.dynamic(t, "5s")
		addr, wire := front(t, s)
		store := open(t, addr, func(o *vault.Options) { o.Token = resolver.NewSecret(rootToken) })
		cache, err := resolver.NewCache(resolver.CacheOptions{Sources: []resolver.Source{{Name: "A", Backend: "vault", Resolver: store, Ref: d.ref, TTL: -1}}})
		if err != nil {
			t.Fatal(err)
		}
		var last time.Time
		var pause time.Duration
		use := func() string {
			t.Helper()
			v, err := cache.Get(t.Context(), "A")
			if err != nil {
				t.Fatal(err)
			}
			if !last.IsZero() {
				pause = max(pause, time.Since(last))
			}
			last = time.Now()
			return v.Reveal()
		}
		use()
		d.write(t, "second", "5s") // what a new lease would bring
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(10 * time.Second); len(wire.of("sys/leases/renew")) == 0 && time.Now().Before(deadline); <-tick.C {
			use()
		}
		value, reads, renewals := use(), wire.of(d.mount+"/app"), wire.of("sys/leases/renew")
		if len(renewals) > 0 {
			after := renewals[0].at.Sub(reads[0].at)
			if after < 3900*time.Millisecond {
				t.Fatalf("renewed after %v, want four fifths of 5 s", after)
			}
			if after < 4900*time.Millisecond && len(reads) == 1 && value == "first" {
				return
			}
		}
		if pause < 500*time.Millisecond {
			t.Fatalf("%d reads and %d renewals, the value is %q", len(reads), len(renewals), value)
		}
	}
	t.Error("the machine stands still again and again")
}
