//go:build !kz_no_vault

package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kz/cmd/kz/config"
	"kz/resolver"
	"kz/resolver/resolvertest"
)

func TestSettingsOfVaultReachTheServer(t *testing.T) {
	t.Parallel()
	jwt := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(jwt, []byte("a.jwt.token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		settings map[string]string
		chained  map[string]string
		want     []string // requests, in their order
	}{
		"token": {map[string]string{"mount": "team"}, map[string]string{"token": "hvs.t"},
			[]string{"GET /v1/sys/internal/ui/mounts/team/app [hvs.t] "}},
		"approle": {map[string]string{"auth": "approle", "auth_mount": "ci", "role_id": "r"}, map[string]string{"secret_id": "s"},
			[]string{`POST /v1/auth/ci/login [] {"role_id":"r","secret_id":"s"}`}},
		"approle, its role chained": {map[string]string{"auth": "approle"}, map[string]string{"secret_id": "s", "role_id": "r"},
			[]string{`POST /v1/auth/approle/login [] {"role_id":"r","secret_id":"s"}`}},
		"a wrapped secret ID": {map[string]string{"auth": "approle", "role_id": "r"}, map[string]string{"wrapped_secret_id": "hvs.w"},
			[]string{"POST /v1/sys/wrapping/unwrap [hvs.w] "}},
		"kubernetes": {map[string]string{"auth": "kubernetes", "role": "app", "jwt_path": jwt}, nil,
			[]string{`POST /v1/auth/kubernetes/login [] {"jwt":"a.jwt.token","role":"app"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var asked []string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, fmt.Sprintf("%s %s [%s] %s", r.Method, r.URL.Path, r.Header.Get("X-Vault-Token"), body))
				if ns := r.Header.Get("X-Vault-Namespace"); ns != "n" {
					t.Errorf("the namespace is %q", ns)
				}
				w.WriteHeader(http.StatusForbidden)
			}))
			t.Cleanup(srv.Close)
			b := backend{Backend: config.Backend{Settings: map[string]config.Setting{"address": {Value: srv.URL}, "namespace": {Value: "n"}}},
				chained: map[string]resolver.Secret{}}
			for key, v := range c.settings {
				b.Settings[key] = config.Setting{Value: v}
			}
			for key, v := range c.chained {
				b.chained[key] = resolver.NewSecret(v)
			}
			a, _, _ := testApp()
			store, err := hashicorpVault(a, b)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.Resolve(t.Context(), resolver.Ref{ID: "app"}); !errors.Is(err, resolver.AccessDenied) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for i, want := range c.want {
				if i >= len(asked) || asked[i] != want {
					t.Errorf("it asked %q, want %q", asked, c.want)
				}
			}
		})
	}
}

func TestSettingsOfVaultThatDoNotGoTogether(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp()
	secret := resolver.NewSecret("canary-1f")
	b := backend{Backend: config.Backend{Settings: map[string]config.Setting{"auth": {Value: config.AuthAppRole}, "mount": {Value: "a/../b"}}},
		chained: map[string]resolver.Secret{"secret_id": secret, "wrapped_secret_id": secret, "role_id": resolver.NewSecret("r")}}
	_, err := hashicorpVault(a, b)
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != resolver.InvalidReference || !strings.Contains(e.Message, "both given") || !strings.Contains(e.Message, "mount is not") {
		t.Error(err)
	}
	resolvertest.NoLeak(t, err, "canary-1f")
}
