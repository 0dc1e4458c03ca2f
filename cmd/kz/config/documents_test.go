package config

import (
	"reflect"
	"testing"

	"kz/resolver"
)

const awsBundle = `# One store; a field of a JSON secret, another, and a raw one (a PEM certificate).
backends:
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

const temporaryBundle = `# Stored secrets and temporary AWS credentials in one run.
backends:
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

const threeCloudsBundle = `# Three clouds, no mode, path for all but AWS.
backends:
  aws:
    type: aws_secrets_manager
    region: us-east-1
  gcp:
    type: gcp_secret_manager
    project: my-gcp-project
  vault:
    type: hashicorp_vault
    address: https://vault.internal
resolvers:
  - name: aws-api-key
    backend: aws
    secret_id: prod/api-key
    field: key
  - name: gcp-service-key
    backend: gcp
    path: service-account-key
  - name: vault-db-pass
    backend: vault
    path: secret/data/db
    field: password
`

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

func TestDocumentsThatLoadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	type where struct {
		name, label, backend string
		ref                  resolver.Ref
	}
	tests := []struct {
		name, file, text string
		backends         map[string]string
		want             []where
	}{
		{"a YAML bundle of one store", "bundle.yaml", awsBundle, map[string]string{"aws": AWSSecretsManager}, []where{
			{"API_KEY", "api-key", "aws", resolver.Ref{ID: "prod/api-key", Field: "api_key"}},
			{"DB_CONNECTION", "db-connection", "aws", resolver.Ref{ID: "prod/database", Field: "connection_string"}},
			{"SIGNING_CERT", "signing-cert", "aws", resolver.Ref{ID: "prod/tls-cert"}},
		}},
		{"a YAML bundle of temporary credentials", "bundle.yaml", temporaryBundle,
			map[string]string{"aws-secrets": AWSSecretsManager, "aws-sts": AWSSTS}, []where{
				{"OPENAI_KEY", "openai-key", "aws-secrets", resolver.Ref{ID: "prod/openai", Field: "api_key"}},
				{"DEPLOY_CREDS", "deploy-creds", "aws-sts", resolver.Ref{RoleARN: "arn:aws:iam::123456789012:role/deploy", DurationSeconds: 900}},
			}},
		{"a YAML bundle of Vault alone", "bundle.yaml", vaultBundle, map[string]string{"vault": HashicorpVault}, []where{
			{"STRIPE_KEY", "stripe-key", "vault", resolver.Ref{ID: "secret/data/stripe", Field: "api_key"}},
			{"ANTHROPIC_API_KEY", "anthropic-api-key", "vault", resolver.Ref{ID: "secret/anthropic"}},
		}},
		{"a YAML bundle of three clouds", "bundle.yml", threeCloudsBundle,
			map[string]string{"aws": AWSSecretsManager, "gcp": GCPSecretManager, "vault": HashicorpVault}, []where{
				{"AWS_API_KEY", "aws-api-key", "aws", resolver.Ref{ID: "prod/api-key", Field: "key"}},
				{"GCP_SERVICE_KEY", "gcp-service-key", "gcp", resolver.Ref{ID: "service-account-key"}},
				{"VAULT_DB_PASS", "vault-db-pass", "vault", resolver.Ref{ID: "secret/data/db", Field: "password"}},
			}},
		{"one line of TOML", "kz.toml", `API_KEY = { provider = "aws", ref = "sm://prod/api" }`,
			map[string]string{"aws": AWSSecretsManager}, []where{{"API_KEY", "API_KEY", "aws", resolver.Ref{ID: "prod/api"}}}},
		{"one line of TOML under secrets", "kz.toml", "[secrets]\n" + `API_KEY = { provider = "aws", ref = "sm://prod/api" }`,
			map[string]string{"aws": AWSSecretsManager}, []where{{"API_KEY", "API_KEY", "aws", resolver.Ref{ID: "prod/api"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tr := newTree(t, map[string]string{tt.file: tt.text})
			o := tr.options()
			o.File = tt.file
			cfg, err := Load(o)
			if err != nil {
				t.Fatal(err)
			}
			var got []where
			for _, s := range cfg.Secrets {
				got = append(got, where{s.Name, s.Label, s.Backend, s.Ref})
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("secrets are\n%+v, want\n%+v", got, tt.want)
			}
			backends := map[string]string{}
			for name, b := range cfg.Backends {
				backends[name] = b.Type
			}
			if !reflect.DeepEqual(backends, tt.backends) {
				t.Errorf("backends are %v, want %v", backends, tt.backends)
			}
			if cfg.Sources[0].Discovered {
				t.Error("a file given with --config counts as discovered")
			}
		})
	}
}

func TestTheContractsExampleLoads(t *testing.T) {
	t.Parallel()
	cfg := mustTOML(t, `
[backends.aws]
type   = "aws_secrets_manager"     # SDK credential chain unless auth says otherwise
region = "us-east-1"               # optional

[backends.vault]
type    = "hashicorp_vault"
address = "https://vault.internal:8200"

[backends.local]
type = "env_file"
path = "secrets.env"

[secrets.OPENAI_API_KEY]           # the variable the child sees
backend   = "aws"
secret_id = "prod/openai"          # name or ARN
field     = "api_key"              # optional JSON field
hosts     = ["api.openai.com"]

[secrets.STRIPE_KEY]
backend = "vault"
path    = "secret/stripe"
hosts   = ["api.stripe.com"]
swap    = ["header", "basic"]
mask    = "sk_live_{mask}"

[egress]
mode  = "permissive"
intercept = "bound"
allow = ["docs.example.com"]
deny  = []
allow_private = ["10.1.0.0/16"]
resolve       = { "api.corp.test:443" = "127.0.0.1:19443" }
upstream_ca   = "corp-roots.pem"
upstream_proxy = "http://proxy.corp:3128"
`)
	if err := cfg.Blind(false); err != nil {
		t.Errorf("blind: %v", err)
	}
	if got := names(cfg); !reflect.DeepEqual(got, []string{"OPENAI_API_KEY", "STRIPE_KEY"}) {
		t.Errorf("secrets are %v", got)
	}
	if s := secret(t, cfg, "STRIPE_KEY"); s.Mask != "sk_live_{mask}" || len(s.Places) != 2 || s.Hosts[0].String() != "api.stripe.com" {
		t.Errorf("STRIPE_KEY is %+v", s)
	}
	e := cfg.Egress
	if e.Mode != "permissive" || e.Intercept != "bound" || len(e.Allow) != 1 || len(e.AllowPrivate) != 1 || len(e.Resolve) != 1 ||
		e.UpstreamProxy != "http://proxy.corp:3128" {
		t.Errorf("egress is %+v", e)
	}
}
