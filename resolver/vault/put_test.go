package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"kz/resolver"
	"kz/resolver/resolvertest"
	"kz/resolver/vault"
)

func put(t *testing.T, s *vault.Store, ref resolver.Ref, value string) {
	t.Helper()
	if err := s.Put(t.Context(), ref, resolver.NewSecret(value)); err != nil {
		t.Errorf("%+v: %v", ref, err)
	}
}

// refuses is a Put that fails, and shows no value.
func refuses(t *testing.T, s *vault.Store, ref resolver.Ref, kind resolver.Kind) *resolver.Error {
	t.Helper()
	err := s.Put(t.Context(), ref, resolver.NewSecret(resolvertest.Canary))
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("%v, want %s", err, kind)
	}
	if e.Hint() == "" {
		t.Errorf("no hint: %v", err)
	}
	resolvertest.NoLeak(t, err, resolvertest.Canary, rootToken, fakeToken)
	return e
}

func TestPut(t *testing.T) {
	t.Parallel()
	s := real(t)
	v2, v1 := s.mount(t, "kv", "2"), s.mount(t, "kv", "1")
	waitForKV2(t, s, v2)
	store := s.open(t, nil)
	for version, mount := range map[string]string{"KV v2": v2, "KV v1": v1} {
		object := func(t *testing.T, name string) string {
			t.Helper()
			path := mount + "/" + name
			if mount == v2 {
				path = mount + "/data/" + name
			}
			data := s.do(t, "GET", path, nil)["data"].(map[string]any)
			if mount == v2 {
				data = data["data"].(map[string]any)
			}
			return fmt.Sprint(data)
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct{ name, field, value, want string }{
				{"plain", "", "one", "map[value:one]"},
				{"plain", "", "two", "map[value:two]"},
				{"plain", "extra", "3", "map[extra:3 value:two]"},
				{"object", "", `{"a":"b","n":1}`, "map[a:b n:1]"},
				{"object", "a", "c", "map[a:c n:1]"},
				{"object", "deep.key", "d", "map[a:c deep:map[key:d] n:1]"},
				{"new", "api_key", "k", "map[api_key:k]"},
				{"array", "", "[1]", "map[value:[1]]"},
				{"team/app", "key", "<&>", "map[key:<&>]"},
			} {
				put(t, store, resolver.Ref{ID: mount + "/" + c.name, Field: c.field}, c.value)
				if got := object(t, c.name); got != c.want {
					t.Errorf("%+v: %s", c, got)
				}
			}
			put(t, s.open(t, func(o *vault.Options) { o.Mount = mount }), resolver.Ref{ID: "below", Field: "key"}, "v")
			get(t, store, resolver.Ref{ID: mount + "/below", Field: "key"}, "v")
			refuses(t, store, resolver.Ref{ID: mount + "/object", Field: "a.b"}, resolver.InvalidReference)
		})
	}
	t.Run("no change of a field of KV v2 is lost", func(t *testing.T) {
		t.Parallel()
		ref := resolver.Ref{ID: v2 + "/race"}
		put(t, store, ref, `{"start":"s"}`)
		var inside atomic.Int32
		rival := s.open(t, nil)
		// Between the reading and the writing of one, the other writes, twice.
		slow := open(t, serve(t, through(t, s, func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost && inside.Add(1) <= 2 {
				put(t, rival, resolver.Ref{ID: ref.ID, Field: fmt.Sprintf("rival%d", inside.Load())}, "r")
			}
			return false
		})), func(o *vault.Options) { o.Token = resolver.NewSecret(rootToken) })
		put(t, slow, resolver.Ref{ID: ref.ID, Field: "mine"}, "m")
		for _, field := range []string{"start", "rival1", "rival2", "mine"} {
			if _, err := store.Resolve(t.Context(), resolver.Ref{ID: ref.ID, Field: field}); err != nil {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
	t.Run("a path that others write to all the time is given up on", func(t *testing.T) {
		t.Parallel()
		ref := resolver.Ref{ID: v2 + "/busy", Field: "a"}
		var mu sync.Mutex
		rival := s.open(t, nil)
		slow := open(t, serve(t, through(t, s, func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				mu.Lock()
				defer mu.Unlock()
				put(t, rival, resolver.Ref{ID: ref.ID, Field: "b"}, "r")
			}
			return false
		})), func(o *vault.Options) { o.Token = resolver.NewSecret(rootToken) })
		contains(t, refuses(t, slow, ref, resolver.Unavailable).Error(), "at the same time")
	})
	t.Run("what is deleted is written anew, and what wants a check gets it", func(t *testing.T) {
		t.Parallel()
		mount := s.mount(t, "kv", "2")
		waitForKV2(t, s, mount)
		s.do(t, "POST", mount+"/config", map[string]any{"cas_required": true})
		ref := resolver.Ref{ID: mount + "/app"}
		put(t, store, ref, "one")
		put(t, store, ref, "two")
		s.do(t, "DELETE", mount+"/data/app", nil)
		put(t, store, resolver.Ref{ID: ref.ID, Field: "key"}, "k")
		s.do(t, "DELETE", mount+"/data/app", nil)
		put(t, store, ref, "three")
		get(t, store, ref, "three")
	})
	t.Run("a policy that may only read", func(t *testing.T) {
		t.Parallel()
		token := s.token(t, fmt.Sprintf(`path "%s/*" { capabilities = ["read"] }`, v2), nil)
		reader := s.open(t, func(o *vault.Options) { o.Token = resolver.NewSecret(token) })
		e := refuses(t, reader, resolver.Ref{ID: v2 + "/app"}, resolver.AccessDenied)
		contains(t, e.Error()+" "+e.Hint(), "write", fmt.Sprintf(`path "%s/data/app" { capabilities = ["create", "update"] }`, v2))
	})
	t.Run("what cannot be written to", func(t *testing.T) {
		t.Parallel()
		d := s.dynamic(t, "10m")
		contains(t, refuses(t, store, d.ref, resolver.InvalidReference).Error(), "no KV engine")
		contains(t, refuses(t, store, resolver.Ref{ID: v2 + "/app", Version: 1}, resolver.InvalidReference).Error(), "version")
		contains(t, refuses(t, store, resolver.Ref{ID: "nowhere/app"}, resolver.InvalidReference).Error(), "does not say what is mounted")
		refuses(t, store, resolver.Ref{}, resolver.InvalidReference)
		stranger := s.open(t, func(o *vault.Options) { o.Token = resolver.NewSecret("no-such-token") })
		contains(t, refuses(t, stranger, resolver.Ref{ID: v2 + "/app"}, resolver.AccessDenied).Error(), "the token has expired")
	})
	t.Run("no failure shows the value", func(t *testing.T) {
		t.Parallel()
		for status, kind := range map[int]resolver.Kind{400: resolver.InvalidReference, 403: resolver.AccessDenied, 404: resolver.NotFound, 500: resolver.Unavailable} {
			inner := one(func() string { return fakeToken })
			echo := answer(status, `{"errors":["$TOKEN","`+resolvertest.Canary+`"]}`)
			addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/v1/secret/") && r.Method == http.MethodPost {
					echo.ServeHTTP(w, r)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			for _, field := range []string{"", "value"} {
				refuses(t, open(t, addr, nil), resolver.Ref{ID: "secret/app", Field: field}, kind)
			}
		}
	})
}
