package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
	"kz/test/canary"
)

// failure is a run that ends before its child starts.
type failure struct {
	name   string
	lay    func(t *testing.T, b *bed.Bed)
	change func(b *bed.Bed, bundle string) string // of the bundle
	err    string                                 // a regular expression for the error
	hint   string                                 // what the hint has; none: there is no hint
}

// none is the hint of an error that has nothing to add: it is its own remedy.
const none = "none"

const bound = `hosts = ["api.test"]`

// inVault gives a Bed a Vault with one secret: fields api_key and user at secret/api.
func inVault(t *testing.T, b *bed.Bed, lines ...string) *bed.Vault {
	t.Helper()
	v := bed.NewVault(t)
	value := canary.Value("k-")
	v.Put("secret/api", map[string]any{"api_key": value, "user": "someone"})
	viaVault(b, v.Addr, value, lines...)
	b.Env = append(b.Env, "VAULT_TOKEN="+v.Token)
	return v
}

func viaVault(b *bed.Bed, address, value string, lines ...string) {
	b.Backend("corp", `type = "hashicorp_vault"`, `address = "`+address+`"`)
	if lines == nil {
		lines = []string{`path = "secret/api"`, `field = "api_key"`}
	}
	b.Reference("API_KEY", value, append([]string{`backend = "corp"`, bound}, lines...)...)
}

// inAWS does the same in Secrets Manager: prod/api.
func inAWS(t *testing.T, b *bed.Bed, lines ...string) *bed.AWS {
	t.Helper()
	a := bed.NewAWS(t, awsfake.Options{})
	value := canary.Value("k-")
	a.Put("prod/api", `{"api_key":"`+value+`","user":"someone"}`)
	b.Env = append(b.Env, a.Env()...)
	b.Watch("the AWS key", awsfake.DefaultKey.SecretAccessKey)
	viaAWS(b, value, lines...)
	return a
}

func viaAWS(b *bed.Bed, value string, lines ...string) {
	b.Backend("cloud", `type = "aws_secrets_manager"`, `region = "us-east-1"`)
	if lines == nil {
		lines = []string{`secret_id = "prod/api"`, `field = "api_key"`}
	}
	b.Reference("API_KEY", value, append([]string{`backend = "cloud"`, bound}, lines...)...)
}

// hangs accepts connections and never answers.
func hangs(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return "http://" + l.Addr().String()
}

