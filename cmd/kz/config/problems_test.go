package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Every case gives the whole list of problems, with positions and hints: `place: message → hint`.
func TestProblemsNameTheirPlace(t *testing.T) {
	t.Parallel()
	const aws = "[backends.aws]\ntype = 'aws_secrets_manager'\n"
	toml := []struct{ name, text, want string }{
		{"an unknown key at the top level", "egres = 1\nfoo = 1", `
.keyzero.toml:1:1: unknown key "egres" → did you mean "egress"?
.keyzero.toml:2:1: unknown key "foo"`},
		{"a value in place of a reference", `OPENAI_API_KEY = "sk-proj-1234"`, `
.keyzero.toml:1:1: unknown key "OPENAI_API_KEY" → ` + noValues},
		{"a value under secrets", "[secrets]\nOPENAI_API_KEY = 'sk-proj-1234'", `
.keyzero.toml:2:18: the secret "OPENAI_API_KEY" takes a table, not text → ` + noValues},
		{"a value inside a secret", aws + "[secrets.A]\nsecret_id = 'x'\nvalue = 'sk-proj-1234'", `
.keyzero.toml:5:1: unknown key "value" in a secret → ` + noValues},
		{"a secret at the top level", "[API_KEY]\nbackend = 'aws'", `
.keyzero.toml:1:2: unknown key "API_KEY" → a secret stands under secrets`},
		{"wrong kinds of values", aws + `[secrets.A]
secret_id = 5
hosts = "api.example.com"
scrub = "no"
version_id = ["a"]
swap = [1]
ttl = 2024-01-01`, `
.keyzero.toml:4:13: "secret_id" takes text, not a number → put it in quotes
.keyzero.toml:5:9: "hosts" takes a list, not text → put it in brackets: hosts = ["…"]
.keyzero.toml:6:9: "scrub" takes true or false, not text
.keyzero.toml:7:1: "version_id" takes text, not a list
.keyzero.toml:8:9: "swap" is a list of text, and holds a number
.keyzero.toml:9:7: "ttl" takes text, not a number or date → put it in quotes`},
		{"empty texts and control characters", aws + "[secrets.A]\nsecret_id = ''\n[secrets.B]\nsecret_id = \"a\\u001b[2Jb\"", `
.keyzero.toml:4:13: "secret_id" is empty
.keyzero.toml:6:13: "secret_id" holds a control character`},
		{"hosts that are none", aws + `[secrets.A]
secret_id = "x"
hosts = ["https://api.example.com/v1", "api.example.com/v1", "http://user:pw@api.example.com", "*", "a b", "ok.example.com"]`, `
.keyzero.toml:5:10: "hosts" holds what is not a host: a host, not a URL, is needed: leave out the scheme and the path → write "api.example.com"
.keyzero.toml:5:40: "hosts" holds what is not a host: a host without user and path is needed → write "api.example.com"
.keyzero.toml:5:62: "hosts" holds what is not a host: a host, not a URL, is needed: leave out the scheme and the path
.keyzero.toml:5:96: "hosts" holds what is not a host: every host is too many: name them, or use *.example.com
.keyzero.toml:5:101: "hosts" holds what is not a host: the host may hold only letters, digits, hyphens and dots`},
		{"places that are none", aws + "[secrets.A]\nsecret_id = 'x'\nswap = ['header', 'cookie', 'query']\n[secrets.B]\nsecret_id = 'x'\nswap = []", `
.keyzero.toml:5:19: "swap" holds what is not a place: one of header, header:NAME, basic, body, body:NAME, body:/pointer, body:*, query:NAME, path, frame is needed
.keyzero.toml:5:29: "swap" holds what is not a place: the parameter's name is needed, as in query:key
.keyzero.toml:8:1: "swap" names no place → leave it out for header, basic and body`},
		{"masks without exactly one hole", aws + `[secrets]
A = { secret_id = "x", mask = "sk_live" }
B = { secret_id = "x", mask = "{mask}{mask}" }
C = { secret_id = "x", mask = "a b{mask}" }
D = { secret_id = "x", mask = "` + strings.Repeat("x", 200) + `{mask}" }
E = { secret_id = "x", mask = "kz_masked_{mask}" }`, `
.keyzero.toml:4:31: "mask" must hold {mask} exactly once → as in "sk_live_{mask}"
.keyzero.toml:5:31: "mask" must hold {mask} exactly once → as in "sk_live_{mask}"
.keyzero.toml:6:31: "mask" may hold letters, digits and plain punctuation beside {mask}, and no mask
.keyzero.toml:7:31: "mask" is longer than 128 bytes
.keyzero.toml:8:31: "mask" may hold letters, digits and plain punctuation beside {mask}, and no mask`},
		{"names of backends that are no names", "[backends.\"\\u001b[2J\"]\ntype = 'env'\n[backends.a]\ntype = 'env'\n[backends.b]\ntype = 'env'\n[secrets.A]", `
.keyzero.toml:1:11: the name of a backend is made of letters, digits, -, _ and .
.keyzero.toml:7:10: the secret names no backend → the backends are a, b`},
		{"spans of time and words out of a few", aws + `[secrets.A]
secret_id = "x"
ttl = "1 hour"
max_stale = "-1s"
expose = "Plain"
mode = "proxy"
export_as = "gcp"`, `
.keyzero.toml:5:7: "ttl" is not a span of time → write it as in 90s, 15m or 1h30m
.keyzero.toml:6:13: "max_stale" is not a span of time → write it as in 90s, 15m or 1h30m
.keyzero.toml:7:10: "expose" is one of masked, omit, plain → did you mean "plain"?
.keyzero.toml:8:8: "mode" may only be "direct"
.keyzero.toml:9:1: "export_as" means nothing for a backend of type aws_secrets_manager → there a secret may have kind, version_stage, version_id
.keyzero.toml:9:13: "export_as" may only be "aws"`},
		{"references that contradict", aws + `[secrets.A]
secret_id = "x"
path = "y"
field = "a"
jsonKey = "b"
[secrets.B]
secret_id = "x"
name = "x"
field = "a"
fields = ["b"]
[secrets.C]
secret_id = "x"
kind = "openai"`, `
.keyzero.toml:5:8: "secret_id" and "path" give two different references
.keyzero.toml:7:11: "field" and "jsonKey" give two different fields
.keyzero.toml:12:1: "field" and "fields" exclude one another
.keyzero.toml:15:8: "secret_id" and "kind" give two references`},
		{"no reference at all", aws + "[secrets.A]\nfield = 'x'", `
.keyzero.toml:3:10: the secret does not say where its value lives → name it in the store: secret_id = "prod/key"`},
		{"keys of another store", aws + "[secrets.A]\nsecret_id = 'x'\nversion = 2\nmount = 'kv'\nrole_arn = 'x'\nversion_stage = 'AWSPREVIOUS'", `
.keyzero.toml:5:1: "version" means nothing for a backend of type aws_secrets_manager → there a secret may have kind, version_stage, version_id
.keyzero.toml:6:1: "mount" means nothing for a backend of type aws_secrets_manager → there a secret may have kind, version_stage, version_id
.keyzero.toml:7:1: "role_arn" means nothing for a backend of type aws_secrets_manager → there a secret may have kind, version_stage, version_id`},
		{"versions below one", "[backends.v]\ntype = 'hashicorp_vault'\n[secrets.A]\npath = 'x'\nversion = 0", `
.keyzero.toml:5:11: "version" is a whole number from 1 on`},
		{"backends that are none", `[backends.a]
region = "x"
[backends.b]
type = "aws_sts"
anything = 1
[backends.c]
type = "hashicorp-vault"
[backends.d]
type = "env_file"
[backends."e f"]
type = "env"
[backends]
g = "aws_secrets_manager"`, `
.keyzero.toml:1:11: the backend "a" has no type → write type = one of aws_secrets_manager, aws_ssm, aws_sts, hashicorp_vault, gcp_secret_manager, azure_key_vault, onepassword, keychain, local, age, exec, env_file, env
.keyzero.toml:5:1: unknown key "anything" in a backend of type aws_sts
.keyzero.toml:7:8: unknown backend type; did you mean "hashicorp_vault"? → the types are aws_secrets_manager, aws_ssm, aws_sts, hashicorp_vault, gcp_secret_manager, azure_key_vault, onepassword, keychain, local, age, exec, env_file, env
.keyzero.toml:8:11: the backend "d" has no path → write path = "…" (relative to the file that says it)
.keyzero.toml:10:11: the name of a backend is made of letters, digits, -, _ and .
.keyzero.toml:13:5: the backend "g" takes a table, not text`},
		{"settings that are none", `[backends.a]
type = "aws_secrets_manager"
region = "us-east-1.evil.example/"
endpoint = "ftp://x"
auth = "role"
role_arn = "arn:x"
adress = "x"
[backends.v]
type = "hashicorp_vault"
address = "https://user:pw@vault.example.com"
token = "hvs.CAESI"
auth = "jwt"
[backends.w]
type = "hashicorp_vault"
address = "https://vault.example.com/?a=b"
token = { secret = "NOPE", x = 1 }
[backends.x]
type = "hashicorp_vault"
token = {}
secret_id = "x"`, `
.keyzero.toml:3:10: "region" is not the name of a region → as in "us-east-1"
.keyzero.toml:4:12: "endpoint" is not an http or https URL → as in "https://vault.example.com:8200"
.keyzero.toml:7:1: unknown key "adress" in a backend of type aws_secrets_manager
.keyzero.toml:10:11: "address" holds a user or a password, which never stand in the file
.keyzero.toml:11:9: "token" never stands in the file: it is named as another secret → token = { secret = "NAME" }, where NAME is another secret
.keyzero.toml:12:8: "auth" is one of token, approle, kubernetes
.keyzero.toml:15:11: "address" has a query or a fragment, which it may not have
.keyzero.toml:16:9: "token" names a secret that is not configured → write under [secrets.NAME] in which backend it is kept; NAME is what the setting says
.keyzero.toml:16:28: unknown key "x" in "token"
.keyzero.toml:19:9: "token" names no secret
.keyzero.toml:20:1: "secret_id" means nothing with the auth of this backend → it belongs to auth = "approle"
.keyzero.toml:20:13: "secret_id" never stands in the file: it is named as another secret → secret_id = { secret = "NAME" }, where NAME is another secret`},
		{"ways to log in that are not complete", `[backends.a]
type = "aws_secrets_manager"
auth = "static"
access_key_id = "AKIAIOSFODNN7EXAMPLE"
[backends.b]
type = "aws_ssm"
auth = "role"
[backends.c]
type = "hashicorp_vault"
auth = "kubernetes"
role_id = "x"
[backends.d]
type = "azure_key_vault"
client_id = "x"
[backends.e]
type = "aws_sts"
duration_seconds = 0
[backends.f]
type = "exec"
command = "get"
args = "x"`, `
.keyzero.toml:1:11: the backend "a" has no secret_access_key → write secret_access_key = { secret = "NAME" }, where NAME is another secret
.keyzero.toml:5:11: the backend "b" has no role_arn → write role_arn = "…" (the role that is assumed)
.keyzero.toml:8:11: the backend "c" has no role → write role = "…" (the role of the Kubernetes auth method)
.keyzero.toml:11:1: "role_id" means nothing with the auth of this backend → it belongs to auth = "approle"
.keyzero.toml:12:11: the backend "d" has no vault_url → write vault_url = "…" (as in "https://my-vault.vault.azure.net")
.keyzero.toml:14:1: "client_id" means nothing with the auth of this backend → it belongs to auth = "client_secret"
.keyzero.toml:17:20: "duration_seconds" is a whole number from 1 on
.keyzero.toml:20:11: "command" is not an absolute path → write where it is, as in "/usr/bin/pass"
.keyzero.toml:21:8: "args" takes a list, not text → put it in brackets: args = ["…"]`},
		{"roles of STS", "[backends.s]\ntype = 'aws_sts'\n[secrets]\nA = { path = 'arn:a', role_arn = 'arn:b' }\nB = {}\nC = { role_arn = 'arn:c', export_as = 'aws', field = 'x' }", `
.keyzero.toml:4:1: the secret names two roles
.keyzero.toml:5:1: the secret names no role → name it: role_arn = "arn:aws:iam::123456789012:role/deploy"
.keyzero.toml:6:46: "field" and "export_as" exclude one another`},
		{"a backend that is not there", aws + "[backends.vault]\ntype = 'hashicorp_vault'\n[secrets]\nA = { backend = 'vult', path = 'x' }\nB = { path = 'x' }", `
.keyzero.toml:6:17: the secret names a backend that is not configured; did you mean "vault"? → the backends are aws, vault
.keyzero.toml:7:1: the secret names no backend → the backends are aws, vault`},
		{"no backend at all", "[secrets.A]\npath = 'x'", `
.keyzero.toml:1:10: the secret names no backend → no backend is configured: add one under backends, as in local with type "env_file" and a path`},
		{"shorthands that are wrong", `A = { provider = "asw", ref = "sm://x" }
B = { provider = "aws", ref = "prod/x" }
C = { provider = "aws", ref = "ssm://x" }
D = { provider = "gcp", ref = "sm://x" }
E = { provider = "aws" }
F = { provider = "aws", ref = "sm://" }
G = { provider = "aws", ref = "sm://x#" }
H = { provider = "vault", ref = "sm://x" }
I = { provider = "aws", ref = "sm://x#a", field = "b", secret_id = "y" }
J = { provider = "aws", ref = "sm://x", backend = "b" }
[secrets]
K = { ref = "sm://x" }`, `
.keyzero.toml:1:18: unknown provider; did you mean "aws"? → the providers are aws, vault, gcp, azure, onepassword, keychain, local, env_file, env
.keyzero.toml:2:31: "ref" has no scheme that this provider knows → for aws it begins with sm:// or ssm:// or sts://
.keyzero.toml:4:31: "ref" has no scheme that this provider knows → for gcp it begins with gcp://
.keyzero.toml:5:7: "provider" needs a "ref" beside it
.keyzero.toml:6:31: "ref" is not complete → as in "sm://prod/key#field"
.keyzero.toml:7:31: "ref" is not complete → as in "sm://prod/key#field"
.keyzero.toml:8:33: "ref" has no scheme that this provider knows → for vault it begins with vault:// or kv://
.keyzero.toml:9:51: "ref" and "field" give two different fields
.keyzero.toml:9:68: "ref" and "secret_id" give two different references
.keyzero.toml:10:41: "backend" and "provider" exclude one another
.keyzero.toml:12:7: "ref" needs a "provider" beside it → the providers are aws, vault, gcp, azure, onepassword, keychain, local, env_file, env`},
		{"names of variables", aws + `[secrets]
api-key = { secret_id = "x" }
"a b" = { secret_id = "x", env = "A-B" }
LD_PRELOAD = { secret_id = "x" }
P = { secret_id = "x", env = "PATH" }
[[resolvers]]
name = "1st"
secret_id = "x"
[[resolvers]]
name = "path"
secret_id = "x"
[[resolvers]]
secret_id = "x"
[[resolvers]]
name = "ok"
[[resolvers]]
name = "o-k"
env = "OK"
secret_id = "x"`, `
.keyzero.toml:4:1: the key "api-key" is not the name of a variable → name it as the program reads it, as in API_KEY
.keyzero.toml:5:34: "env" is not the name of a variable for a secret → letters, digits and _, as in API_KEY
.keyzero.toml:6:1: the variable "LD_PRELOAD" is not a secret's to set
.keyzero.toml:7:30: "env" is not the name of a variable for a secret → letters, digits and _, as in API_KEY
.keyzero.toml:9:8: the name does not make the name of a variable → name the variable with env = "API_KEY"
.keyzero.toml:12:8: the name does not make the name of a variable → name the variable with env = "API_KEY"
.keyzero.toml:14:3: the entry has no name
.keyzero.toml:17:8: the secret does not say where its value lives → name it in the store: secret_id = "prod/key"
.keyzero.toml:19:8: the same variable is already defined at .keyzero.toml:17:8`},
		{"fields that make no variable or the same one", aws + `[secrets.J]
secret_id = "x"
fields = ["apiToken", "ключ"]
plain_fields = ["api_token"]
[secrets.K]
secret_id = "x"
fields = []`, `
.keyzero.toml:5:23: "fields" holds what does not make the name of a variable
.keyzero.toml:6:17: the same variable is already defined at .keyzero.toml:5:11
.keyzero.toml:7:10: "fields" and "plain_fields" name no field`},
		{"egress", `[egress]
mode = "stric"
intercept = "none"
allow = ["https://docs.example.com:8443/x", "ok.example.com:*"]
deny = "x"
allow_private = ["10.1.2.3/16", "10.0.0.1", "ten", "::ffff:10.0.0.0/104"]
resolve = { "api.corp.test" = "localhost:1", "a b" = "127.0.0.1:1", "b.corp.test" = "127.0.0.1:1", "B.corp.test:443" = "127.0.0.1:2" }
upstream_proxy = "proxy.corp:3128"
upstram_ca = "x"`, `
.keyzero.toml:2:8: "mode" is one of permissive, strict → did you mean "strict"?
.keyzero.toml:3:13: "intercept" is one of bound, all
.keyzero.toml:4:10: "allow" holds what is not a host: a host, not a URL, is needed: leave out the scheme and the path → write "docs.example.com:8443"
.keyzero.toml:5:8: "deny" takes a list, not text → put it in brackets: deny = ["…"]
.keyzero.toml:6:18: "allow_private" holds an address inside a network, not the network → write "10.1.0.0/16", or a longer prefix
.keyzero.toml:6:33: "allow_private" holds what is not a CIDR → write "10.0.0.1/32"
.keyzero.toml:6:45: "allow_private" holds what is not a CIDR → as in "10.1.0.0/16"
.keyzero.toml:6:52: "allow_private" holds an IPv4 network written as IPv6
.keyzero.toml:7:31: "api.corp.test" takes an IP address and a port → as in "127.0.0.1:8443"
.keyzero.toml:7:46: "resolve" holds what is not a host and port: the host may hold only letters, digits, hyphens and dots
.keyzero.toml:7:100: "resolve" names the same host and port twice
.keyzero.toml:8:18: "upstream_proxy" is not an http or https URL → as in "https://vault.example.com:8200"
.keyzero.toml:9:1: unknown key "upstram_ca" in egress → did you mean "upstream_ca"?`},
		{"a proxy with a password or a path", "[egress]\nupstream_proxy = 'http://u:p@proxy.corp'\n[production.egress]\nupstream_proxy = 'http://proxy.corp/x'", `
.keyzero.toml:2:18: "upstream_proxy" holds a user or a password, which never stand in the file
.keyzero.toml:4:18: "upstream_proxy" has a path, which a proxy has not`},
		{"sections with something else in them, chosen or not", `[production]
region = "x"
[production.secrets.A]
hots = []
[staging.backends.aws]
type = "aws"
[other]
x = 1`, `
.keyzero.toml:2:1: unknown key "region" in the section "production", which may hold only secrets, backends and egress
.keyzero.toml:4:1: unknown key "hots" in a secret → did you mean "hosts"?
.keyzero.toml:6:8: unknown backend type → the types are aws_secrets_manager, aws_ssm, aws_sts, hashicorp_vault, gcp_secret_manager, azure_key_vault, onepassword, keychain, local, age, exec, env_file, env
.keyzero.toml:7:2: unknown key "other"`},
		{"backends in a circle", `[backends.a]
type = "hashicorp_vault"
token = { secret = "A" }
[backends.b]
type = "hashicorp_vault"
token = { secret = "B" }
[backends.c]
type = "hashicorp_vault"
token = { secret = "C" }
[secrets]
A = { backend = "b", path = "x" }
B = { backend = "a", path = "x" }
C = { backend = "c", path = "x" }`, `
.keyzero.toml:1:11: backends need one another in a circle: a needs A, which is kept in b; b needs B, which is kept in a → keep one of these secrets in a backend that needs none
.keyzero.toml:7:11: backends need one another in a circle: c needs C, which is kept in c → keep one of these secrets in a backend that needs none`},
		{"kinds without what their template needs", `[backends.aws]
type = "aws_secrets_manager"
[secrets.A]
kind = "openai"
[secrets.B]
backend = "e"
kind = "x"
[backends.e]
type = "env"`, `
.keyzero.toml:3:10: the secret names no backend → the backends are aws, e
.keyzero.toml:7:1: "kind" means nothing for a backend of type env → leave it out`},
		{"a template without its organisation", aws + "[secrets.A]\nkind = 'openai'", `
.keyzero.toml:4:8: the name template needs {orgId}, and the backend gives no org_id`},
		{"tables where lists belong", "resolvers = 1\nsecrets = []\nbackends = 'x'\negress = true", `
.keyzero.toml:1:13: "resolvers" takes a list, not a number
.keyzero.toml:2:1: "secrets" takes a table, not a list → a list of secrets stands under resolvers
.keyzero.toml:3:12: "backends" takes a table, not text
.keyzero.toml:4:10: "egress" takes a table, not true or false`},
	}
	for _, tt := range toml {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := loadTOML(t, tt.text)
			expect(t, err, tt.want)
		})
	}
}

