package vault_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
	"kz/resolver/vault"
	"kz/test/bed"
)

func TestTheNamespaceIsOnEveryCall(t *testing.T) {
	t.Parallel()
	s := real(t)
	d := s.dynamic(t, "10m")
	kv := s.mount(t, "kv", "2")
	waitForKV2(t, s, kv)
	policy := d.policy(t, mayRevoke+` path "`+kv+`/*" { capabilities = ["read", "create", "update"] }`)
	role := s.appRole(t, policy, nil)
	wrapped := role.wrapped(t)
	k := s.kubernetes(t, policy, nil)
	token := s.do(t, "POST", "auth/token/create", map[string]any{"policies": []string{policy}, "ttl": "10m"})["auth"].(map[string]any)["client_token"].(string)
	for name, c := range map[string]struct {
		set   func(*vault.Options)
		paths []string // beside those that all make
	}{
		"token": {func(o *vault.Options) { o.Token = resolver.NewSecret(token) },
			[]string{"auth/token/renew-self", "sys/leases/renew", "sys/leases/revoke"}},
		"approle": {func(o *vault.Options) {
			role.set(o)
			o.SecretID, o.WrappedSecretID = resolver.Secret{}, resolver.NewSecret(wrapped)
		}, []string{"sys/wrapping/unwrap", "auth/" + role.mount + "/login", "auth/token/revoke-self"}},
		"kubernetes": {k.set, []string{"auth/" + k.mount + "/login", "auth/token/revoke-self"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, wire := front(t, s)
			clock := newClock()
			store := open(t, addr, func(o *vault.Options) { c.set(o); o.Namespace, o.Now = "team/a", clock.Now })
			ref := resolver.Ref{ID: kv + "/" + name, Field: "key"}
			if err := store.Put(t.Context(), ref, resolver.NewSecret("v")); err != nil {
				t.Fatal(err)
			}
			get(t, store, ref, "v")
			get(t, store, d.ref, "first")
			if err := store.Check(t.Context()); err != nil {
				t.Error(err)
			}
			clock.pass(9 * time.Minute)
			get(t, store, d.ref, "first")
			if name == "token" { // it is renewed beside the reading
				for deadline := time.Now().Add(10 * time.Second); len(wire.of("auth/token/renew-self")) == 0 && time.Now().Before(deadline); {
					time.Sleep(time.Millisecond)
				}
			}
			if err := store.Close(t.Context()); err != nil {
				t.Error(err)
			}
			for _, path := range append(c.paths, kv+"/data/"+name, d.mount+"/app", "auth/token/lookup-self", "sys/internal/ui/mounts/"+kv+"/"+name) {
				if len(wire.of(path)) == 0 {
					t.Errorf("%s was not asked for", path)
				}
			}
			wire.mu.Lock()
			defer wire.mu.Unlock()
			for _, call := range wire.calls {
				if call.header.Get("X-Vault-Namespace") != "team/a" || call.header.Get("X-Vault-Request") != "true" {
					t.Errorf("%s %s has the namespace %q", call.method, call.path, call.header.Get("X-Vault-Namespace"))
				}
				if login := strings.HasSuffix(call.path, "/login"); login != (call.header.Get("X-Vault-Token") == "") {
					t.Errorf("%s %s has a token, or lacks one", call.method, call.path)
				}
			}
		})
	}
}