// quotes is a store that answers with an error which quotes what it should not.
func quotes(t *testing.T, status int, text string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"errors":["` + text + " " + r.Header.Get("X-Vault-Token") + `"],"__type":"` + text + `","message":"` + text + `"}`))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

var failures = []failure{
	{name: "Vault is down", lay: func(_ *testing.T, b *bed.Bed) {
		b.Env = append(b.Env, "VAULT_TOKEN="+secretToken(b))
		viaVault(b, "http://127.0.0.1:1", "")
	}, err: `^resolving API_KEY: corp: unavailable: .*refused`, hint: "vault status -address=http://127.0.0.1:1"},
	{name: "Vault is sealed", lay: func(t *testing.T, b *bed.Bed) { inVault(t, b).Call("PUT", "sys/seal", nil) },
		err: `^resolving API_KEY: corp: unavailable: Vault is sealed`, hint: "vault operator unseal"},
	{name: "Vault has no such secret", lay: func(t *testing.T, b *bed.Bed) { inVault(t, b, `path = "secret/none"`) },
		err: `^resolving API_KEY: corp: not found: there is no secret at "secret/data/none"`, hint: "vault read secret/data/none"},
	{name: "Vault has no such field", lay: func(t *testing.T, b *bed.Bed) { inVault(t, b, `path = "secret/api"`, `field = "apikey"`) },
		err: `^resolving API_KEY: corp: field missing.*; its keys are api_key, user$`, hint: "field"},
	{name: "Vault denies", lay: func(t *testing.T, b *bed.Bed) {
		v := inVault(t, b)
		auth := v.Call("POST", "auth/token/create", map[string]any{"policies": []string{"default"}})["auth"].(map[string]any)
		b.Env = append(b.Env, "VAULT_TOKEN="+auth["client_token"].(string))
		b.Watch("the token", auth["client_token"].(string))
	}, err: `^resolving API_KEY: corp: access denied: .*"secret/data/api"`, hint: "vault token capabilities secret/data/api"},
	{name: "there is no Vault token", lay: func(t *testing.T, b *bed.Bed) { inVault(t, b); b.Env = nil },
		err: `^resolving API_KEY: corp: access denied: `, hint: "VAULT_TOKEN"},
	{name: "Vault quotes a value and the token", lay: func(t *testing.T, b *bed.Bed) {
		value := canary.Value("k-")
		b.Env = append(b.Env, "VAULT_TOKEN="+secretToken(b))
		viaVault(b, quotes(t, 403, value), value)
	}, err: `^resolving API_KEY: corp: access denied`, hint: "vault token"},

	{name: "AWS is down", lay: func(_ *testing.T, b *bed.Bed) {
		b.Env = append(b.Env, withEndpoint("http://127.0.0.1:1")...)
		viaAWS(b, "")
	}, err: `^resolving API_KEY: cloud: unavailable: .*refused`, hint: ""},
	{name: "AWS has no such secret", lay: func(t *testing.T, b *bed.Bed) { inAWS(t, b, `secret_id = "prod/none"`) },
		err: `^resolving API_KEY: cloud: not found: there is no secret "prod/none" in us-east-1`, hint: "aws secretsmanager describe-secret --secret-id prod/none --region us-east-1"},
	{name: "AWS has no such field", lay: func(t *testing.T, b *bed.Bed) { inAWS(t, b, `secret_id = "prod/api"`, `field = "a.b"`) },
		err: `^resolving API_KEY: cloud: field missing.*; its keys are api_key, user$`, hint: "field"},
	{name: "AWS denies", lay: func(t *testing.T, b *bed.Bed) {
		inAWS(t, b).Fail(awsfake.Failure{Code: "AccessDeniedException", Message: "no", Echo: true})
	}, err: `^resolving API_KEY: cloud: access denied: the credentials may not read "prod/api" \(status 400, AccessDeniedException\)$`, hint: "secretsmanager:GetSecretValue"},
	{name: "the AWS key is wrong", lay: func(t *testing.T, b *bed.Bed) {
		inAWS(t, b)
		b.Env = append(b.Env, "AWS_SECRET_ACCESS_KEY="+secretToken(b))
	}, err: `^resolving API_KEY: cloud: access denied: `, hint: "aws sts get-caller-identity"},
	{name: "there are no AWS credentials", lay: func(t *testing.T, b *bed.Bed) {
		inAWS(t, b)
		b.Env = append(b.Env, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
	}, err: `^resolving API_KEY: cloud: access denied: no AWS credentials are found$`, hint: "aws sso login"},
	{name: "AWS quotes a value", lay: func(t *testing.T, b *bed.Bed) {
		value := canary.Value("k-")
		inAWS(t, b).Fail(awsfake.Failure{Status: 500, Body: []byte(`{"__type":"` + value + `","message":"` + value + `"}`), Code: value, Message: value})
		b.Watch("quoted", value)
	}, err: `^resolving API_KEY: cloud: unavailable`, hint: "try again"},

	{name: "the dotenv file has no such key", lay: func(_ *testing.T, b *bed.Bed) {
		b.Secret("OTHER_KEY", bound)
		b.Reference("API_KEY", "", `backend = "local"`, `name = "NONE"`, bound)
	}, err: `^resolving API_KEY: local: (not found|field missing)`, hint: ""},
	{name: "there is no dotenv file", lay: func(_ *testing.T, b *bed.Bed) {
		b.Reference("API_KEY", "", `backend = "local"`, `name = "NONE"`, bound)
	},
		err: `^resolving API_KEY: local: .*secrets\.env`, hint: ""},

	{name: "a value can stand at none of its places", lay: func(_ *testing.T, b *bed.Bed) { b.SecretValue("API_KEY", privateKey, bound, `swap = ["header"]`) },
		err: `^.*API_KEY: the value has line breaks`, hint: `swap = ["body"]`},
	{name: "a value is under 8 bytes", lay: func(_ *testing.T, b *bed.Bed) { b.SecretValue("API_KEY", "short-7", bound) },
		err: `^.*API_KEY: the value is shorter than 8 bytes`, hint: `[secrets.API_KEY]: scrub = false`},
	{name: "a value holds a mask", lay: func(_ *testing.T, b *bed.Bed) {
		b.SecretValue("API_KEY", "kz_masked_00112233445566778899aabbccddeeff", bound)
	}, err: `^.*API_KEY: the value holds what looks like a mask`, hint: "store the value itself"},

	{name: "a key is unknown", lay: func(_ *testing.T, b *bed.Bed) { b.Secret("API_KEY", bound, `hots = ["x.test"]`) },
		err: `^.*bundle\.toml:9:1: unknown key "hots" in a secret$`, hint: `did you mean "hosts"?`},
	{name: "a backend's type is unknown", lay: func(_ *testing.T, b *bed.Bed) { b.Backend("x", `type = "hashicorp_vualt"`); b.Secret("API_KEY", bound) },
		err: `^.*bundle\.toml:6:8: unknown backend type; did you mean "hashicorp_vault"\?$`, hint: "the types are"},
	{name: "the file is no TOML", lay: func(_ *testing.T, b *bed.Bed) { b.Secret("API_KEY", bound) },
		change: func(_ *bed.Bed, bundle string) string { return bundle + "\n[secrets.X\n" }, err: `^.*bundle\.toml:15:11: reading TOML: expected '\]'`, hint: "kz help configuration"},
	{name: "a value stands in the file", lay: func(_ *testing.T, b *bed.Bed) {
		b.Reference("API_KEY", "a-value-in-the-file", `value = "a-value-in-the-file"`, bound)
	},
		err: `^.*bundle\.toml:6:1: unknown key "value"`, hint: "a value never stands in the file"},
	{name: "a secret has no hosts", lay: func(_ *testing.T, b *bed.Bed) { b.Secret("OPENAI_KEY") },
		err: `^.*bundle\.toml:\d+:\d+: the secret OPENAI_KEY has no hosts`, hint: `hosts = ["api.openai.com"]`},
	{name: "upstream_ca is not there", lay: func(_ *testing.T, b *bed.Bed) { b.Secret("API_KEY", bound) },
		change: func(b *bed.Bed, bundle string) string {
			return strings.ReplaceAll(bundle, b.Path("etc/ca.pem"), "no-such.pem")
		},
		err: `^reading upstream_ca: open .*/etc/no-such\.pem: no such file or directory$`, hint: "PEM"},
	{name: "upstream_ca is no certificate", lay: func(_ *testing.T, b *bed.Bed) { b.Secret("API_KEY", bound) },
		change: func(b *bed.Bed, bundle string) string {
			return strings.ReplaceAll(bundle, b.Path("etc/ca.pem"), "bundle.toml")
		},
		err: `^reading upstream_ca: .*bundle\.toml holds no certificate$`, hint: "PEM"},
}

// secretToken is a credential of a store, which Clean looks for.
func secretToken(b *bed.Bed) string {
	v := canary.Value("hvs.")
	b.Watch("a store's credential", v)
	return v
}

func withEndpoint(url string) []string {
	return append((&bed.AWS{URL: url}).Env(), "AWS_MAX_ATTEMPTS=") // the SDK's own
}

// TestFailures has runs fail before the child starts: in time, in kz's voice, and without a value.
func TestFailures(t *testing.T) {
	t.Parallel()
	for _, c := range failures {
		t.Run("when "+c.name, func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			c.lay(t, b)
			bundle := b.Bundle()
			if c.change != nil {
				bundle = c.change(b, bundle)
			}
			if err := os.WriteFile(b.Path("etc/bundle.toml"), []byte(bundle), 0o600); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			res := b.StartKZ("run", "--blind", "--config", b.Path("etc/bundle.toml"), "--audit", b.AuditFile(), "--", "/usr/bin/touch", "started").Wait()
			if took := time.Since(began); took > 35*time.Second {
				t.Errorf("it took %s", took)
			}
			fails(t, b, res, c.err, c.hint)
		})
	}
}

// TestHangingStores has stores that take a connection and never answer: a run gives up in time.
func TestHangingStores(t *testing.T) {
	t.Parallel()
	vault, aws := bed.New(t), bed.New(t)
	vault.Env = append(vault.Env, "VAULT_TOKEN="+secretToken(vault))
	viaVault(vault, hangs(t), "")
	aws.Env = append(aws.Env, withEndpoint(hangs(t))...)
	viaAWS(aws, "")
	began := time.Now()
	first, second := vault.Start("/usr/bin/touch", "started"), aws.Start("/usr/bin/touch", "started")
	fails(t, vault, first.Wait(), `^resolving API_KEY: corp: timed out`, "")
	fails(t, aws, second.Wait(), `^resolving API_KEY: cloud: timed out`, "")
	if took := time.Since(began); took > 35*time.Second {
		t.Errorf("it took %s", took)
	}
}

// fails checks how a run has ended.
func fails(t *testing.T, b *bed.Bed, res bed.Result, wantErr, wantHint string) {
	t.Helper()
	if res.Code != 125 {
		t.Errorf("exit code %d", res.Code)
	}
	if _, err := os.Lstat(b.Path("home/started")); err == nil {
		t.Error("the child was started")
	}
	b.Clean(res)
	var errors, hints []string
	for line := range strings.Lines(string(res.Stderr)) {
		if text, ok := strings.CutPrefix(line, "kz: error: "); ok {
			errors = append(errors, strings.TrimSuffix(text, "\n"))
		} else if text, ok := strings.CutPrefix(line, "kz: hint: "); ok {
			hints = append(hints, strings.TrimSuffix(text, "\n"))
		}
	}
	if len(errors) != 1 || !regexp.MustCompile(wantErr).MatchString(errors[0]) {
		t.Errorf("want one error that matches %q:\n%s", wantErr, res.Stderr)
	}
	if wantHint == none {
		wantHint, hints = "", append(hints, "")
	}
	if len(hints) != 1 || !strings.Contains(hints[0], wantHint) {
		t.Errorf("want one hint with %q:\n%s", wantHint, res.Stderr)
	}
	if len(res.Stdout) > 0 {
		t.Errorf("standard output: %s", res.Stdout)
	}
}

// TestFailuresTogether has two secrets fail: each is named, with its own hint.
func TestFailuresTogether(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	inAWS(t, b, `secret_id = "prod/none"`)
	b.SecretValue("SHORT_KEY", "1234567", bound)
	b.Secret("GOOD_KEY", bound)
	res := b.Run("/usr/bin/touch", "started")
	res.Exits(t, 125)
	b.Clean(res)
	for _, want := range []string{`error: resolving API_KEY: cloud: not found`, `hint: check secret_id`, `SHORT_KEY: the value is shorter`, `scrub = false`} {
		if !strings.Contains(string(res.Stderr), want) {
			t.Errorf("no %q in\n%s", want, res.Stderr)
		}
	}
	if _, err := os.Lstat(b.Path("home/started")); err == nil || strings.Contains(string(res.Stderr), "GOOD_KEY") {
		t.Errorf("the child was started, or a good secret named:\n%s", res.Stderr)
	}
}

// TestTrust has a file lie in the working directory: it needs approval, once, and again when it changes.
func TestTrust(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", bound)
	write := func(text string) string {
		t.Helper()
		if err := os.WriteFile(b.Path("home/.keyzero.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	run := func() bed.Result {
		return b.KZ("run", "--blind", "--audit", b.AuditFile(), "--", "/usr/bin/touch", "started")
	}
	const notApproved, hint = `^not approved, or changed since: .*/home/\.keyzero\.toml$`, "`kz trust`"
	hash := write(b.Bundle())
	fails(t, b, run(), notApproved, hint)
	res := b.KZ("trust")
	res.Exits(t, 125)
	b.Clean(res)
	for _, want := range []string{"API_KEY", "api.test", "env_file", b.Path("store/secrets.env")} {
		if !strings.Contains(string(res.Stdout), want) {
			t.Errorf("kz trust does not show %s:\n%s", want, res.Stdout)
		}
	}
	fails(t, b, run(), notApproved, hint)
	b.KZ("trust", "--yes", strings.Repeat("0", 64)).Exits(t, 125)
	fails(t, b, run(), notApproved, hint)
	b.KZ("trust", "--yes", hash).Succeeds(t)
	run().Succeeds(t)
	if err := os.Remove(b.Path("home/started")); err != nil {
		t.Fatal("the child was not started")
	}

	write(b.Bundle() + "\n# changed\n")
	fails(t, b, run(), notApproved, hint)
	write(b.Bundle())
	run().Succeeds(t)
	if err := os.Remove(b.Path("home/started")); err != nil {
		t.Fatal("the child was not started")
	}
}