func TestProblemsOfYAMLNameTheirPlace(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"the same schema as TOML", `backends:
  aws:
    type: aws_secret_manager
resolvers:
  - name: api-key
    mode: indirect
    host: [a]
  - sk-proj-1234
secrets:
  A:
    hosts: api.example.com
    scrub: yes
`, `
.keyzero.yaml:3:11: unknown backend type; did you mean "aws_secrets_manager"? → the types are aws_secrets_manager, aws_ssm, aws_sts, hashicorp_vault, gcp_secret_manager, azure_key_vault, onepassword, keychain, local, age, exec, env_file, env
.keyzero.yaml:6:11: "mode" may only be "direct"
.keyzero.yaml:7:5: unknown key "host" in a secret → did you mean "hosts"?
.keyzero.yaml:8:5: an entry of "resolvers" is a table, not text → ` + noValues + `
.keyzero.yaml:11:12: "hosts" takes a list, not text → put it in brackets: hosts: ["…"]
.keyzero.yaml:12:12: "scrub" takes true or false, not text`},
		{"keys without a value", "secrets:\nresolvers:\n  - name: a\n    secret_id:\n    provider: aws\n    ref: sm://x\n", `
.keyzero.yaml:4:5: "secret_id" takes text, not nothing`},
		{"duplicate keys", "secrets: {}\nsecrets: {}\n", `
.keyzero.yaml:2:1: reading YAML: the key is already defined → ` + seeExample},
		{"the same key in another spelling", "secrets: {}\n\"s\\x65crets\": {}\n", `
.keyzero.yaml:2:1: reading YAML: the key is already defined → ` + seeExample},
		{"a second document", "secrets: {}\n---\negress: {}\n", `
.keyzero.yaml:3:1: a second document starts here, and only one is read`},
		{"tags", "secrets: !!map {}\n", `
.keyzero.yaml:1:10: this kind of value (tag) has no place here`},
		{"keys that are not text", "1: x\n", `
.keyzero.yaml:1:1: a key must be text`},
		{"a list at the top", "- a\n", `
.keyzero.yaml:1:1: the file must hold a table of keys and values`},
		{"an alias without an anchor", "secrets: *nope\n", `
.keyzero.yaml:1:10: the alias names no anchor before it`},
		{"broken indentation", "secrets:\n  A:\n   path: x\n  path: 'y\n", `
.keyzero.yaml:4:9: reading YAML: this is not valid here → ` + seeExample},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := loadYAML(t, tt.text)
			expect(t, err, tt.want)
		})
	}
}

