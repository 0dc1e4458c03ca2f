package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"kz/proxy/policy"
	"kz/resolver"
)

func TestEveryKeyOfASecretIsRead(t *testing.T) {
	t.Parallel()
	cfg := mustTOML(t, `
[backends.aws]
type = "aws_secrets_manager"
[backends.vault]
type = "hashicorp_vault"
mount = "kv"
org_id = "acme"
secret_name_template = "{mount}/{orgId}/{kind}"
[secrets.A]
backend = "aws"
secret_id = "prod/a"
field = "/a/b"
version_stage = "AWSPREVIOUS"
version_id = "id"
hosts = ["API.example.com.", "*.example.org:8443"]
swap = ["header:x-api-key", "body:*", "query:key", "header:X-Api-Key"]
mask = "sk-ant-{mask}"
expose = "masked"
scrub = false
ranges = true
ttl = "0s"
max_stale = "90s"
mode = "direct"
[secrets.b-entry]
backend = "vault"
env = "B_VAR"
path = "secret/b"
jsonKey = "password"
version = 3
mount = "other"
expose = "omit"
max_stale = "0s"
[secrets.C]
backend = "vault"
kind = "openai"
expose = "plain"
[[resolvers]]
name = "d-entry"
backend = "aws"
path = "prod/d"
[[resolvers]]
name = "e entry"
env = "E"
backend = "aws"
secret_id = "prod/e"
path = "prod/e"
`)
	host := func(s string) policy.HostPattern {
		p, err := policy.ParseHostPattern(s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	base := Secret{Places: policy.DefaultPlaces(), Expose: ExposeMasked, Scrub: true, TTL: -1}
	with := func(change func(s *Secret)) Secret {
		s := base
		change(&s)
		return s
	}
	want := []Secret{
		{
			Name: "A", Label: "A", Backend: "aws",
			Ref:   resolver.Ref{ID: "prod/a", Field: "/a/b", VersionStage: "AWSPREVIOUS", VersionID: "id"},
			Hosts: []policy.HostPattern{host("api.example.com"), host("*.example.org:8443")},
			Places: []policy.Place{{Kind: policy.HeaderNamed, Name: "X-Api-Key"}, {Kind: policy.BodyAny},
				{Kind: policy.QueryNamed, Name: "key"}},
			Mask: "sk-ant-{mask}", Expose: ExposeMasked, Ranges: true, TTL: 0, MaxStale: 90 * time.Second,
		},
		with(func(s *Secret) {
			s.Name, s.Label, s.Backend, s.Expose, s.MaxStale = "B_VAR", "b-entry", "vault", ExposeOmit, 1
			s.Ref = resolver.Ref{ID: "secret/b", Field: "password", Version: 3, Mount: "other"}
		}),
		with(func(s *Secret) {
			s.Name, s.Label, s.Backend, s.Expose = "C", "C", "vault", ExposePlain
			s.Ref = resolver.Ref{ID: "kv/acme/openai", Field: "auto"}
		}),
		with(func(s *Secret) {
			s.Name, s.Label, s.Backend, s.Ref = "D_ENTRY", "d-entry", "aws", resolver.Ref{ID: "prod/d"}
		}),
		with(func(s *Secret) { s.Name, s.Label, s.Backend, s.Ref = "E", "e entry", "aws", resolver.Ref{ID: "prod/e"} }),
	}
	if len(cfg.Secrets) != len(want) {
		t.Fatalf("there are %d secrets, want %d", len(cfg.Secrets), len(want))
	}
	for i, got := range cfg.Secrets {
		got.Pos = Pos{}
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("secret %d is\n%+v, want\n%+v", i, got, want[i])
		}
	}
}

func TestReferencesOfTheLocalStores(t *testing.T) {
	t.Parallel()
	cfg := mustTOML(t, `
[backends.f]
type = "env_file"
path = "secrets.env"
[backends.e]
type = "env"
[secrets]
A = { backend = "f" }
B = { backend = "f", field = "KEY" }
C = { backend = "f", name = "KEY", field = "member" }
D = { backend = "e" }
E = { backend = "e", field = "VAR" }
F = { backend = "e", name = "VAR", field = "member" }
`)
	want := map[string]resolver.Ref{"A": {ID: "A"}, "B": {ID: "KEY"}, "C": {ID: "KEY", Field: "member"},
		"D": {ID: "D"}, "E": {ID: "VAR"}, "F": {ID: "VAR", Field: "member"}}
	for name, ref := range want {
		if got := secret(t, cfg, name).Ref; got != ref {
			t.Errorf("%s is at %+v, want %+v", name, got, ref)
		}
	}
}

func TestShorthands(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{".keyzero.toml": `
A = { provider = "aws", ref = "sm://prod/api#key", hosts = ["a.example.com"], mask = "x-{mask}" }
B = { provider = "vault", ref = "vault://secret/app#api_key" }
C = { provider = "vault", ref = "kv://secret/app", field = "x", version = 2 }
D = { provider = "env", ref = "env://OTHER" }
E = { provider = "env_file", ref = "file://sub/secrets.env#KEY" }
F = { provider = "env_file", ref = "file://sub/secrets.env" }
G = { provider = "aws", ref = "sm://arn:aws:secretsmanager:eu-west-1:1:secret:x-AbCdEf" }
`})
	cfg := tr.mustLoad()
	file := "env_file:" + filepath.Join(tr.dir, "sub/secrets.env")
	want := []struct {
		name, backend, kind string
		ref                 resolver.Ref
	}{
		{"A", "aws", AWSSecretsManager, resolver.Ref{ID: "prod/api", Field: "key"}},
		{"B", "vault", HashicorpVault, resolver.Ref{ID: "secret/app", Field: "api_key"}},
		{"C", "vault", HashicorpVault, resolver.Ref{ID: "secret/app", Field: "x", Version: 2}},
		{"D", "env", Env, resolver.Ref{ID: "OTHER"}},
		{"E", file, EnvFile, resolver.Ref{ID: "KEY"}},
		{"F", file, EnvFile, resolver.Ref{ID: "F"}},
		{"G", "aws", AWSSecretsManager, resolver.Ref{ID: "arn:aws:secretsmanager:eu-west-1:1:secret:x-AbCdEf"}},
	}
	for _, w := range want {
		s := secret(t, cfg, w.name)
		if s.Backend != w.backend || s.Ref != w.ref || cfg.Backends[s.Backend].Type != w.kind {
			t.Errorf("%s is in %s (%s) at %+v, want %s (%s) at %+v", w.name, s.Backend, cfg.Backends[s.Backend].Type, s.Ref, w.backend, w.kind, w.ref)
		}
	}
	if got := cfg.Backends[file].Text("path"); got != filepath.Join(tr.dir, "sub/secrets.env") {
		t.Errorf("the path of the file is %s", got)
	}
	if s := secret(t, cfg, "A"); len(s.Hosts) != 1 || s.Mask != "x-{mask}" {
		t.Errorf("A is %+v", s)
	}
}

