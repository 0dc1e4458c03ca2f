package e2e_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
	"kz/test/canary"
)

// secretFile puts a value where an engine would mount it.
func secretFile(t *testing.T, b *bed.Bed, name, value string) (path string) {
	t.Helper()
	path = b.Path("store/" + name)
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Watch(name, value)
	return path
}

// TestAStoreLogsInWithFiles gives each kind of store what it logs in with by KZ_NAME_FILE.
func TestAStoreLogsInWithFiles(t *testing.T) {
	t.Parallel()

	t.Run("AWS, whose library reads the environment", func(t *testing.T) {
		t.Parallel()
		b, a := withAWS(t, awsfake.Options{})
		b.Env = slices.DeleteFunc(b.Env, func(kv string) bool { return strings.Contains(kv, "ACCESS_KEY") })
		value := canary.Value("k-")
		a.Put("prod/key", value)
		b.Backend("aws", `type = "aws_secrets_manager"`)
		b.Reference("API_KEY", value, `backend = "aws"`, `secret_id = "prod/key"`, bound)
		without := b.KZ("status", "--config", b.WriteBundle())
		without.Exits(t, 125)
		b.Env = append(b.Env, "KZ_AWS_ACCESS_KEY_ID_FILE="+secretFile(t, b, "id", awsfake.DefaultKey.AccessKeyID),
			"KZ_AWS_SECRET_ACCESS_KEY_FILE="+secretFile(t, b, "key", awsfake.DefaultKey.SecretAccessKey))
		status := b.KZ("status", "--config", b.WriteBundle())
		status.Succeeds(t)
		blind := b.Run("/bin/sh", "-c", "env; echo --; cat /proc/$PPID/environ; exit 0") // of which root may read kz's own
		plain := b.RunPlain("/bin/sh", "-c", `test "$API_KEY" = "$0" && env | grep -v ^API_KEY=`, value)
		plain.Succeeds(t)
		b.Clean(without, status, blind, plain)
		if env, _, _ := strings.Cut(string(blind.Stdout), "--\n"); !mask.MatchString(env) || strings.Contains(env, "KZ_AWS") {
			t.Errorf("a blind child has %s", env)
		}
		if !strings.Contains(string(blind.Stderr), b.Path("store/id")) {
			t.Errorf("what the child could read all the same is not said: %s", blind.Stderr)
		}
	})

	t.Run("Vault, whose token is changed while a proxy runs", func(t *testing.T) {
		t.Parallel()
		v := bed.NewVault(t)
		b := bed.New(t)
		token := func() string {
			return v.Call("POST", "auth/token/create", map[string]any{"policies": []string{"root"}})["auth"].(map[string]any)["client_token"].(string)
		}
		first, value := token(), canary.Value("k-")
		v.Put("secret/app", map[string]any{"key": value})
		b.Backend("vault", `type = "hashicorp_vault"`, `address = "`+v.Addr+`"`)
		b.Reference("API_KEY", value, `backend = "vault"`, `path = "secret/app"`, `field = "key"`, bound)
		b.Env = append(b.Env, "KZ_VAULT_TOKEN_FILE="+secretFile(t, b, "token", first))
		p := b.StartProxy()
		get := shell(bed.Program(t, "curl") + ` -sS -f -H "Authorization: Bearer $API_KEY" https://api.test/echo`)
		one := p.Client(get...)
		one.Succeeds(t)

		second := token()
		v.Call("POST", "auth/token/revoke", map[string]any{"token": first})
		next := canary.Value("k-")
		v.Put("secret/app", map[string]any{"key": next})
		b.Watch("API_KEY (next)", next)
		failing := b.KZ("reload")
		failing.Exits(t, 125)
		secretFile(t, b, "token", second)
		reload := b.KZ("reload")
		reload.Succeeds(t)
		if !strings.Contains(reload.Output(), "new values of API_KEY") {
			t.Errorf("it says %s", reload.Output())
		}
		two := p.Client(get...)
		two.Succeeds(t)
		got := received(t, b, "/echo")
		if len(got) != 2 || got[0].Header.Get("Authorization") != "Bearer "+value || got[1].Header.Get("Authorization") != "Bearer "+next {
			t.Error("the origin did not get the values of before and after")
		}
		b.Clean(one, failing, reload, two, p.Stop())
	})
}