func TestSyntaxErrorsOfTOMLNameTheirPlace(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"text without quotes", "[secrets.A]\nsecret_id = prod/x", `
.keyzero.toml:2:13: reading TOML: unexpected character → text needs quotes: key = "text"`},
		{"a string that does not end", "a = 'x", `
.keyzero.toml:1:6: reading TOML: unterminated literal string → ` + seeExample},
		{"a table twice", "[secrets.A]\n[secrets.A]", `
.keyzero.toml:2:10: the key "A" is already defined`},
		{"a key twice", "[secrets.A]\npath = 'x'\npath = 'y'", `
.keyzero.toml:3:1: the key "path" is already defined`},
		{"an inline table that is added to", "[secrets]\nA = {}\n[secrets.A]\npath = 'x'", `
.keyzero.toml:3:10: the key "A" is already defined`},
		{"characters before it are counted, not bytes", "a = 'ключ' b", `
.keyzero.toml:1:12: reading TOML: expected newline → ` + seeExample},
		{"nesting", "a = " + strings.Repeat("[", 40) + strings.Repeat("]", 40), `
.keyzero.toml:1:1: tables and lists are nested too deep`},
		{"a key of too many parts", strings.Repeat("a.", 40) + "b = 1", `
.keyzero.toml:1:1: tables and lists are nested too deep`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := loadTOML(t, tt.text)
			expect(t, err, tt.want)
		})
	}
}