func TestASealedVault(t *testing.T) {
	t.Parallel()
	v := bed.NewVault(t)
	v.Put("secret/app", map[string]any{"value": "v"})
	v.Call("POST", "sys/auth/approle", map[string]string{"type": "approle"})
	v.Call("POST", "auth/approle/role/app", map[string]string{"token_policies": "default"})
	s := &server{addr: v.Addr}
	byToken := open(t, s.addr, func(o *vault.Options) { o.Token = resolver.NewSecret(v.Token) })
	byRole := open(t, s.addr, func(o *vault.Options) {
		o.Auth, o.RoleID, o.SecretID = "approle", "r", resolver.NewSecret("sid-canary")
	})
	wrapped := open(t, s.addr, func(o *vault.Options) {
		o.Auth, o.RoleID, o.WrappedSecretID = "approle", "r", resolver.NewSecret("wrap-canary")
	})
	ref := resolver.Ref{ID: "secret/app"}
	get(t, byToken, ref, "v")
	v.Call("PUT", "sys/seal", nil)
	if err := byToken.Check(t.Context()); !errors.Is(err, resolver.Unavailable) {
		t.Errorf("Check says %v", err)
	}
	var all sync.WaitGroup // each tries again, and waits in between
	for name, store := range map[string]*vault.Store{"a read": byToken, "a login": byRole, "an unwrapping": wrapped} {
		all.Go(func() {
			_, err := store.Resolve(t.Context(), ref)
			var e *resolver.Error
			if !errors.As(err, &e) || e.Kind != resolver.Unavailable {
				t.Errorf("%s: %v", name, err)
				return
			}
			contains(t, e.Error()+" "+e.Hint(), "Vault is sealed (status 503, sealed)", "vault operator unseal")
			resolvertest.NoLeak(t, e, "canary")
		})
	}
	all.Wait()
	v.Call("PUT", "sys/unseal", map[string]string{"key": v.UnsealKey})
	get(t, byToken, ref, "v")
	fails(t, byRole, ref, resolver.AccessDenied)
	fails(t, wrapped, ref, resolver.AccessDenied) // it is asked again: that Vault was sealed says nothing about it
}

func TestAStandbyNode(t *testing.T) {
	t.Parallel()
	ref := resolver.Ref{ID: "secret/app"}
	active := one(func() string { return fakeToken })
	t.Run("leads to the active one, with the token", func(t *testing.T) {
		t.Parallel()
		to := serve(t, active)
		get(t, open(t, serve(t, redirect(to, func(string) {})), nil), ref, "v")
	})
	t.Run("may lead from http to https", func(t *testing.T) {
		t.Parallel()
		var mu sync.Mutex
		var tokens []string
		srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			tokens = append(tokens, r.Header.Get("X-Vault-Token"))
			active.ServeHTTP(w, r)
		}))
		t.Cleanup(srv.Close)
		ca := pemFile(t, srv)
		get(t, open(t, serve(t, redirect(srv.URL, func(string) {})), func(o *vault.Options) { o.CACert = ca }), ref, "v")
		mu.Lock()
		defer mu.Unlock()
		for _, token := range tokens {
			if token != fakeToken {
				t.Errorf("the active node got the token %q", token)
			}
		}
	})
	t.Run("may not lead from https to http, not with a login either", func(t *testing.T) {
		t.Parallel()
		plain := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			t.Errorf("it was asked %s with %q %s", r.URL.Path, r.Header.Get("X-Vault-Token"), body)
		}))
		srv := httptest.NewTLSServer(redirect(plain, func(string) {}))
		t.Cleanup(srv.Close)
		ca := pemFile(t, srv)
		for _, auth := range []string{"token", "approle"} {
			e := fails(t, open(t, srv.URL, func(o *vault.Options) {
				o.CACert, o.Auth, o.RoleID, o.SecretID = ca, auth, "r", resolver.NewSecret("sid-canary")
			}), ref, resolver.Unavailable)
			contains(t, e.Error()+" "+e.Hint(), "status 307", "not over https", "api_addr")
		}
	})
	t.Run("without an active one is unavailable", func(t *testing.T) {
		t.Parallel()
		for status, body := range map[int]string{473: "", 472: "", 500: `{"errors":["local node not active but active cluster node not found"]}`} {
			e := fails(t, open(t, serve(t, answer(status, body)), nil), ref, resolver.Unavailable)
			contains(t, e.Error()+" "+e.Hint(), "on standby", "vault status")
		}
	})
}