func TestAShorthandUsesTheConfiguredBackendOfItsNameWhenTheTypeFits(t *testing.T) {
	t.Parallel()
	cfg := mustTOML(t, `
A = { provider = "aws", ref = "sm://x" }
B = { provider = "vault", ref = "kv://x" }
[backends.aws]
type = "aws_secrets_manager"
region = "eu-west-1"
[backends.vault]
type = "env"
`)
	if b := cfg.Backends[secret(t, cfg, "A").Backend]; b.Text("region") != "eu-west-1" {
		t.Errorf("A is in %+v", b)
	}
	if b := cfg.Backends[secret(t, cfg, "B").Backend]; b.Name != "provider:vault" || b.Type != HashicorpVault || len(b.Settings) != 0 {
		t.Errorf("B is in %+v", b)
	}
}

func TestASecretWithoutABackendUsesTheOnlyOne(t *testing.T) {
	t.Parallel()
	cfg := mustTOML(t, "[backends.x]\ntype = 'env'\n[secrets.A]\n")
	if s := secret(t, cfg, "A"); s.Backend != "x" {
		t.Errorf("A is in %q", s.Backend)
	}
}

func TestFieldsMakeOneVariableEach(t *testing.T) {
	t.Parallel()
	cfg := mustTOML(t, `
[backends.aws]
type = "aws_secrets_manager"
[[resolvers]]
name = "jira"
secret_id = "prod/jira"
fields = ["apiToken"]
plain_fields = ["site", "user.email"]
hosts = ["acme.atlassian.net"]
`)
	type view struct {
		name, label, field string
		plain, masked      bool
	}
	var got []view
	for _, s := range cfg.Secrets {
		got = append(got, view{s.Name, s.Label, s.Ref.Field, s.Plain, s.Masked()})
		if s.Ref.ID != "prod/jira" || len(s.Hosts) != 1 {
			t.Errorf("%s is %+v", s.Name, s)
		}
	}
	want := []view{{"JIRA_API_TOKEN", "jira", "apiToken", false, true}, {"JIRA_SITE", "jira", "site", true, false},
		{"JIRA_USER_EMAIL", "jira", "user.email", true, false}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("variables are\n%+v, want\n%+v", got, want)
	}
}