func TestManyProblemsAreCutShort(t *testing.T) {
	t.Parallel()
	_, err := loadTOML(t, manyKeys(maxProblems+7))
	ls := lines(err)
	if len(ls) != maxProblems+1 || ls[maxProblems] != "and 7 more" {
		t.Errorf("there are %d lines, the last is %q", len(ls), ls[len(ls)-1])
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + strings.Repeat("y", i/26) + " = 1\n")
	}
	return b.String()
}

func TestAProblemAloneCarriesItsHintSeparately(t *testing.T) {
	t.Parallel()
	one := Problems{{Pos{"f", 1, 2}, "m", "h"}}
	if one.Error() != "f:1:2: m" || one.Hint() != "h" {
		t.Errorf("one problem reads %q, hint %q", one.Error(), one.Hint())
	}
	two := append(one, Problem{Message: "n"})
	if want := "f:1:2: m\n    hint: h\nn"; two.Error() != want || two.Hint() != "" {
		t.Errorf("two problems read %q, hint %q", two.Error(), two.Hint())
	}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	got, wanted := lines(err), strings.Split(strings.TrimSpace(want), "\n")
	if !slices.Equal(got, wanted) {
		t.Errorf("problems are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
}

func TestAReasonNeverQuotesTheValue(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"canary-Zq81": "it cannot be understood", "query": "canary-Zq81: give query a name"} {
		err := fmt.Errorf("place: %w", errors.New("canary-Zq81: give query a name"))
		if got := reason(err, value); got != want {
			t.Errorf("for %q the reason is %q", value, got)
		}
	}
	if got := reason(errors.New("canary-Zq81"), "canary-Zq81"); got != "it cannot be understood" {
		t.Errorf("without a reason it is %q", got)
	}
}

// seeExample is the hint for what is not TOML or YAML.
const seeExample = "`kz help configuration` has an example"
