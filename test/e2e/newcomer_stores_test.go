package e2e_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
	"kz/test/canary"
	"kz/test/ports"
)

const (
	vaultProject = "[backends.vault]\ntype = \"hashicorp_vault\"\naddress = \"ADDRESS\"\n\n" +
		"[secrets.API_KEY]\npath = \"secret/api\"\nfield = \"api_key\"\nhosts = [\"api.test\"]\n"
	awsProject = "[backends.aws]\ntype = \"aws_secrets_manager\"\nregion = \"us-east-1\"\n\n" +
		"[secrets.API_KEY]\nsecret_id = \"prod/api\"\nhosts = [\"api.test\"]\n"
)

// inVault is a project with its secret in a Vault of its own.
func (n *newcomer) inVault() (v *bed.Vault, value string) {
	n.t.Helper()
	v, value = bed.NewVault(n.t), canary.Value("k-")
	v.Put("secret/api", map[string]any{"api_key": value})
	n.Watch("API_KEY", value)
	n.configure(strings.Replace(vaultProject, "ADDRESS", v.Addr, 1))
	return v, value
}

// logIn leaves a token where `vault login` does.
func (n *newcomer) logIn(token string) { n.write("home/.vault-token", token) }

// token makes a token of Vault that lasts as long as ttl says.
func token(v *bed.Vault, ttl string) string {
	return v.Call("POST", "auth/token/create", map[string]any{"ttl": ttl, "policies": []string{"root"}})["auth"].(map[string]any)["client_token"].(string)
}

// inAWS is a project with its secret in us-east-1 of an AWS that has a second region, with nothing in it.
func (n *newcomer) inAWS() (fake *awsfake.Server, value string) {
	n.t.Helper()
	fake, value = awsfake.New(awsfake.Options{}), canary.Value("k-")
	other := awsfake.New(awsfake.Options{Region: "eu-west-1"})
	fake.Put("prod/api", value)
	n.Watch("API_KEY", value)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/") {
			other.ServeHTTP(w, r)
		} else {
			fake.ServeHTTP(w, r)
		}
	}))
	n.t.Cleanup(srv.Close)
	n.Env = append(n.Env, (&bed.AWS{Server: fake, URL: srv.URL}).Env()...)
	n.configure(awsProject)
	return fake, value
}

// storeMissteps are those with stores that are elsewhere.
func storeMissteps() []misstep {
	// Each has its own of these: a step is laid and mended by one test.
	vaultStep := func(m misstep, lay func(n *newcomer, v *bed.Vault), mend func(n *newcomer, v *bed.Vault)) misstep {
		var v *bed.Vault
		var value string
		m.lay = func(n *newcomer) { v, value = n.inVault(); lay(n, v) }
		m.mend = func(n *newcomer, _ string) { mend(n, v); n.types(calls); n.arrives(value) }
		return m
	}
	awsStep := func(m misstep, lay, mend func(n *newcomer, fake *awsfake.Server)) misstep {
		var f *awsfake.Server
		var value string
		m.lay = func(n *newcomer) { f, value = n.inAWS(); lay(n, f) }
		m.mend = func(n *newcomer, _ string) { mend(n, f); n.types(calls); n.arrives(value) }
		return m
	}
	return []misstep{
		vaultStep(misstep{
			name: "a store that is down",
			says: `^resolving API_KEY: vault: unavailable: the store cannot be reached: connection refused$`,
			hint: `^check that Vault runs there: vault status -address=http://127\.0\.0\.1:\d+$`,
		}, func(n *newcomer, v *bed.Vault) {
			n.logIn(v.Token)
			away := ports.Free(n.t)
			n.Env = append(n.Env, "AWAY="+away)
			n.replace(v.Addr, "http://"+away)
			n.trusts()
		}, func(n *newcomer, v *bed.Vault) { // it is started, at that address
			away := strings.TrimPrefix(n.Env[len(n.Env)-1], "AWAY=")
			relayTo(n.t, away, strings.TrimPrefix(v.Addr, "http://"))
		}),
		vaultStep(misstep{
			name: "no login to Vault",
			says: `^resolving API_KEY: vault: access denied: no Vault token is found$`, hint: `log in \(vault login\), or set VAULT_TOKEN`,
		}, func(*newcomer, *bed.Vault) {}, func(n *newcomer, v *bed.Vault) { n.logIn(token(v, "1h")) }),
		vaultStep(misstep{
			name: "a token of Vault that has expired",
			says: `^resolving API_KEY: vault: access denied: .*token`, hint: `vault login`,
		}, func(n *newcomer, v *bed.Vault) {
			short := token(v, "1s")
			n.logIn(short)
			bed.Eventually(n.t, "the token has expired", func() bool { return answerTo(n.t, v.Addr+"/v1/auth/token/lookup-self", short) == http.StatusForbidden })
		}, func(n *newcomer, v *bed.Vault) { n.logIn(token(v, "1h")) }),
		awsStep(misstep{
			name: "the wrong region",
			says: `^resolving API_KEY: aws: not found: there is no secret "prod/api" in eu-west-1`,
			hint: `^check secret_id and region: aws secretsmanager describe-secret --secret-id prod/api --region eu-west-1$`,
		}, func(n *newcomer, _ *awsfake.Server) { n.replace("us-east-1", "eu-west-1"); n.trusts() },
			func(n *newcomer, _ *awsfake.Server) { n.replace("eu-west-1", "us-east-1"); n.trusts() }),
		awsStep(misstep{
			name: "a session of AWS that has expired",
			says: `^resolving API_KEY: aws: access denied: the store does not accept the credentials: they have expired`,
			hint: `^log in again \(aws sso login\), or set a new AWS_SESSION_TOKEN`,
		}, func(_ *newcomer, f *awsfake.Server) { f.Fail(awsfake.Failure{Code: "ExpiredTokenException"}) },
			func(_ *newcomer, f *awsfake.Server) { f.Recover() }),
		awsStep(misstep{
			name: "no login to AWS", typed: "env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY " + calls,
			says: `^resolving API_KEY: aws: access denied: no AWS credentials are found$`, hint: `^log in \(aws sso login, or aws configure\), or set AWS_PROFILE`,
		}, func(*newcomer, *awsfake.Server) {}, func(*newcomer, *awsfake.Server) {}),
		awsStep(misstep{
			name: "a secret that may not be read",
			says: `^resolving API_KEY: aws: access denied: `, hint: `^allow secretsmanager:GetSecretValue on `,
		}, func(_ *newcomer, f *awsfake.Server) { f.Fail(awsfake.Failure{Code: "AccessDeniedException"}) },
			func(_ *newcomer, f *awsfake.Server) { f.Recover() }),
	}
}

// answerTo is how Vault answers a token.
func answerTo(t *testing.T, url, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// relayTo listens at one address for what listens at another.
func relayTo(t *testing.T, at, to string) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				up, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer up.Close()
				go func() { _, _ = io.Copy(up, c) }()
				_, _ = io.Copy(c, up)
			}()
		}
	}()
}
