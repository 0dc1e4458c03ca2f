package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
	"kz/test/canary"
)

// put stores a value by `kz put`.
func put(t *testing.T, b *bed.Bed, name, value string) bed.Result {
	t.Helper()
	b.Watch("put "+value[len(value)-4:], value)
	p := b.StartKZ("put", "--config", b.WriteBundle(), name)
	if _, err := p.Stdin.Write([]byte(value + "\n")); err != nil {
		t.Fatal(err)
	}
	res := p.Wait()
	res.Succeeds(t)
	return res
}

func TestAValueThatIsPutIsUsedByARunningSession(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(t *testing.T, b *bed.Bed) (backend string){
		"AWS Secrets Manager": func(t *testing.T, b *bed.Bed) string {
			a := bed.NewAWS(t, awsfake.Options{})
			b.Env = append(b.Env, a.Env()...)
			b.Backend("aws", `type = "aws_secrets_manager"`, `region = "us-east-1"`)
			return "aws"
		},
		"Vault": func(t *testing.T, b *bed.Bed) string {
			v := bed.NewVault(t)
			b.Env = append(b.Env, "VAULT_TOKEN="+v.Token)
			b.Backend("vault", `type = "hashicorp_vault"`, `address = "`+v.Addr+`"`)
			return "vault"
		},
		"the local store": func(_ *testing.T, b *bed.Bed) string {
			b.Backend("own", `type = "local"`, `path = "`+b.Path("store/own.age")+`"`)
			return "own"
		},
	} {
		t.Run("in "+name, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			backend := lay(t, b)
			// Two fields of one object: one of them is put, the other stays.
			for _, field := range []string{"api", "other"} {
				b.Reference(strings.ToUpper(field)+"_KEY", "", `backend = "`+backend+`"`, `path = "secret/app"`, `field = "`+field+`"`, bound)
			}
			first, second, third, other := canary.Value("k-"), canary.Value("k-"), canary.Value("k-"), canary.Value("k-")
			results := []bed.Result{put(t, b, "API_KEY", first), put(t, b, "OTHER_KEY", other)}
			b.Origin.SetBearer(first)
			a := startAgent(t, b)
			a.sees(t, "get", "200")
			a.tokens(t)

			// With kz reload, at once.
			results = append(results, put(t, b, "API_KEY", second))
			res := b.KZ("reload")
			res.Succeeds(t)
			if text := string(res.Stderr); !strings.Contains(text, "new values of API_KEY\n") {
				t.Errorf("kz reload says %s", text)
			}
			b.Origin.SetBearer(second)
			a.sees(t, "get", "200")
			if got := a.tokens(t); !slices.Equal(got, []string{second}) {
				t.Errorf("%d requests went up, or another value", len(got))
			}
			// Without it, when the upstream takes the old one no more.
			results = append(results, res, put(t, b, "API_KEY", third))
			b.Origin.SetBearer(third)
			a.sees(t, "get", "200")
			if got := a.tokens(t); !slices.Equal(got, []string{second, third}) {
				t.Errorf("%d requests went up, or other values", len(got))
			}
			end := a.Wait()
			end.Succeeds(t)
			b.Clean(append(results, end)...)
		})
	}
}
