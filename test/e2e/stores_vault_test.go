package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/canary"
)

// vaultBundle is what users of such tools write today; only the address is another one here.
const vaultBundle = `# Vault alone, with and without the /data/ segment.
backends:
  vault:
    type: hashicorp_vault
    address: https://vault.internal:8200
resolvers:
  - name: stripe-key
    mode: direct
    backend: vault
    path: secret/data/stripe
    field: api_key
  - name: anthropic-api-key
    mode: direct
    backend: vault
    path: secret/anthropic
`

func TestTheVaultBundleOfAUser(t *testing.T) {
	t.Parallel()
	curl := bed.Program(t, "curl")
	v := bed.NewVault(t)
	b := bed.New(t)
	stripe, anthropic := canary.Value("sk_live_"), canary.Value("sk-ant-")
	v.Put("secret/stripe", map[string]any{"api_key": stripe, "account": "acct"})
	v.Put("secret/anthropic", map[string]any{"apiKey": anthropic, "owner": "someone"})
	b.Watch("stripe", stripe)
	b.Watch("anthropic", anthropic)
	b.Env = append(b.Env, "VAULT_TOKEN="+v.Token)
	bundle := b.Path("etc/vault.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(b.Path("etc/as-it-is.yaml"), vaultBundle)
	b.KZ("validate", "--config", b.Path("etc/as-it-is.yaml")).Succeeds(t)
	write(bundle, strings.Replace(vaultBundle, "https://vault.internal:8200", v.Addr, 1))

	plain := b.KZ("run", "--config", bundle, "--", "/bin/sh", "-c", `test "$STRIPE_KEY" = "$1" && test "$ANTHROPIC_API_KEY" = "$2"`, "sh", stripe, anthropic)
	plain.Succeeds(t)
	b.Clean(plain)

	// Where the origin is, a user's own defaults say.
	_, egress, _ := strings.Cut(b.Bundle(), "[egress]")
	write(b.Path("home/.config/keyzero/config.toml"), "[egress]"+egress)
	blind := b.KZ("run", "--blind", "--any-host", "--audit", b.AuditFile(), "--config", bundle, "--",
		"/bin/sh", "-c", `env; `+curl+` -sS -H "Authorization: Bearer $STRIPE_KEY" -H "X-Api-Key: $ANTHROPIC_API_KEY" https://api.test/echo`)
	blind.Succeeds(t)
	got := received(t, b, "/echo")[0].Header
	if got.Get("Authorization") != "Bearer "+stripe || got.Get("X-Api-Key") != anthropic {
		t.Error("the origin did not get the values")
	}
	b.Clean(blind)
}

func TestALoginAndALeaseOfVaultEndWithTheRun(t *testing.T) {
	t.Parallel()
	curl := bed.Program(t, "curl")
	v := bed.NewVault(t)
	value := canary.Value("k-")
	v.Call("POST", "sys/mounts/dyn", map[string]string{"type": "leased-kv"})
	v.Call("POST", "dyn/app", map[string]string{"user": "someone", "password": value, "ttl": "1h"})
	v.Call("POST", "sys/policies/acl/dyn", map[string]string{"policy": `path "dyn/*" { capabilities = ["read"] }`})
	v.Call("POST", "sys/auth/approle", map[string]string{"type": "approle"})
	v.Call("POST", "auth/approle/role/app", map[string]string{"token_policies": "dyn", "token_ttl": "1h"})
	roleID := v.Call("GET", "auth/approle/role/app/role-id", nil)["data"].(map[string]any)["role_id"].(string)
	secretID := v.Call("POST", "auth/approle/role/app/secret-id", nil)["data"].(map[string]any)["secret_id"].(string)

	lay := func(t *testing.T, login ...string) *bed.Bed {
		b := bed.New(t)
		b.Backend("vault", append([]string{`type = "hashicorp_vault"`, `address = "` + v.Addr + `"`}, login...)...)
		b.Reference("DB_PASSWORD", value, `backend = "vault"`, `path = "dyn/app"`, `field = "password"`, `hosts = ["api.test"]`)
		return b
	}
	role := func(t *testing.T) *bed.Bed {
		b := lay(t, `auth = "approle"`, `role_id = "`+roleID+`"`, `secret_id = { secret = "APPROLE_SECRET" }`)
		b.SecretValue("APPROLE_SECRET", secretID, `expose = "omit"`)
		return b
	}
	tokens, leases := func() int { return list(t, v, "auth/token/accessors") }, func() int { return list(t, v, "sys/leases/lookup/dyn/app") }
	before := tokens()
	gone := func(t *testing.T) {
		t.Helper()
		// Vault revokes what a token holds on its own time.
		bed.Eventually(t, "the leases and the tokens of the run are gone", func() bool { return leases() == 0 && tokens() == before })
	}
	t.Run("of a blind run", func(t *testing.T) {
		b := role(t)
		p := b.Start("/bin/sh", "-c", curl+` -sS -H "Authorization: Bearer $DB_PASSWORD" https://api.test/echo; read line`)
		bed.Eventually(t, "the request has come in", func() bool { return len(b.Origin.Requests()) > 0 })
		if leases() != 1 || tokens() != before+1 {
			t.Errorf("%d leases and %d tokens while it runs", leases(), tokens()-before)
		}
		res := p.Wait()
		if got := received(t, b, "/echo"); got[0].Header.Get("Authorization") != "Bearer "+value {
			t.Error("the origin did not get the value")
		}
		b.Clean(res)
		gone(t)
	})
	t.Run("of a plain run that fails, of a status and of a run that cannot start", func(t *testing.T) {
		b := role(t)
		b.RunPlain("/bin/sh", "-c", "exit 3").Exits(t, 3)
		gone(t)
		b.KZ("status", "--config", b.WriteBundle()).Succeeds(t)
		gone(t)
		b.RunPlain("/no/such/program").Exits(t, 127)
		gone(t)
	})
	t.Run("and not before, though nothing asks for what a plain child was given", func(t *testing.T) {
		v.Call("POST", "dyn/app", map[string]string{"user": "someone", "password": value, "ttl": "5s"})
		defer v.Call("POST", "dyn/app", map[string]string{"user": "someone", "password": value, "ttl": "1h"})
		b := role(t)
		p := b.StartKZ("run", "--config", b.WriteBundle(), "--", "/bin/sh", "-c", `echo ready; read line; exit 0`)
		p.Await("ready")
		id := "dyn/app/" + keys(t, v, "sys/leases/lookup/dyn/app")[0]
		bed.Eventually(t, "the lease is renewed", func() bool {
			return v.Call("POST", "sys/leases/lookup", map[string]string{"lease_id": id})["data"].(map[string]any)["last_renewal"] != nil
		})
		p.Wait().Succeeds(t)
		gone(t)
	})
	t.Run("of a proxy that is stopped", func(t *testing.T) {
		b := role(t)
		proxy := b.StartProxy()
		if leases() != 1 {
			t.Errorf("%d leases while it runs", leases())
		}
		res := proxy.Stop()
		res.Succeeds(t)
		b.Clean(res)
		gone(t)
	})
	t.Run("what cannot be given back is one warning, and the child's exit code stays", func(t *testing.T) {
		b := lay(t)
		token := v.Call("POST", "auth/token/create", map[string]any{"policies": []string{"dyn"}})["auth"].(map[string]any)["client_token"].(string)
		b.Watch("VAULT_TOKEN", token)
		b.Env = append(b.Env, "VAULT_TOKEN="+token)
		res := b.Run("/bin/sh", "-c", "exit 4")
		res.Exits(t, 4)
		if n := strings.Count(string(res.Stderr), "could not be revoked"); n != 1 {
			t.Errorf("%d warnings: %s", n, res.Stderr)
		}
		if want := `path "sys/leases/revoke" { capabilities = ["update"] }`; !strings.Contains(string(res.Stderr), want) {
			t.Errorf("no hint: %s", res.Stderr)
		}
		b.Clean(res)
	})
}

// list counts the keys at a path.
func list(t *testing.T, v *bed.Vault, path string) int {
	t.Helper()
	return len(keys(t, v, path))
}

// keys are the keys at a path.
func keys(t *testing.T, v *bed.Vault, path string) []string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "LIST", v.Addr+"/v1/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", v.Token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Data struct{ Keys []string } }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != 200 && resp.StatusCode != 404 {
		t.Fatalf("listing %s: %d %v", path, resp.StatusCode, err)
	}
	return answer.Data.Keys
}
