package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
	"kz/resolver/vault"
)

// shelf is a KV v1 mount with a secret "app" of the value v, and a policy that reads it.
func (s *server) shelf(t *testing.T) (ref resolver.Ref, policy string) {
	t.Helper()
	mount := s.mount(t, "kv", "1")
	s.do(t, "POST", mount+"/app", `{"value":"v"}`)
	policy = fmt.Sprintf("policy%d", s.serial.Add(1))
	s.writePolicy(t, policy, fmt.Sprintf(`path "%s/*" { capabilities = ["read"] }`, mount))
	return resolver.Ref{ID: mount + "/app"}, policy
}

// revokeAll ends every token of an auth method.
func (s *server) revokeAll(t *testing.T, mount string) {
	t.Helper()
	s.do(t, "POST", "sys/leases/revoke-prefix/auth/"+mount, `{"sync":true}`)
}

func TestALoginIsKeptForFourFifthsOfItsLife(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]func(*testing.T, *server, string) (func(*vault.Options), string){
		"approle": func(t *testing.T, s *server, policy string) (func(*vault.Options), string) {
			r := s.appRole(t, policy, nil)
			return r.set, r.mount
		},
		"kubernetes": func(t *testing.T, s *server, policy string) (func(*vault.Options), string) {
			k := s.kubernetes(t, policy, nil)
			return k.set, k.mount
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := real(t)
			ref, policy := s.shelf(t)
			set, mount := log(t, s, policy)
			addr, wire := front(t, s)
			clock := newClock()
			store := open(t, addr, func(o *vault.Options) { set(o); o.Now = clock.Now })
			logins := func(want int, when string) {
				t.Helper()
				get(t, store, ref, "v")
				if n := len(wire.of("auth/" + mount + "/login")); n != want {
					t.Errorf("%d logins %s, want %d", n, when, want)
				}
			}
			logins(1, "at first")
			clock.pass(8*time.Minute - time.Second) // of ten
			logins(1, "before four fifths")
			clock.pass(2 * time.Second)
			logins(2, "after them")
			logins(2, "right after")
			clock.pass(8*time.Minute + time.Second)
			logins(3, "again")
		})
	}
}

func TestARefusedTokenMeansOneNewLogin(t *testing.T) {
	t.Parallel()
	s := real(t)
	ref, policy := s.shelf(t)
	r := s.appRole(t, policy, nil)
	addr, wire := front(t, s)
	store := open(t, addr, r.set)
	get(t, store, ref, "v")
	for range 2 {
		s.revokeAll(t, r.mount)
		before := len(wire.of("auth/" + r.mount + "/login"))
		var herd sync.WaitGroup
		for range 60 {
			herd.Go(func() { get(t, store, ref, "v") })
		}
		herd.Wait()
		if n := len(wire.of("auth/"+r.mount+"/login")) - before; n != 1 {
			t.Errorf("%d logins for a herd", n)
		}
	}
}

