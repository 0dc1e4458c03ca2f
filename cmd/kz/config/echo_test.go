package config

import (
	"regexp"
	"strings"
	"testing"
)

// canaries are values as a person may paste them. None may be quoted by any problem.
var canaries = []string{
	"sk-canary-Zq81", "AKIACANARYZQ81", "postgres://u:canaryZq81@db.example.com/x", "https://canaryZq81:x@example.com/",
	"canary Zq81", "canary://Zq81", "sm://canaryZq81#", "{mask}canary Zq81", "eyJ.canaryZq81.", "canaryZq81\\n\\n",
}

const everythingTOML = `
X = { provider = "aws", ref = "sm://prod/api" }
[backends.aws]
type = "aws_secrets_manager"
region = "us-east-1"
endpoint = "https://sm.example.com"
auth = "default"
org_id = "acme"
secret_name_template = "{orgId}/{kind}"
[backends.vault]
type = "hashicorp_vault"
address = "https://vault.example.com"
namespace = "n"
mount = "kv"
ca_cert = "ca.pem"
token = { secret = "A" }
[secrets.A]
backend = "aws"
secret_id = "prod/a"
field = "key"
version_stage = "s"
version_id = "i"
hosts = ["a.example.com"]
swap = ["header"]
mask = "x-{mask}"
expose = "masked"
scrub = true
ranges = false
ttl = "5m"
max_stale = "5m"
mode = "direct"
[secrets.B]
backend = "vault"
path = "b"
version = 2
fields = ["x"]
plain_fields = ["y"]
[[resolvers]]
name = "c"
backend = "aws"
kind = "k"
[egress]
mode = "strict"
intercept = "all"
allow = ["a.example.com"]
deny = ["b.example.com"]
allow_private = ["10.0.0.0/8"]
resolve = { "a.example.com" = "127.0.0.1:1" }
upstream_ca = "r.pem"
upstream_proxy = "http://p.example.com"
`

const everythingYAML = `
X: {provider: "aws", ref: "sm://prod/api"}
backends:
  aws:
    type: "aws_secrets_manager"
    region: "us-east-1"
  vault:
    type: "hashicorp_vault"
    address: "https://vault.example.com"
    token: {secret: "A"}
resolvers:
  - name: "a"
    mode: "direct"
    backend: "aws"
    secret_id: "prod/a"
    field: "key"
    hosts: ["a.example.com"]
    swap: ["header"]
    mask: "x-{mask}"
    ttl: "5m"
    scrub: true
egress:
  mode: "strict"
  allow: ["a.example.com"]
  allow_private: ["10.0.0.0/8"]
  resolve: {"a.example.com": "127.0.0.1:1"}
`

func TestNoProblemQuotesAValue(t *testing.T) {
	t.Parallel()
	for _, doc := range []struct {
		name, file, text, assign string
	}{{"TOML", ".keyzero.toml", everythingTOML, " ="}, {"YAML", ".keyzero.yaml", everythingYAML, ":"}} {
		t.Run(doc.name, func(t *testing.T) {
			t.Parallel()
			load := func(text string) error {
				_, err := buildOne(doc.file, []byte(text), "")
				return err
			}
			if err := load(doc.text); err != nil {
				t.Fatalf("the document itself is refused: %v", err)
			}
			quoted := regexp.MustCompile(`"[^"\n]*"`)
			anyValue := regexp.MustCompile(`(?m)(= |: |^  - )[^\s].*$`)
			refused := 0
			try := func(text string) {
				err := load(text)
				if err == nil {
					return
				}
				refused++
				for _, l := range lines(err) {
					if low := strings.ToLower(l); strings.Contains(low, "canary") || strings.Contains(low, "zq81") {
						t.Errorf("a value is quoted: %s", l)
					}
				}
			}
			for _, c := range canaries {
				// In place of a text, quoted; in place of any value, quoted, bare, half quoted, as a list, as a table; and as
				// the value of a new key in each table.
				for _, at := range quoted.FindAllStringIndex(doc.text, -1) {
					if strings.HasPrefix(doc.text[at[1]:], doc.assign) {
						continue // a key
					}
					try(doc.text[:at[0]] + `"` + c + `"` + doc.text[at[1]:])
				}
				for _, at := range anyValue.FindAllStringSubmatchIndex(doc.text, -1) {
					head, tail := doc.text[:at[3]], doc.text[at[1]:]
					for _, v := range []string{`"` + c + `"`, c, `"` + c, `["` + c + `"]`, `[["` + c + `"]]`, `{ x` + doc.assign + ` "` + c + `" }`, "*" + c, "&" + c, "!" + c} {
						try(head + v + tail)
					}
				}
				for i, line := range strings.Split(doc.text, "\n") {
					all := strings.Split(doc.text, "\n")
					indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
					all[i] += "\n" + indent + `password` + doc.assign + ` "` + c + `"`
					try(strings.Join(all, "\n"))
					all[i] = line + "\n" + c
					if doc.name == "TOML" {
						try(strings.Join(all, "\n"))
					}
				}
			}
			if refused < 1000 {
				t.Errorf("only %d documents were refused: this test proves nothing", refused)
			}
		})
	}
}

func TestAKeyIsShownOnlyWhenItLooksLikeOne(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"hosts": `"hosts"`, "a.example.com:443": `"a.example.com:443"`, "": "(not shown)", "a b": "(not shown)",
		"\x1b[2J": "(not shown)", strings.Repeat("k", 65): "(not shown)", "key=": "(not shown)",
	} {
		if got := shown(key); got != want {
			t.Errorf("the key %q shows as %s", key, got)
		}
	}
}
