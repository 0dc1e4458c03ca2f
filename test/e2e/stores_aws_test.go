package e2e_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kz/resolver/resolvertest/awsfake"
	"kz/test/bed"
	"kz/test/canary"
)

// awsBundle is one store: a field of a JSON secret, another, and a raw one.
const awsBundle = `backends:
  aws:
    type: aws_secrets_manager
    region: us-east-1
resolvers:
  - name: api-key
    mode: direct
    backend: aws
    secret_id: prod/api-key
    field: api_key
  - name: db-connection
    mode: direct
    backend: aws
    secret_id: prod/database
    field: connection_string
  - name: signing-cert
    mode: direct
    backend: aws
    secret_id: prod/tls-cert
`

// temporaryBundle is stored secrets and temporary credentials in one run.
const temporaryBundle = `backends:
  aws-secrets:
    type: aws_secrets_manager
    region: us-east-1
  aws-sts:
    type: aws_sts
    region: us-east-1
resolvers:
  - name: openai-key
    mode: direct
    backend: aws-secrets
    secret_id: prod/openai
    field: api_key
  - name: deploy-creds
    mode: direct
    backend: aws-sts
    role_arn: arn:aws:iam::123456789012:role/deploy
    duration_seconds: 900
`

// bundle writes a bundle that a user has, and returns its path.
func bundle(t *testing.T, b *bed.Bed, text string) string {
	t.Helper()
	path := b.Path("etc/bundle.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withAWS is a bed whose kz reaches a fake.
func withAWS(t *testing.T, o awsfake.Options) (*bed.Bed, *bed.AWS) {
	t.Helper()
	b, a := bed.New(t), bed.NewAWS(t, o)
	b.Env = append(b.Env, a.Env()...)
	return b, a
}

func TestBundleOfOneAWS(t *testing.T) {
	t.Parallel()
	b, a := withAWS(t, awsfake.Options{})
	const cert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	a.Put("prod/api-key", `{"api_key":"k-1"}`)
	a.Put("prod/database", `{"connection_string":"postgres://u:p@db/x?a=b"}`)
	a.Put("prod/tls-cert", cert)
	res := b.KZ("run", "--config", bundle(t, b, awsBundle), "--", "/bin/sh", "-c", `printf '%s|%s|%s' "$API_KEY" "$DB_CONNECTION" "$SIGNING_CERT"`)
	res.Succeeds(t)
	if got, want := string(res.Stdout), "k-1|postgres://u:p@db/x?a=b|"+cert; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := a.Count("BatchGetSecretValue"); n != 1 || a.Count("GetSecretValue") != 0 {
		t.Errorf("%d batch calls and %d single ones for three secrets", n, a.Count("GetSecretValue"))
	}
}

func TestBundleOfAWSAndItsTemporaryCredentials(t *testing.T) {
	t.Parallel()
	t.Run("plain, the program has both", func(t *testing.T) {
		t.Parallel()
		b, a := withAWS(t, awsfake.Options{})
		a.Put("prod/openai", `{"api_key":"sk-1"}`)
		res := b.KZ("run", "--config", bundle(t, b, temporaryBundle), "--", "/bin/sh", "-c", `printf '%s' "$OPENAI_KEY" >&2; printf '%s' "$DEPLOY_CREDS"`)
		res.Succeeds(t)
		var creds struct {
			AccessKeyID     string `json:"access_key_id"`
			SecretAccessKey string `json:"secret_access_key"`
			SessionToken    string `json:"session_token"`
			Expiration      string
		}
		if err := json.Unmarshal(res.Stdout, &creds); err != nil || !strings.HasPrefix(creds.AccessKeyID, "ASIA") || creds.SecretAccessKey == "" || creds.SessionToken == "" || creds.Expiration == "" {
			t.Errorf("%v: not the credentials", err)
		}
		if string(res.Stderr) != "sk-1" {
			t.Errorf("the other secret is %q", res.Stderr)
		}
		form, err := url.ParseQuery(string(last(t, a, "AssumeRole").Input))
		if err != nil || form.Get("RoleArn") != "arn:aws:iam::123456789012:role/deploy" || form.Get("DurationSeconds") != "900" || form.Get("RoleSessionName") != "kz" {
			t.Errorf("asked for %v", form)
		}
	})
	t.Run("blind with --any-host, the program has masks of both", func(t *testing.T) {
		t.Parallel()
		curl := bed.Program(t, "curl")
		b, a := withAWS(t, awsfake.Options{})
		key := canary.Value("sk-")
		a.Put("prod/openai", `{"api_key":"`+key+`"}`)
		b.Watch("OPENAI_KEY", key)
		b.Watch("the role's secret key", "temporary-secret-access-key-")
		b.Watch("the role's session token", "temporary-session-token-")
		file := bundle(t, b, temporaryBundle+`egress:
  allow_private: ["127.0.0.0/8"]
  upstream_ca: `+b.Path("etc/ca.pem")+`
  resolve: {"api.test:443": "`+b.Origin.Addr("tls")+`"}
`)
		res := b.KZ("run", "--blind", "--any-host", "--config", file, "--audit", b.AuditFile(), "--", "/bin/sh", "-c",
			`env; `+curl+` -sS -H "Authorization: Bearer $OPENAI_KEY" -H 'Content-Type: application/json' -d '{"secret":"'"$DEPLOY_CREDS"'"}' https://api.test/echo`)
		res.Succeeds(t)
		r := received(t, b, "/echo")[0]
		if r.Header.Get("Authorization") != "Bearer "+key {
			t.Error("the origin did not get the stored secret")
		}
		var body, creds map[string]string
		if err := json.Unmarshal(r.Body, &body); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(body["secret"]), &creds); err != nil || !strings.HasPrefix(creds["access_key_id"], "ASIA") {
			t.Errorf("the origin did not get the credentials: %v", err)
		}
		b.Clean(res)
	})
}

// last is the last request for an operation.
func last(t *testing.T, a *bed.AWS, operation string) awsfake.Request {
	t.Helper()
	var out awsfake.Request
	for _, r := range a.Requests() {
		if r.Operation == operation {
			out = r
		}
	}
	if out.Operation == "" {
		t.Fatalf("there was no %s", operation)
	}
	return out
}

func TestCredentialsThatAProgramSignsWith(t *testing.T) {
	t.Parallel()
	lay := func(t *testing.T, lines ...string) (*bed.Bed, *bed.AWS) {
		b, a := withAWS(t, awsfake.Options{})
		b.Backend("sts", `type = "aws_sts"`, `role_arn = "arn:aws:iam::123456789012:role/deploy"`)
		b.Reference("DEPLOY", "", append([]string{`backend = "sts"`, `export_as = "aws"`}, lines...)...)
		return b, a
	}
	const show = `env | grep '^AWS_\(ACCESS\|SECRET\|SESSION\)'`
	t.Run("plain, they are of one session and sign", func(t *testing.T) {
		t.Parallel()
		aws := bed.Program(t, "aws")
		b, a := lay(t)
		res := b.RunPlain("/bin/sh", "-c", show+"; AWS_PAGER= "+aws+" --endpoint-url "+a.URL+" sts get-caller-identity --query Arn --output text")
		res.Succeeds(t)
		if !strings.HasSuffix(string(res.Stdout), "arn:aws:sts::123456789012:assumed-role/deploy/kz\n") || strings.Count(string(res.Stdout), "\nAWS_")+1 != 3 {
			t.Errorf("the program has\n%s", res.Stdout)
		}
		if n := a.Count("AssumeRole"); n != 1 {
			t.Errorf("%d calls for three variables", n)
		}
	})
	t.Run("blind, they are refused with what to write", func(t *testing.T) {
		t.Parallel()
		b, a := lay(t)
		b.Flags = append(b.Flags, "--any-host")
		res := b.Run("/bin/true")
		res.Exits(t, 125)
		for _, text := range []string{"sign requests, which a mask cannot", "kz: hint: ", `expose = "omit"`} {
			if !strings.Contains(string(res.Stderr), text) {
				t.Errorf("%q lacks %q", res.Stderr, text)
			}
		}
		if n := a.Count("AssumeRole"); n != 0 {
			t.Errorf("%d calls", n)
		}
	})
	t.Run(`blind with expose = "plain", the program has them and not those of kz`, func(t *testing.T) {
		t.Parallel()
		b, a := lay(t, `expose = "plain"`)
		res := b.Run("/bin/sh", "-c", show+"; env")
		res.Succeeds(t)
		if out := string(res.Stdout); strings.Count(out, "AWS_ACCESS_KEY_ID=ASIA") != 2 || strings.Contains(out, awsfake.DefaultKey.AccessKeyID) || strings.Contains(out, "AWS_ENDPOINT_URL") {
			t.Errorf("the program has\n%s", out)
		}
		if !strings.Contains(string(res.Stderr), "AWS_SECRET_ACCESS_KEY") {
			t.Errorf("there is no warning: %s", res.Stderr)
		}
		if n := a.Count("AssumeRole"); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
	t.Run(`blind with expose = "omit", the program has none`, func(t *testing.T) {
		t.Parallel()
		b, _ := lay(t, `expose = "omit"`)
		res := b.Run("/bin/sh", "-c", show+" || echo none")
		res.Succeeds(t)
		if string(res.Stdout) != "none\n" {
			t.Errorf("the program has\n%s", res.Stdout)
		}
	})
}

func TestWaysToLogInToAWS(t *testing.T) {
	t.Parallel()
	// without takes kz's own key out of its environment.
	without := func(b *bed.Bed) {
		var env []string
		for _, e := range b.Env {
			if !strings.HasPrefix(e, "AWS_ACCESS_KEY_ID=") && !strings.HasPrefix(e, "AWS_SECRET_ACCESS_KEY=") {
				env = append(env, e)
			}
		}
		b.Env = env
	}
	token := func(t *testing.T, b *bed.Bed, text string) string {
		path := filepath.Join(b.Path("etc"), "token")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		options awsfake.Options
		lay     func(t *testing.T, b *bed.Bed, a *bed.AWS) []string
	}{
		"a static key, both halves of which are secrets of another store": {awsfake.Options{}, func(t *testing.T, b *bed.Bed, _ *bed.AWS) []string {
			without(b)
			b.SecretValue("BOOT_ID", awsfake.DefaultKey.AccessKeyID, `expose = "omit"`)
			b.SecretValue("BOOT_KEY", awsfake.DefaultKey.SecretAccessKey, `expose = "omit"`)
			return []string{`auth = "static"`, `access_key_id = { secret = "BOOT_ID" }`, `secret_access_key = { secret = "BOOT_KEY" }`}
		}},
		"a static key, its id in the file": {awsfake.Options{}, func(t *testing.T, b *bed.Bed, _ *bed.AWS) []string {
			without(b)
			b.SecretValue("BOOT_KEY", awsfake.DefaultKey.SecretAccessKey, `expose = "omit"`)
			return []string{`auth = "static"`, `access_key_id = "` + awsfake.DefaultKey.AccessKeyID + `"`, `secret_access_key = { secret = "BOOT_KEY" }`}
		}},
		"a role, from the chain": {awsfake.Options{ExternalID: awsfake.ExternalID}, func(*testing.T, *bed.Bed, *bed.AWS) []string {
			return []string{`auth = "role"`, `role_arn = "` + awsfake.RoleARN + `"`, `external_id = "` + awsfake.ExternalID + `"`}
		}},
		"a pod's web identity": {awsfake.Options{WebIdentityToken: awsfake.WebToken}, func(t *testing.T, b *bed.Bed, _ *bed.AWS) []string {
			without(b)
			b.Env = append(b.Env, "AWS_ROLE_ARN="+awsfake.RoleARN, "AWS_WEB_IDENTITY_TOKEN_FILE="+token(t, b, awsfake.WebToken))
			return []string{`auth = "irsa"`}
		}},
		"a pod's identity agent": {awsfake.Options{ContainerToken: "pod-token"}, func(t *testing.T, b *bed.Bed, a *bed.AWS) []string {
			without(b)
			b.Env = append(b.Env, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+a.URL+"/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+token(t, b, "pod-token"))
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, a := withAWS(t, c.options)
			login := c.lay(t, b, a)
			b.Backend("sm", append([]string{`type = "aws_secrets_manager"`}, login...)...)
			b.Backend("ssm", append([]string{`type = "aws_ssm"`}, login...)...)
			secret, parameter := canary.Value("k-"), canary.Value("p-")
			a.Put("prod/api", `{"key":"`+secret+`"}`)
			a.PutParameter("/prod/api", parameter)
			b.Reference("SECRET", secret, `backend = "sm"`, `secret_id = "prod/api"`, `field = "key"`, `hosts = ["api.test"]`)
			b.Reference("PARAMETER", parameter, `backend = "ssm"`, `path = "/prod/api"`, `hosts = ["api.test"]`)
			res := b.RunPlain("/bin/sh", "-c", `test "$SECRET $PARAMETER" = "$1 $2" && echo same`, "sh", secret, parameter)
			res.Succeeds(t)
			blind := b.Run(shell("env")...)
			blind.Succeeds(t)
			b.Clean(blind)
		})
	}
}

func TestReferencesToAWS(t *testing.T) {
	t.Parallel()
	b, a := withAWS(t, awsfake.Options{})
	first := a.Put("acme/jira", `{"apiToken":"t-1","site":"acme.example","email":"a@acme.example","apiKey":"no"}`)
	a.Put("acme/jira", `{"apiToken":"t-2","site":"acme.example","email":"a@acme.example"}`)
	a.Put("acme/plain", "just text")
	a.PutBinary("blob", []byte{0, 1, 254, 255})
	a.PutParameter("/acme/github", `{"value":"gh-1"}`)
	a.PutParameter("/acme/github", `{"value":"gh-2"}`)
	b.Backend("aws", `type = "aws_secrets_manager"`, `org_id = "acme"`)
	b.Backend("ssm", `type = "aws_ssm"`, `org_id = "acme"`, `secret_name_template = "/{orgId}/{kind}"`)
	for name, lines := range map[string][]string{
		"JIRA":   {`backend = "aws"`, `kind = "jira"`, `fields = ["apiToken"]`, `plain_fields = ["site", "email"]`},
		"AUTO":   {`backend = "aws"`, `kind = "jira"`},
		"TEXT":   {`backend = "aws"`, `kind = "plain"`},
		"BINARY": {`backend = "aws"`, `name = "blob"`},
		"BEFORE": {`backend = "aws"`, `secret_id = "acme/jira"`, `version_stage = "AWSPREVIOUS"`, `jsonKey = "apiToken"`},
		"EXACT":  {`backend = "aws"`, `secret_id = "` + a.ARN("acme/jira") + `"`, `version_id = "` + first + `"`, `field = "/apiKey"`},
		"GITHUB": {`backend = "ssm"`, `kind = "github"`},
		"OLDER":  {`backend = "ssm"`, `path = "/acme/github"`, `version = 1`, `field = "value"`},
		"SHORT":  {`provider = "aws"`, `ref = "ssm:///acme/github#value"`},
	} {
		b.Reference(name, "", lines...)
	}
	want := map[string]string{
		"JIRA_API_TOKEN": "t-2", "JIRA_SITE": "acme.example", "JIRA_EMAIL": "a@acme.example", "AUTO": "t-2", "TEXT": "just text", "BINARY": "AAH+/w==",
		"BEFORE": "t-1", "EXACT": "no", "GITHUB": "gh-2", "OLDER": "gh-1", "SHORT": "gh-2",
	}
	res := b.RunPlain("env")
	res.Succeeds(t)
	for name, value := range want {
		if !strings.Contains("\n"+string(res.Stdout), "\n"+name+"="+value+"\n") {
			t.Errorf("%s is not %q", name, value)
		}
	}
	if t.Failed() {
		t.Logf("%s", res.Stdout)
	}
}