// TestNoLoginShowsItsCredentials has Vault answer a login in every way, with the credentials in its answer. It does so in
// a process of its own, in which the library is told to say all it can: nothing is printed.
func TestNoLoginShowsItsCredentials(t *testing.T) {
	t.Parallel()
	if os.Getenv("KZ_TEST_LOGINS_CHILD") == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoLoginShowsItsCredentials$")
		child.Env = []string{"KZ_TEST_LOGINS_CHILD=1", "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(), "VAULT_LOG_LEVEL=trace", "VAULT_LOG_FORMAT=json", "VAULT_DETAILED=1"}
		out, err := child.CombinedOutput()
		if said, _, _ := strings.Cut(string(out), "coverage:"); err != nil || said != "PASS\n" {
			t.Errorf("%v: it says %s", err, out)
		}
		return
	}
	const secretID, wrapping, jwt, role = "sid-canary-09b", "hvs.wrap-canary-5e1", "eyJhbGciOiJub25lIn0.and-canary-77c.c2ln", "role-canary-41d"
	echo := `{"errors":["1 error occurred: $TOKEN $VALUE $BODY"],"auth":null,"data":{"secret_id":7}}`
	file := t.TempDir() + "/token"
	if err := os.WriteFile(file, []byte(jwt), 0o600); err != nil {
		t.Fatal(err)
	}
	logins := map[string]func(*vault.Options){
		"approle": func(o *vault.Options) { o.Auth, o.RoleID, o.SecretID = "approle", role, resolver.NewSecret(secretID) },
		"wrapped": func(o *vault.Options) {
			o.Auth, o.RoleID, o.WrappedSecretID = "approle", role, resolver.NewSecret(wrapping)
		},
		"kubernetes": func(o *vault.Options) { o.Auth, o.Role, o.JWTPath = "kubernetes", "app", file },
	}
	answers := map[string]struct {
		status int
		body   string
	}{
		"refusing": {400, echo}, "denying": {403, echo}, "knowing nothing": {404, echo}, "throttling": {429, echo}, "failing": {500, echo},
		"sealed": {503, `{"errors":["Vault is sealed","$BODY"]}`}, "a page": {502, "<html>$BODY"}, "sending elsewhere": {307, echo}, "a redirect that is none": {302, echo},
		"no Vault": {200, "$BODY"}, "no token": {200, `{"auth":{"client_token":""},"warnings":["$BODY"]}`}, "another type": {200, `{"auth":"$BODY","data":"$BODY"}`},
		"a token that is none": {200, `{"auth":{"client_token":"hvs.\ncanary"},"data":{"secret_id":"sid\ncanary"}}`},
	}
	var all sync.WaitGroup // not subtests: most of the time they wait between attempts
	defer all.Wait()
	for by, set := range logins {
		for name, a := range answers {
			all.Go(func() {
				addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					if a.status == 307 {
						w.Header().Set("Location", r.URL.Path+"?"+wrapping)
					}
					w.WriteHeader(a.status)
					text := strings.NewReplacer("$TOKEN", r.Header.Get("X-Vault-Token"), "$VALUE", resolvertest.Canary,
						"$BODY", strings.ReplaceAll(string(body), `"`, `'`)).Replace(a.body)
					_, _ = io.WriteString(w, text)
				}))
				store := open(t, addr, func(o *vault.Options) { o.Token = resolver.Secret{}; set(o) })
				_, err := store.Resolve(t.Context(), resolver.Ref{ID: "secret/app"})
				errs := []error{err}
				if a.status < 429 { // what passes is tried again each time
					errs = append(errs, store.Check(t.Context()),
						store.Put(t.Context(), resolver.Ref{ID: "secret/app"}, resolver.NewSecret(resolvertest.Canary)))
				}
				for _, err := range append(errs, store.Close(t.Context())) {
					var e *resolver.Error
					if err != nil && !errors.As(err, &e) {
						t.Errorf("%s, %s: %T %v", by, name, err, err)
					}
					resolvertest.NoLeak(t, err, "canary", secretID, wrapping, jwt)
				}
				if err == nil {
					t.Errorf("%s, %s: there is no error", by, name)
				}
			})
		}
	}
}
