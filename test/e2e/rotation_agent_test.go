package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
	"kz/test/canary"
)

// agentScript does what it is told, a line at a time, with nothing but its mask.
const agentScript = `
call() { curl -sS -o /dev/null -w '%{http_code} ' -H "Authorization: Bearer $API_KEY" "$@"; }
while read n what; do
	case $what in
	get) call https://api.test/bearer;;
	h1) call --http1.1 https://api.test/bearer;;
	post) call -H 'Content-Type: application/json' -d '{"a":1}' https://api.test/bearer;;
	keyed) call -H 'Content-Type: application/json' -H 'Idempotency-Key: 1' -d '{"a":1}' https://api.test/bearer;;
	herd) call -Z --parallel-max 40 'https://api.test/bearer?n=[1-40]' --no-progress-meter;;
	echo) curl -sS "https://api.test/value?value=old" -H "Authorization: Bearer $API_KEY";;
	mask) echo "$API_KEY";;
	esac
	echo; echo "end $n"
done`

// agent is a blind child that runs for as long as the test.
type agent struct {
	*bed.Process
	bed *bed.Bed
	n   int
}

func startAgent(t *testing.T, b *bed.Bed) *agent {
	t.Helper()
	bed.Program(t, "curl")
	a := &agent{Process: b.Start(shell(agentScript)...), bed: b}
	a.does(t, "mask")
	return a
}

// does has the agent do one thing and returns what it prints.
func (a *agent) does(t *testing.T, what string) string {
	t.Helper()
	a.n++
	before := len(a.Stdout())
	if _, err := fmt.Fprintf(a.Stdin, "%d %s\n", a.n, what); err != nil {
		t.Fatal(err)
	}
	end := fmt.Sprintf("\nend %d\n", a.n)
	a.Await(end)
	return strings.TrimSpace(strings.TrimSuffix(a.Stdout()[before:], end))
}

// sees holds that something the agent does ends with these statuses, each request of it.
func (a *agent) sees(t *testing.T, what string, statuses ...string) {
	t.Helper()
	if got := strings.Fields(a.does(t, what)); !slices.Equal(got, statuses) {
		t.Errorf("%s: the agent saw %v, not %v", what, got, statuses)
	}
}

// tokens are what came to the upstream since the last look: the bearer tokens in their order.
func (a *agent) tokens(t *testing.T) (list []string) {
	t.Helper()
	for _, r := range received(t, a.bed, "/bearer") {
		list = append(list, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	}
	a.bed.Origin.Reset()
	return list
}

// rotating is a secret in a store where it can be changed.
type rotating struct {
	first string
	set   func(value string)
	calls func() int // of the store for this secret; nil: not counted
}

func TestAnAgentDoesNotNoticeARotation(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(t *testing.T, b *bed.Bed) rotating{
		"a dotenv file": func(_ *testing.T, b *bed.Bed) rotating {
			first := b.Secret("API_KEY", bound)
			return rotating{first, func(v string) { b.SetStored("API_KEY", v) }, nil}
		},
		"Vault": func(t *testing.T, b *bed.Bed) rotating {
			v, first := bed.NewVault(t), canary.Value("k-")
			set := func(value string) { v.Put("secret/api", map[string]any{"api_key": value, "user": "someone"}) }
			set(first)
			b.Env = append(b.Env, "VAULT_TOKEN="+v.Token)
			b.Backend("vault", `type = "hashicorp_vault"`, `address = "`+v.Addr+`"`)
			b.Reference("API_KEY", first, `backend = "vault"`, `path = "secret/api"`, `field = "api_key"`, bound)
			return rotating{first, set, nil}
		},
		"AWS Secrets Manager": func(t *testing.T, b *bed.Bed) rotating {
			a, first := bed.NewAWS(t, awsfake.Options{}), canary.Value("k-")
			set := func(value string) { a.Put("prod/api", `{"api_key":"`+value+`"}`) }
			set(first)
			b.Env = append(b.Env, a.Env()...)
			b.Backend("aws", `type = "aws_secrets_manager"`, `region = "us-east-1"`)
			b.Reference("API_KEY", first, `backend = "aws"`, `secret_id = "prod/api"`, `field = "api_key"`, bound)
			return rotating{first, set, func() int { return a.Count("GetSecretValue") + a.Count("BatchGetSecretValue") }}
		},
	} {
		t.Run("of a value in "+name, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			r := lay(t, b)
			b.Origin.SetBearer(r.first)
			a := startAgent(t, b)
			mask := a.does(t, "mask")
			a.sees(t, "get", "200")
			a.tokens(t)

			second := canary.Value("k-")
			b.Watch("API_KEY (second)", second)
			r.set(second)
			b.Origin.SetBearer(second)
			a.sees(t, "get", "200")
			if got := a.tokens(t); !slices.Equal(got, []string{r.first, second}) {
				t.Errorf("the upstream got %d requests, or others", len(got))
			}
			a.sees(t, "h1", "200")
			a.sees(t, "post", "200")
			if got := a.tokens(t); !slices.Equal(got, []string{second, second}) {
				t.Errorf("after that it got %d requests, or others", len(got))
			}
			// Both values are scrubbed, the old one too, and the mask is what it was.
			for _, v := range []string{r.first, second} {
				b.Origin.SetValue("old", []byte(v))
				if got := a.does(t, "echo"); !strings.Contains(got, mask) || strings.Contains(got, v) {
					t.Errorf("a value that comes back is %q", got)
				}
			}
			if r.calls != nil && r.calls() != 2 {
				t.Errorf("the store was called %d times", r.calls())
			}
			if got := a.does(t, "mask"); got != mask {
				t.Errorf("the mask %s has become %s", mask, got)
			}
			res := a.Wait()
			res.Succeeds(t)
			b.Clean(res)
		})
	}
}

