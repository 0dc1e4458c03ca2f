package vault_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
	"kz/resolver/vault"
)

func TestTheEndOfASession(t *testing.T) {
	t.Parallel()
	s := real(t)
	lookup := func(t *testing.T, token string) bool {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.addr+"/v1/auth/token/lookup-self", nil)
		r.Header.Set("X-Vault-Token", token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	t.Run("revokes the leases of a token of the user's, those of before too, and not the token", func(t *testing.T) {
		t.Parallel()
		d := s.dynamic(t, "10m")
		token := s.do(t, "POST", "auth/token/create", map[string]any{"policies": []string{d.policy(t, mayRevoke)}})["auth"].(map[string]any)["client_token"].(string)
		clock := newClock()
		store := s.open(t, func(o *vault.Options) { o.Token, o.Now = resolver.NewSecret(token), clock.Now })
		get(t, store, d.ref, "first")
		clock.pass(time.Minute)
		if _, err := store.Resolve(resolver.Anew(t.Context()), d.ref); err != nil {
			t.Fatal(err)
		}
		if n := len(d.leases(t)); n != 2 {
			t.Fatalf("%d leases", n)
		}
		if err := store.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if left := d.leases(t); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		if !lookup(t, token) {
			t.Error("the user's token is revoked")
		}
		fails(t, store, d.ref, resolver.Unavailable)
		if err := store.Close(t.Context()); err != nil {
			t.Errorf("a second time: %v", err)
		}
	})
	for name, log := range map[string]login{"approle": byAppRole, "kubernetes": byKubernetes} {
		t.Run("revokes the tokens of "+name+", and their leases with them", func(t *testing.T) {
			t.Parallel()
			d := s.dynamic(t, "10m")
			set, _ := log(t, s, d.policy(t, ""))
			addr, wire := front(t, s)
			clock := newClock()
			store := open(t, addr, func(o *vault.Options) { set(o); o.Now = clock.Now })
			get(t, store, d.ref, "first")
			clock.pass(9 * time.Minute)
			get(t, store, d.ref, "first")
			if err := store.Close(t.Context()); err != nil {
				t.Error(err)
			}
			tokens := map[string]bool{}
			for _, c := range wire.of(d.mount + "/app") {
				tokens[c.header.Get("X-Vault-Token")] = true
			}
			if len(tokens) != 2 {
				t.Fatalf("%d tokens", len(tokens))
			}
			for token := range tokens {
				if lookup(t, token) {
					t.Error("a token is left")
				}
			}
			for deadline := time.Now().Add(10 * time.Second); len(d.leases(t)) > 0; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("left: %v", d.leases(t)) // Vault revokes what a token holds on its own time
				}
			}
		})
	}
	t.Run("revokes the leases of a login's token that cannot be revoked itself", func(t *testing.T) {
		t.Parallel()
		d := s.dynamic(t, "10m")
		r := s.appRole(t, d.policy(t, mayRevoke), map[string]any{"token_type": "batch"})
		store := open(t, s.addr, r.set)
		get(t, store, d.ref, "first")
		if err := store.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if left := d.leases(t); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
	t.Run("is one error where the policy does not allow a revocation, and says what would", func(t *testing.T) {
		t.Parallel()
		d := s.dynamic(t, "10m")
		token := s.do(t, "POST", "auth/token/create", map[string]any{"policies": []string{d.policy(t, "")}})["auth"].(map[string]any)["client_token"].(string)
		store := s.open(t, func(o *vault.Options) { o.Token = resolver.NewSecret(token) })
		get(t, store, d.ref, "first")
		lease := d.leases(t)[0].(string)
		err := store.Close(t.Context())
		var e *resolver.Error
		if !errors.As(err, &e) || e.Kind != resolver.AccessDenied {
			t.Fatal(err)
		}
		contains(t, e.Error()+" "+e.Hint(), "1 of what this session holds", "ends by itself within", `path "sys/leases/revoke" { capabilities = ["update"] }`)
		resolvertest.NoLeak(t, e, token, lease)
	})
	t.Run("asks nothing where nothing is held", func(t *testing.T) {
		t.Parallel()
		ref, policy := s.shelf(t)
		r := s.appRole(t, policy, nil)
		addr, wire := front(t, s)
		clock := newClock()
		idle := open(t, addr, r.set)
		used := open(t, addr, func(o *vault.Options) { r.set(o); o.Now = clock.Now })
		get(t, used, ref, "v")
		clock.pass(time.Hour) // its token has ended
		if err := errors.Join(idle.Close(t.Context()), used.Close(t.Context())); err != nil {
			t.Error(err)
		}
		if n := len(wire.of("auth/token/revoke-self")); n != 0 {
			t.Errorf("%d revocations", n)
		}
	})
	t.Run("waits for no Vault longer than its context", func(t *testing.T) {
		t.Parallel()
		d := s.dynamic(t, "10m")
		inner := through(t, s, nil)
		stuck := make(chan struct{})
		store := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-stuck:
				mute(w, r)
			default:
				inner(w, r)
			}
		})), func(o *vault.Options) { o.Token = resolver.NewSecret(rootToken) })
		get(t, store, d.ref, "first")
		close(stuck)
		reading := make(chan error, 1)
		go func() { _, err := store.Resolve(t.Context(), resolver.Ref{ID: d.mount + "/other"}); reading <- err }()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		if err := store.Close(ctx); !errors.Is(err, resolver.TimedOut) {
			t.Error(err)
		}
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("it took %v", d)
		}
		select {
		case <-reading:
		case <-time.After(10 * time.Second):
			t.Error("a call that was under way goes on")
		}
	})
}