func TestAMissingPermissionIsNoReasonToLogInForEver(t *testing.T) {
	t.Parallel()
	s := real(t)
	ref, policy := s.shelf(t)
	r := s.appRole(t, policy, nil)
	addr, wire := front(t, s)
	clock := newClock()
	store := open(t, addr, func(o *vault.Options) { r.set(o); o.Now = clock.Now })
	closed := resolver.Ref{ID: s.mount(t, "kv", "1") + "/app"}
	for range 10 {
		e := fails(t, store, closed, resolver.AccessDenied)
		contains(t, e.Error()+" "+e.Hint(), `/app" { capabilities = ["read"] }`, "vault token capabilities")
	}
	if n := len(wire.of("auth/" + r.mount + "/login")); n != 2 {
		t.Errorf("%d logins, want the first and one more", n)
	}
	s.revokeAll(t, r.mount)
	get(t, store, ref, "v") // a token that is dead is another matter, also now
	if n := len(wire.of("auth/" + r.mount + "/login")); n != 3 {
		t.Errorf("%d logins after the token has died, want 3", n)
	}
	if err := store.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAWrappedSecretIDIsUnwrappedOnce(t *testing.T) {
	t.Parallel()
	s := real(t)
	ref, policy := s.shelf(t)
	r := s.appRole(t, policy, nil)
	wrapped := r.wrapped(t)
	addr, wire := front(t, s)
	clock := newClock()
	set := func(o *vault.Options) {
		r.set(o)
		o.SecretID, o.WrappedSecretID, o.Now = resolver.Secret{}, resolver.NewSecret(wrapped+"\n"), clock.Now
	}
	store := open(t, addr, set)
	var herd sync.WaitGroup
	for range 40 {
		herd.Go(func() { get(t, store, ref, "v") })
	}
	herd.Wait()
	for range 3 {
		clock.pass(time.Hour)
		get(t, store, ref, "v")
	}
	if n, logins := len(wire.of("sys/wrapping/unwrap")), len(wire.of("auth/"+r.mount+"/login")); n != 1 || logins != 4 {
		t.Errorf("unwrapped %d times for %d logins, want 1 and 4", n, logins)
	}

	t.Run("another run that comes too late is told what that may mean, and asks once", func(t *testing.T) {
		late := open(t, addr, set)
		for range 3 {
			e := fails(t, late, ref, resolver.AccessDenied)
			contains(t, e.Error()+" "+e.Hint(), "unwrapped already", "somebody else may have read it", "vault write -wrap-ttl=10m -f auth/"+r.mount+"/role/NAME/secret-id")
			resolvertest.NoLeak(t, e, wrapped)
			clock.pass(time.Minute)
		}
		if n := len(wire.of("sys/wrapping/unwrap")); n != 2 {
			t.Errorf("unwrapped %d times in all, want 2", n)
		}
	})
	t.Run("what holds no secret ID is not taken for one", func(t *testing.T) {
		other := open(t, addr, func(o *vault.Options) {
			set(o)
			o.WrappedSecretID = resolver.NewSecret(s.wrap(t, "auth/"+r.mount+"/role/app/role-id"))
		})
		contains(t, fails(t, other, ref, resolver.InvalidReference).Error(), "no secret ID")
	})
}

// wrap reads a path into a wrapping token.
func (s *server) wrap(t *testing.T, path string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.addr+"/v1/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.wrapRequest(t, r)
}

func TestLoginsThatFailForGood(t *testing.T) {
	t.Parallel()
	s := real(t)
	ref, policy := s.shelf(t)
	r, k := s.appRole(t, policy, nil), s.kubernetes(t, policy, nil)
	spent := s.appRole(t, policy, map[string]any{"secret_id_num_uses": 1, "token_ttl": "10m"})
	get(t, open(t, s.addr, spent.set), ref, "v")
	stranger := k.token("kz", "stranger", "vault")
	elsewhere := k.token("kz", "proxy", "elsewhere")
	forged := s.kubernetes(t, policy, nil).token("kz", "proxy", "vault")
	file := func(text string) string {
		path := t.TempDir() + "/token"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		set  func(*vault.Options)
		kind resolver.Kind
		text []string
	}{
		"a wrong secret ID": {func(o *vault.Options) { r.set(o); o.SecretID = resolver.NewSecret("sid-canary") }, resolver.AccessDenied,
			[]string{"status 400", "secret ID is wrong, used up or expired", "vault write -f auth/" + r.mount + "/role/NAME/secret-id"}},
		"a secret ID that is used up": {spent.set, resolver.AccessDenied, []string{"used up"}},
		"no secret ID": {func(o *vault.Options) { r.set(o); o.SecretID = resolver.Secret{} }, resolver.AccessDenied,
			[]string{"the backend has none", `secret_id = { secret = "NAME" }`}},
		"a wrong role ID": {func(o *vault.Options) { r.set(o); o.RoleID = "no-such" }, resolver.AccessDenied, []string{"role_id"}},
		"no such method": {func(o *vault.Options) { r.set(o); o.AuthMount = "nowhere" }, resolver.AccessDenied,
			[]string{"status 403", "no AppRole method is mounted", "vault auth list", "auth_mount"}},
		"a role that Kubernetes has not": {func(o *vault.Options) { k.set(o); o.Role = "no-such" }, resolver.AccessDenied,
			[]string{"no such role", "vault list auth/" + k.mount + "/role"}},
		"another service account": {func(o *vault.Options) { k.set(o); o.JWTPath = file(stranger) }, resolver.AccessDenied,
			[]string{"status 403", "bound_service_account_names", "vault read auth/" + k.mount + "/role/app"}},
		"a token for somebody else":  {func(o *vault.Options) { k.set(o); o.JWTPath = file(elsewhere) }, resolver.AccessDenied, []string{"audience"}},
		"a token of another cluster": {func(o *vault.Options) { k.set(o); o.JWTPath = file(forged) }, resolver.AccessDenied, []string{"service account"}},
		"what is no token":           {func(o *vault.Options) { k.set(o); o.JWTPath = file("jwt-canary") }, resolver.AccessDenied, []string{"service account"}},
		"an empty file":              {func(o *vault.Options) { k.set(o); o.JWTPath = file("\n") }, resolver.AccessDenied, []string{"there is no token in"}},
		"no file":                    {func(o *vault.Options) { k.set(o); o.JWTPath = "/nowhere/token" }, resolver.AccessDenied, []string{"/nowhere/token", "jwt_path"}},
		"a wrapped secret ID, expired": {func(o *vault.Options) {
			r.set(o)
			o.SecretID, o.WrappedSecretID = resolver.Secret{}, resolver.NewSecret("hvs.wrap-canary")
		}, resolver.AccessDenied, []string{"unwrapped already, or has expired"}},
		"a wrapped secret ID of two lines": {func(o *vault.Options) {
			r.set(o)
			o.SecretID, o.WrappedSecretID = resolver.Secret{}, resolver.NewSecret("wrap-canary\nhvs.b")
		}, resolver.AccessDenied, []string{"characters that no token has"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, wire := front(t, s)
			clock := newClock()
			store := open(t, addr, func(o *vault.Options) { c.set(o); o.Now = clock.Now })
			e := fails(t, store, ref, c.kind)
			contains(t, e.Error()+" "+e.Hint(), c.text...)
			resolvertest.NoLeak(t, e, "canary", r.secretID, spent.secretID, k.jwt, stranger, elsewhere, forged, strings.Split(k.jwt, ".")[1])
			if err := store.Check(t.Context()); !errors.Is(err, c.kind) {
				t.Errorf("Check says %v", err)
			}
			asked := len(wire.of("auth/" + r.mount + "/login"))
			fails(t, store, ref, c.kind)
			if n := len(wire.of("auth/" + r.mount + "/login")); n != asked {
				t.Error("a login that was refused is tried again at once, until Vault locks the role out")
			}
			if asked > 0 && c.kind == resolver.AccessDenied {
				clock.pass(11 * time.Second)
				fails(t, store, ref, c.kind)
				if n := len(wire.of("auth/" + r.mount + "/login")); n != asked+1 {
					t.Error("it is not tried again later either")
				}
			}
		})
	}
}

func TestTheServiceAccountsTokenIsReadAtEachLogin(t *testing.T) {
	t.Parallel()
	s := real(t)
	ref, policy := s.shelf(t)
	k := s.kubernetes(t, policy, nil)
	clock := newClock()
	store := open(t, s.addr, func(o *vault.Options) { k.set(o); o.Now = clock.Now })
	get(t, store, ref, "v")
	k.mountToken(t, k.token("kz", "stranger", "vault"))
	get(t, store, ref, "v") // the login is kept
	clock.pass(11 * time.Minute)
	fails(t, store, ref, resolver.AccessDenied)
	k.mountToken(t, k.token("kz", "proxy", "vault"))
	clock.pass(11 * time.Second)
	get(t, store, ref, "v")
}

func TestATokenGoesOnWhileTheNextLoginFails(t *testing.T) {
	t.Parallel()
	s := real(t)
	ref, policy := s.shelf(t)
	r := s.appRole(t, policy, nil)
	clock := newClock()
	store := open(t, s.addr, func(o *vault.Options) { r.set(o); o.Now = clock.Now })
	get(t, store, ref, "v")
	s.do(t, "POST", r.path+"/secret-id/destroy", map[string]string{"secret_id": r.secretID})
	clock.pass(9 * time.Minute)
	get(t, store, ref, "v")
	clock.pass(2 * time.Minute)
	fails(t, store, ref, resolver.AccessDenied)
}

func TestACallerWhoGivesUpLeavesTheLoginToOthers(t *testing.T) {
	t.Parallel()
	s := real(t)
	ref, policy := s.shelf(t)
	r := s.appRole(t, policy, nil)
	began, goOn := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	inner, wire := front(t, s)
	addr := serve(t, redirect(inner, func(path string) {
		if strings.HasSuffix(path, "/login") && once.CompareAndSwap(false, true) {
			close(began)
			<-goOn
		}
	}))
	store := open(t, addr, r.set)
	ctx, cancel := context.WithCancel(t.Context())
	impatient := make(chan error, 1)
	go func() { _, err := store.Resolve(ctx, ref); impatient <- err }()
	<-began
	cancel()
	select {
	case err := <-impatient:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a canceled caller waits for the login")
	}
	close(goOn)
	get(t, store, ref, "v")
	if n := len(wire.of("auth/" + r.mount + "/login")); n != 1 {
		t.Errorf("%d logins", n)
	}
}

// redirect passes requests on to another server, after hook.
func redirect(to string, hook func(path string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hook(r.URL.Path)
		http.Redirect(w, r, to+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	})
}

func TestSettingsOfALogin(t *testing.T) {
	t.Parallel()
	secret := resolver.NewSecret("x")
	for text, o := range map[string]vault.Options{
		"role_id is missing":          {Auth: "approle", SecretID: secret},
		"are both given":              {Auth: "approle", RoleID: "r", SecretID: secret, WrappedSecretID: secret},
		"role is missing":             {Auth: "kubernetes"},
		"auth_mount is not a plain":   {Auth: "kubernetes", Role: "r", AuthMount: "a/../../sys"},
		"auth is not token, approle ": {Auth: "ldap"},
	} {
		if _, err := vault.New(o); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %q", err, text)
		}
	}
	for _, mount := range []string{"/team/approle/", "auth/team/approle"} {
		var asked atomic.Value
		store := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.CompareAndSwap(nil, r.URL.Path)
			w.WriteHeader(http.StatusForbidden)
		})), func(o *vault.Options) { o.Auth, o.AuthMount, o.RoleID = "approle", mount, "r" })
		fails(t, store, resolver.Ref{ID: "secret/app"}, resolver.AccessDenied)
		if got := asked.Load(); got != "/v1/auth/team/approle/login" {
			t.Errorf("asked for %v", got)
		}
	}
}