func TestARotationUnderLoad(t *testing.T) {
	t.Parallel()
	aws, first, second, third := bed.NewAWS(t, awsfake.Options{}), canary.Value("k-"), canary.Value("k-"), canary.Value("k-")
	aws.Put("prod/api", first)
	b := bed.New(t)
	b.Env = append(b.Env, aws.Env()...)
	b.Backend("aws", `type = "aws_secrets_manager"`, `region = "us-east-1"`)
	b.Reference("API_KEY", first, `backend = "aws"`, `secret_id = "prod/api"`, bound)
	b.Watch("second", second)
	b.Watch("third", third)
	b.Origin.SetBearer(first)
	a := startAgent(t, b)
	rotate := func(value string) {
		aws.Put("prod/api", value)
		b.Origin.SetBearer(value)
	}
	rotate(second)
	a.sees(t, "herd", slices.Repeat([]string{"200"}, 40)...)
	if n := aws.Count("GetSecretValue"); n != 2 {
		t.Errorf("a herd of 40 made %d calls of the store", n-1)
	}
	if got := a.tokens(t); len(got) > 80 || slices.Contains(got, third) {
		t.Errorf("%d requests went up", len(got))
	}
	// Again within 30 seconds: the store is not asked, and the agent is told.
	rotate(third)
	a.sees(t, "get", "401")
	a.sees(t, "keyed", "401")
	if n := aws.Count("GetSecretValue"); n != 2 {
		t.Errorf("%d calls of the store", n)
	}
	// A person who knows of it says so, and the next request has it.
	a.tokens(t)
	res := b.KZ("reload")
	res.Succeeds(t)
	a.sees(t, "post", "200")
	if got := a.tokens(t); !slices.Equal(got, []string{third}) {
		t.Errorf("after kz reload %d requests went up, or another value", len(got))
	}
	end := a.Wait()
	end.Succeeds(t)
	b.Clean(end, res)
}

func TestAPostOfAnAgentIsNotSentTwice(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	first, second := b.Secret("API_KEY", bound), canary.Value("k-")
	b.Origin.SetBearer(first)
	a := startAgent(t, b)
	a.sees(t, "post", "200")
	a.tokens(t)
	b.SetStored("API_KEY", second)
	b.Origin.SetBearer(second)
	a.sees(t, "post", "401")
	if got := a.tokens(t); !slices.Equal(got, []string{first}) {
		t.Errorf("%d requests went up for one POST", len(got))
	}
	a.sees(t, "post", "200") // the refusal has had the value fetched
	third := canary.Value("k-")
	b.SetStored("API_KEY", third)
	b.Origin.SetBearer(third)
	b.KZ("reload").Succeeds(t)
	a.tokens(t)
	a.sees(t, "keyed", "200")
	if got := a.tokens(t); !slices.Equal(got, []string{third}) {
		t.Errorf("%d requests went up", len(got))
	}
	res := a.Wait()
	res.Succeeds(t)
	b.Clean(res)
}

func TestARotationIsSeenAtTheNextRefresh(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	first, second := b.Secret("API_KEY", bound, `ttl = "2s"`), canary.Value("k-")
	b.Origin.SetBearer(first)
	a := startAgent(t, b)
	a.sees(t, "get", "200")
	a.tokens(t)
	// The upstream takes the old value for now, as stores and their users do while they rotate.
	b.SetStored("API_KEY", second)
	changed := time.Now()
	bed.Eventually(t, "the new value goes up", func() bool {
		a.does(t, "get")
		got := a.tokens(t)
		return got[0] == second
	})
	if d := time.Since(changed); d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
	res := a.Wait()
	res.Succeeds(t)
	b.Clean(res)
}
