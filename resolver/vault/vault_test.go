package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
	"kz/resolver/vault"
)

// waitForKV2 waits until a new mount has upgraded itself.
func waitForKV2(t *testing.T, s *server, mount string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		r, _ := http.NewRequest(http.MethodPost, s.addr+"/v1/"+mount+"/data/ready", strings.NewReader(`{"data":{"a":"b"}}`))
		r.Header.Set("X-Vault-Token", rootToken)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode < 300 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the mount is not ready: %d", resp.StatusCode)
		}
	}
}

func get(t *testing.T, s resolver.Resolver, ref resolver.Ref, want string) resolver.Result {
	t.Helper()
	r, err := s.Resolve(t.Context(), ref)
	if err != nil || r.Secret.Reveal() != want {
		t.Errorf("%+v: %q %v, want %q", ref, r.Secret.Reveal(), err, want)
	}
	return r
}

// fails resolves and returns the error, which shows no token and no value.
func fails(t *testing.T, s resolver.Resolver, ref resolver.Ref, kind resolver.Kind) *resolver.Error {
	t.Helper()
	_, err := s.Resolve(t.Context(), ref)
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("%v, want %s", err, kind)
	}
	if e.Hint() == "" {
		t.Errorf("no hint: %v", err)
	}
	resolvertest.NoLeak(t, err, fakeToken, rootToken, resolvertest.Canary)
	return e
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q lacks %q", text, part)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	s := real(t)
	v2, v1 := s.mount(t, "kv", "2"), s.mount(t, "kv", "1")
	waitForKV2(t, s, v2)
	s.do(t, "POST", v2+"/data/team/app", `{"data":{"api_key":"two"}}`)
	s.do(t, "POST", v2+"/data/data", `{"data":{"api_key":"named data"}}`)
	s.do(t, "POST", v1+"/team/app", `{"api_key":"one"}`)
	s.do(t, "POST", v1+"/data/app", `{"api_key":"one, in data"}`)
	for name, c := range map[string]struct {
		mount string
		ref   resolver.Ref
		want  string
	}{
		"KV v2 without the /data/ segment":    {"", resolver.Ref{ID: v2 + "/team/app"}, "two"},
		"KV v2 with it":                       {"", resolver.Ref{ID: v2 + "/data/team/app"}, "two"},
		"slashes around it":                   {"", resolver.Ref{ID: "/" + v2 + "/team/app/"}, "two"},
		"KV v2 below the backend's mount":     {v2, resolver.Ref{ID: "team/app"}, "two"},
		"the mount with slashes":              {"/" + v2 + "/", resolver.Ref{ID: "team/app"}, "two"},
		"the backend's mount, said twice":     {v2, resolver.Ref{ID: v2 + "/team/app"}, "two"},
		"with /data/ below the mount":         {v2, resolver.Ref{ID: "data/team/app"}, "two"},
		"below the reference's mount":         {"elsewhere", resolver.Ref{ID: "team/app", Mount: v2}, "two"},
		"a secret named data":                 {"", resolver.Ref{ID: v2 + "/data/data"}, "named data"},
		"KV v1":                               {"", resolver.Ref{ID: v1 + "/team/app"}, "one"},
		"KV v1 keeps a data segment as it is": {"", resolver.Ref{ID: v1 + "/data/app"}, "one, in data"},
		"KV v1 below the backend's mount":     {v1, resolver.Ref{ID: "team/app"}, "one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			get(t, s.open(t, func(o *vault.Options) { o.Mount = c.mount }), c.ref, c.want)
		})
	}
	t.Run("a token that may read one path alone, KV v2 and v1", func(t *testing.T) {
		t.Parallel()
		token := s.token(t, fmt.Sprintf(`path "%s/data/team/app" { capabilities = ["read"] }
			path "%s/team/app" { capabilities = ["read"] }`, v2, v1), nil)
		store := s.open(t, func(o *vault.Options) { o.Token = resolver.NewSecret(token) })
		get(t, store, resolver.Ref{ID: v2 + "/team/app"}, "two")
		get(t, store, resolver.Ref{ID: v1 + "/team/app"}, "one")
	})
	t.Run("a token that may not ask for the mount", func(t *testing.T) {
		t.Parallel()
		token := s.token(t, fmt.Sprintf(`path "sys/internal/ui/mounts/*" { capabilities = ["deny"] }
			path "%s/data/team/app" { capabilities = ["read"] }
			path "%s/team/app" { capabilities = ["read"] }`, v2, v1), nil)
		store := s.open(t, func(o *vault.Options) { o.Token = resolver.NewSecret(token) })
		get(t, store, resolver.Ref{ID: v2 + "/team/app"}, "two")
		get(t, store, resolver.Ref{ID: v2 + "/data/team/app"}, "two")
		get(t, store, resolver.Ref{ID: v1 + "/team/app"}, "one")
		e := fails(t, store, resolver.Ref{ID: v2 + "/other"}, resolver.AccessDenied)
		contains(t, e.Error()+" "+e.Hint(), v2+"/data/other", "read", "status 403")
	})
	t.Run("a mount of several segments, KV v2 and v1", func(t *testing.T) {
		t.Parallel()
		team := fmt.Sprintf("team%d", s.serial.Add(1))
		two, one := team+"/kv/two", team+"/kv/one"
		s.do(t, "POST", "sys/mounts/"+two, map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
		s.do(t, "POST", "sys/mounts/"+one, map[string]any{"type": "kv", "options": map[string]string{"version": "1"}})
		waitForKV2(t, s, two)
		s.do(t, "POST", two+"/data/data/app", `{"data":{"value":"two"}}`)
		s.do(t, "POST", one+"/data/app", `{"value":"one"}`)
		store := s.open(t, nil)
		get(t, store, resolver.Ref{ID: two + "/data/data/app"}, "two")
		get(t, store, resolver.Ref{ID: one + "/data/app"}, "one")
		get(t, s.open(t, func(o *vault.Options) { o.Mount = two }), resolver.Ref{ID: "data/data/app"}, "two")
		token := s.token(t, fmt.Sprintf(`path "sys/internal/ui/mounts/*" { capabilities = ["deny"] }
			path "%s/*" { capabilities = ["read"] }`, two), nil)
		get(t, s.open(t, func(o *vault.Options) { o.Token, o.Mount = resolver.NewSecret(token), two }), resolver.Ref{ID: "data/data/app"}, "two")
	})
	t.Run("a mount that is not there", func(t *testing.T) {
		t.Parallel()
		e := fails(t, s.open(t, nil), resolver.Ref{ID: "nowhere/app"}, resolver.NotFound)
		contains(t, e.Error()+" "+e.Hint(), `nothing is mounted where "nowhere/app" leads`, "vault secrets list")
	})
	t.Run("a mount that was made anew with another version", func(t *testing.T) {
		t.Parallel()
		path := s.mount(t, "kv", "1")
		store := s.open(t, nil)
		s.do(t, "POST", path+"/a", `{"value":"one"}`)
		get(t, store, resolver.Ref{ID: path + "/a"}, "one")
		s.do(t, "DELETE", "sys/mounts/"+path, nil)
		s.do(t, "POST", "sys/mounts/"+path, map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
		waitForKV2(t, s, path)
		s.do(t, "POST", path+"/data/a", `{"data":{"value":"two"}}`)
		store.Resolve(t.Context(), resolver.Ref{ID: path + "/a"})
		get(t, store, resolver.Ref{ID: path + "/a"}, "two")
	})
}

func TestPathsThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	store := open(t, serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked for") })), nil)
	for _, id := range []string{"secret/../sys/raw", "..", "secret/./a", "secret//a", "secret/a\nb", "/"} {
		if _, err := store.Resolve(t.Context(), resolver.Ref{ID: id}); !errors.Is(err, resolver.InvalidReference) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := vault.New(vault.Options{Mount: "a/../b", Address: "https://u:pw@h"}); err == nil ||
		!strings.Contains(err.Error(), "mount") || !strings.Contains(err.Error(), "address") || strings.Contains(err.Error(), "pw") {
		t.Error(err)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	s := real(t)
	mount := s.mount(t, "kv", "2")
	waitForKV2(t, s, mount)
	for i := 1; i <= 3; i++ {
		s.do(t, "POST", mount+"/data/app", fmt.Sprintf(`{"data":{"value":"v%d"}}`, i))
	}
	s.do(t, "POST", mount+"/destroy/app", `{"versions":[2]}`)
	store := s.open(t, nil)
	id := mount + "/app"
	get(t, store, resolver.Ref{ID: id}, "v3")
	get(t, store, resolver.Ref{ID: id, Version: 1}, "v1")
	contains(t, fails(t, store, resolver.Ref{ID: id, Version: 2}, resolver.NotFound).Error(), "version 2", "destroyed")
	nine := fails(t, store, resolver.Ref{ID: id, Version: 9}, resolver.NotFound)
	contains(t, nine.Error()+" "+nine.Hint(), "no version 9", "vault read "+strings.Replace(id, "/", "/metadata/", 1))
	s.do(t, "DELETE", mount+"/data/app", nil)
	e := fails(t, store, resolver.Ref{ID: id}, resolver.NotFound)
	contains(t, e.Error()+" "+e.Hint(), "version 3", "deleted", "undelete")
}

func TestDefaultField(t *testing.T) {
	t.Parallel()
	s := real(t)
	mount := s.mount(t, "kv", "1")
	store := s.open(t, nil)
	for i, c := range []struct{ object, field, want string }{
		{`{"token":"t","apiKey":"k","accessToken":"a","value":"v"}`, "", "v"},
		{`{"token":"t","apiKey":"k","accessToken":"a"}`, "", "a"},
		{`{"token":"t","apiKey":"k","x":"y"}`, "", "k"},
		{`{"token":"t","x":"y"}`, "", "t"},
		{`{"only/~one":"o"}`, "", "o"},
		{`{"only":{"a":"é"}}`, "", `{"a":"é"}`},
		{`{"b":"é","a":"2"}`, "", `{"a":"2","b":"é"}`},
		{`{"apiToken":"p","value":"v"}`, "auto", "p"},
	} {
		id := fmt.Sprintf("%s/o%d", mount, i)
		s.do(t, "POST", id, c.object)
		get(t, store, resolver.Ref{ID: id, Field: c.field}, c.want)
	}
	s.do(t, "POST", mount+"/none", `{"a":"`+resolvertest.Canary+`","b":"2"}`)
	fails(t, store, resolver.Ref{ID: mount + "/none", Field: "auto"}, resolver.FieldMissing)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := real(t)
	mount := s.mount(t, "kv", "1")
	s.do(t, "POST", mount+"/app", `{"value":"v"}`)
	policy := fmt.Sprintf(`path "%s/*" { capabilities = ["read"] }`, mount)
	ref := resolver.Ref{ID: mount + "/app"}

	t.Run("a renewable token is renewed before it ends", func(t *testing.T) {
		t.Parallel()
		token := s.token(t, policy, map[string]any{"ttl": "10m", "renewable": true})
		var mu sync.Mutex
		now := time.Now()
		store := s.open(t, func(o *vault.Options) {
			o.Token = resolver.NewSecret(token)
			o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		})
		ttl := func() float64 {
			return s.do(t, "POST", "auth/token/lookup", map[string]string{"token": token})["data"].(map[string]any)["last_renewal_time"].(float64)
		}
		r := get(t, store, ref, "v")
		if d := r.RefreshAt.Sub(now); d < 7*time.Minute || d > 8*time.Minute {
			t.Fatalf("due in %v", d)
		}
		mu.Lock()
		now = r.RefreshAt
		mu.Unlock()
		r = get(t, store, ref, "v")
		if d := r.RefreshAt.Sub(now); d < 7*time.Minute || d > 8*time.Minute {
			t.Errorf("due in %v", d)
		}
		if ttl() == 0 {
			t.Error("it was not renewed")
		}
	})
	t.Run("a token that cannot be renewed sets no time", func(t *testing.T) {
		t.Parallel()
		token := s.token(t, policy, map[string]any{"ttl": "10m", "renewable": false})
		if r := get(t, s.open(t, func(o *vault.Options) { o.Token = resolver.NewSecret(token) }), ref, "v"); !r.RefreshAt.IsZero() {
			t.Error(r.RefreshAt)
		}
	})
	t.Run("a revoked token", func(t *testing.T) {
		t.Parallel()
		token := s.token(t, policy, nil)
		store := s.open(t, func(o *vault.Options) { o.Token = resolver.NewSecret(token) })
		get(t, store, ref, "v")
		s.do(t, "POST", "auth/token/revoke", map[string]string{"token": token})
		_, err := store.Resolve(t.Context(), ref)
		resolvertest.NoLeak(t, err, token)
		contains(t, err.Error(), "expired or was revoked", "status 403")
		if !errors.Is(err, resolver.AccessDenied) || !errors.Is(store.Check(t.Context()), resolver.AccessDenied) {
			t.Error(err)
		}
	})
}

func serve(t *testing.T, h http.Handler) (addr string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}