func TestNamesOfFieldsAsVariables(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{
		"apiToken": "API_TOKEN", "api-token": "API_TOKEN", "/api/token": "API_TOKEN", "site": "SITE", "APIKey": "API_KEY",
		"key2Value": "KEY2_VALUE", "a.b": "A_B", "a b": "", "é": "", "_x": "X", "URL": "URL", "2fa": "2FA",
	} {
		if got := snake(field); got != want {
			t.Errorf("snake(%q) = %q, want %q", field, got, want)
		}
	}
}

func TestSettingsOfBackends(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{"deploy/kz.toml": `
[backends.aws]
type = "aws_secrets_manager"
region = "us-east-1"
endpoint = "https://vpce-1.secretsmanager.us-east-1.vpce.amazonaws.com"
auth = "default"
[backends.vault]
type = "hashicorp_vault"
address = "http://127.0.0.1:8200"
namespace = "team/a"
mount = "kv"
ca_cert = "certs/vault.pem"
token = { secret = "vault-token" }
[backends.f]
type = "env_file"
path = "~/secrets.env"
[backends.e]
type = "env"
[backends.g]
type = "env_file"
path = "/etc/kz/secrets.env"
[[resolvers]]
name = "vault-token"
backend = "e"
[egress]
upstream_ca = "../roots.pem"
`})
	o := tr.options()
	o.File = "deploy/kz.toml"
	cfg, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"aws.region": "us-east-1", "aws.endpoint": "https://vpce-1.secretsmanager.us-east-1.vpce.amazonaws.com", "aws.auth": "default",
		"vault.address": "http://127.0.0.1:8200", "vault.namespace": "team/a", "vault.mount": "kv",
		"vault.ca_cert": filepath.Join(tr.dir, "deploy/certs/vault.pem"), "vault.token": "{VAULT_TOKEN}",
		"f.path": filepath.Join(tr.home, "secrets.env"), "g.path": "/etc/kz/secrets.env",
	}
	got := map[string]string{}
	for name, b := range cfg.Backends {
		if b.Dir != filepath.Join(tr.dir, "deploy") {
			t.Errorf("the directory of %s is %s", name, b.Dir)
		}
		for key, s := range b.Settings {
			got[name+"."+key] = fmt.Sprint(s.Value)
			if s.Secret != "" {
				got[name+"."+key] = "{" + s.Secret + "}"
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("settings are\n%v, want\n%v", got, want)
	}
	if cfg.Egress.UpstreamCA != filepath.Join(tr.dir, "roots.pem") {
		t.Errorf("upstream_ca is %s", cfg.Egress.UpstreamCA)
	}
}

func TestASecretThatOnlyFeedsABackendStaysOutOfTheChild(t *testing.T) {
	t.Parallel()
	const text = `
[backends.e]
type = "env"
[backends.vault]
type = "hashicorp_vault"
token = { secret = "BOOT" }
[secrets.BOOT]
backend = "e"
`
	for extra, want := range map[string]string{
		"": ExposeOmit, "expose = 'plain'\n": ExposePlain, "expose = 'masked'\n": ExposeMasked, "hosts = ['vault.example.com']\n": ExposeMasked,
	} {
		if s := secret(t, mustTOML(t, text+extra), "BOOT"); s.Expose != want {
			t.Errorf("with %q BOOT is %s, want %s", extra, s.Expose, want)
		}
	}
}

func TestTheSchemaListsEveryTypeWithItsSettings(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{"string": true, "url": true, "path": true, "enum": true, "number": true, "list": true}
	for _, typ := range Types() {
		if typ.Label == "" || typ.Help == "" || typ.Settings == nil {
			t.Errorf("%s is not described", typ.Name)
		}
		for _, s := range typ.Settings {
			if s.Key == "" || s.Label == "" || s.Help == "" || !kinds[s.Type] || (s.Type == "enum") != (s.Values != nil) {
				t.Errorf("%s.%s is not described: %+v", typ.Name, s.Key, s)
			}
		}
	}
	Types()[0].Settings[0].Key = "changed"
	if Types()[0].Settings[0].Key != "region" {
		t.Error("a caller can change the schema")
	}
}
