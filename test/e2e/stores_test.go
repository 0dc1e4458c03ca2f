package e2e_test

import (
	"testing"

	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
	"kz/test/canary"
)

// TestStores has a value come from each store that runs here.
func TestStores(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		lay  func(t *testing.T, b *bed.Bed, value string)
	}{
		{"a dotenv file", func(_ *testing.T, b *bed.Bed, value string) {
			b.SecretValue("API_KEY", value, `hosts = ["api.test"]`)
		}},
		{"Vault, by token", func(t *testing.T, b *bed.Bed, value string) {
			v := bed.NewVault(t)
			v.Put("secret/api", map[string]any{"api_key": value, "user": "someone"})
			b.Env = append(b.Env, "VAULT_TOKEN="+v.Token)
			b.Backend("vault", `type = "hashicorp_vault"`, `address = "`+v.Addr+`"`)
			b.Reference("API_KEY", value, `backend = "vault"`, `path = "secret/api"`, `field = "api_key"`, `hosts = ["api.test"]`)
		}},
		{"AWS Secrets Manager", func(t *testing.T, b *bed.Bed, value string) {
			a := bed.NewAWS(t, awsfake.Options{})
			a.Put("prod/api", `{"api_key":"`+value+`"}`)
			b.Env = append(b.Env, a.Env()...)
			b.Backend("aws", `type = "aws_secrets_manager"`, `region = "us-east-1"`)
			b.Reference("API_KEY", value, `backend = "aws"`, `secret_id = "prod/api"`, `field = "api_key"`, `hosts = ["api.test"]`)
		}},
	} {
		t.Run("a value from "+c.name+" reaches its host and nothing else", func(t *testing.T) {
			t.Parallel()
			curl := bed.Program(t, "curl")
			b := bed.New(t)
			value := canary.Value("k-")
			c.lay(t, b, value)
			res := b.Run(shell(`env; ` + curl + ` -sS -H "Authorization: Bearer $API_KEY" https://api.test/echo`)...)
			res.Succeeds(t)
			if got := received(t, b, "/echo"); got[0].Header.Get("Authorization") != "Bearer "+value {
				t.Error("the origin did not get the value")
			}
			b.Clean(res)

			plain := b.RunPlain(shell(`test "$API_KEY" = "$0" && echo same`)...)
			plain.Exits(t, 1) // $0 is sh itself
			plain = b.RunPlain("/bin/sh", "-c", `test "$API_KEY" = "$1" && echo same`, "sh", value)
			plain.Succeeds(t)
		})
	}
}
