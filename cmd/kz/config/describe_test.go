package config

import (
	"strings"
	"testing"
)

func TestASummaryShowsWhatAFileWouldAllow(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{".keyzero.toml": `
[backends.aws]
type = "aws_secrets_manager"
region = "us-east-1"
[backends.vault]
type = "hashicorp_vault"
address = "http://vault.corp:8200"
token = { secret = "BOOT" }
[secrets.A]
backend = "aws"
secret_id = "prod/a"
field = "key"
hosts = ["api.example.com", "*.xn--80ak6aa92e.com", "аррӏе.com", "192.0.2.1:8443"]
ttl = "5m"
[secrets.B]
backend = "aws"
secret_id = "b\u202eevil"
expose = "plain"
scrub = false
[secrets.BOOT]
provider = "env"
ref = "env://BOOT"
[egress]
mode = "strict"
allow_private = ["10.0.0.0/8"]
resolve = { "api.example.com" = "10.0.0.1:443" }
upstream_ca = "roots.pem"
upstream_proxy = "http://proxy.corp:3128"
[production.secrets.A]
hosts = ["evil.example.com"]
swap = ["body:*"]
`, ".keyzero.local.toml": "[secrets.A]\nhosts = ['local.example.com']"})
	cfg := tr.mustLoad()
	all := cfg.Describe()
	if len(all) != 2 {
		t.Fatalf("there are %d summaries", len(all))
	}
	want := tr.dir + `/.keyzero.toml
  sha256 ` + cfg.Sources[0].SHA256 + `
  backends
    aws: aws_secrets_manager, region us-east-1
    vault: hashicorp_vault, address http://vault.corp:8200, token secret = BOOT
  secrets
    A: from aws prod/a (key), to api.example.com, *.xn--80ak6aa92e.com, xn--80ak6aa92e.com, 192.0.2.1:8443, in header, basic, body, ttl 5m
    B: from aws "b\u202eevil", expose plain, scrub false
    BOOT: from env env://BOOT
  egress
    mode: strict
    allow_private: 10.0.0.0/8
    resolve: api.example.com = 10.0.0.1:443
    upstream_ca: roots.pem
    upstream_proxy: http://proxy.corp:3128
  note: the backend vault is reached without encryption: http://vault.corp:8200
  note: A may go to every host below xn--80ak6aa92e.com
  note: A may go to a bare address: 192.0.2.1:8443
  note: B reaches the program itself, in plain
  note: B is not masked again in what comes back
  note: private networks may be reached: 10.0.0.0/8
  note: names are dialled elsewhere: api.example.com = 10.0.0.1:443
  note: the certificates of this file can vouch for any host, and its content is not part of the approval: roots.pem
  note: everything goes through the proxy http://proxy.corp:3128
  in the environment production
  secrets
    A: to evil.example.com, in body:*
`
	if got := all[0].String(); got != want {
		t.Errorf("the summary is\n%s\nwant\n%s", got, want)
	}
	if got := all[1].String(); !strings.Contains(got, "A: to local.example.com") || strings.Contains(got, "evil") {
		t.Errorf("the local file's summary is\n%s", got)
	}
}

func TestASummaryIsSafeToPrint(t *testing.T) {
	t.Parallel()
	cfg := mustTOML(t, "[backends.e]\ntype = 'env'\n[secrets.A]\nname = \"a\u200bb\"\n[\"\\u001b[2J\".secrets]\n")
	for _, c := range cfg.Describe()[0].String() {
		if c >= 0x7f || c < ' ' && c != '\n' {
			t.Fatalf("the summary holds %q", c)
		}
	}
}
