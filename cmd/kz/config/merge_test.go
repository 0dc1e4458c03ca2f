package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kz/resolver"
)

func TestLaterFilesAreLaidOverEarlierOnes(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{
		"~/.config/keyzero/config.toml": `
[backends.aws]
type = "aws_secrets_manager"
region = "us-east-1"
endpoint = "https://user.example.com"
[secrets.USER]
backend = "aws"
secret_id = "user"
[secrets.A]
backend = "aws"
secret_id = "user/a"
ttl = "1m"
[egress]
mode = "strict"
allow = ["user.example.com"]
resolve = { "u.test" = "127.0.0.1:1", "w.test" = "127.0.0.1:1" }
`,
		".keyzero.toml": `
[backends.aws]
region = "eu-west-1"
[backends.vault]
type = "hashicorp_vault"
[secrets.A]
secret_id = "work/a"
hosts = ["a.example.com", "b.example.com"]
scrub = false
[secrets.B]
backend = "vault"
path = "b"
[egress]
allow = ["work.example.com"]
resolve = { "w.test" = "127.0.0.1:2" }
`,
		".keyzero.local.yaml": `
secrets:
  A:
    hosts: [local.example.com]
resolvers:
  - name: b
    path: local/b
egress:
  intercept: all
`,
	})
	cfg := tr.mustLoad()
	if got := names(cfg); !slices.Equal(got, []string{"USER", "A", "B"}) {
		t.Errorf("the order is %v", got)
	}
	a := secret(t, cfg, "A")
	if a.Backend != "aws" || a.Ref.ID != "work/a" || len(a.Hosts) != 1 || a.Hosts[0].String() != "local.example.com" || a.Scrub || a.TTL.String() != "1m0s" {
		t.Errorf("A is %+v", a)
	}
	if b := secret(t, cfg, "B"); b.Ref.ID != "local/b" || b.Backend != "vault" {
		t.Errorf("B is %+v", b)
	}
	aws := cfg.Backends["aws"]
	if aws.Text("region") != "eu-west-1" || aws.Text("endpoint") != "https://user.example.com" {
		t.Errorf("aws is %+v", aws)
	}
	e := cfg.Egress
	if e.Mode != "strict" || e.Intercept != "all" || len(e.Allow) != 1 || e.Allow[0].String() != "work.example.com" || len(e.Resolve) != 2 ||
		e.Resolve[1].Addr.Port() != 2 {
		t.Errorf("egress is %+v", e)
	}
	var order []string
	for _, s := range cfg.Sources {
		order = append(order, strings.TrimPrefix(s.Path, tr.dir+"/"))
		if s.Discovered == strings.HasPrefix(s.Path, tr.home) {
			t.Errorf("%s counts as discovered: %v", s.Path, s.Discovered)
		}
	}
	if want := []string{tr.home + "/.config/keyzero/config.toml", ".keyzero.toml", ".keyzero.local.yaml"}; !slices.Equal(order, want) {
		t.Errorf("sources are %v", order)
	}
}

func TestAFileGivenByNameReplacesTheDiscoveredOnesButNotTheUsersDefaults(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{
		"~/xdg/keyzero/config.toml": "[backends.x]\ntype = 'env'",
		".keyzero.toml":             "[secrets.DISCOVERED]",
		".keyzero.local.toml":       "[secrets.LOCAL]",
		"ci/bundle.yaml":            "secrets: {NAMED: {}}",
	})
	tr.env["XDG_CONFIG_HOME"] = tr.home + "/xdg"
	o := tr.options()
	o.File = "ci/bundle.yaml"
	cfg, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(cfg); !slices.Equal(got, []string{"NAMED"}) || secret(t, cfg, "NAMED").Backend != "x" {
		t.Errorf("secrets are %+v", cfg.Secrets)
	}
}

// One secret, laid over another, with backends of two types.
func TestWhatDisplacesAReference(t *testing.T) {
	t.Parallel()
	const backends = `
[backends.aws]
type = "aws_secrets_manager"
[backends.aws2]
type = "aws_secrets_manager"
[backends.vault]
type = "hashicorp_vault"
[backends.local]
type = "env_file"
path = "x"
`
	tests := []struct {
		name, base, over, backend string
		ref                       resolver.Ref
	}{
		{"a synonym displaces the other", `backend = "vault"` + "\n" + `path = "a"`, `secret_id = "b"`, "vault", resolver.Ref{ID: "b"}},
		{"another backend of the same type keeps the reference", `backend = "aws"` + "\n" + `secret_id = "a"` + "\n" + `version_id = "1"`, `backend = "aws2"`,
			"aws2", resolver.Ref{ID: "a", VersionID: "1"}},
		{"a backend of another type displaces the reference", `backend = "vault"` + "\n" + `path = "a"` + "\n" + `field = "f"` + "\n" + `version = 2`,
			`backend = "local"`, "local", resolver.Ref{ID: "A"}},
		{"a shorthand displaces a reference", `backend = "vault"` + "\n" + `path = "a"` + "\n" + `field = "f"`,
			`provider = "aws"` + "\n" + `ref = "sm://b"`, "aws", resolver.Ref{ID: "b"}},
		{"a reference displaces a shorthand", `provider = "vault"` + "\n" + `ref = "kv://b#f"`,
			`backend = "aws"` + "\n" + `secret_id = "c"`, "aws", resolver.Ref{ID: "c"}},
		{"a field displaces a field", `backend = "aws"` + "\n" + `secret_id = "a"` + "\n" + `jsonKey = "f"`, `field = "g"`,
			"aws", resolver.Ref{ID: "a", Field: "g"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tr := newTree(t, map[string]string{
				".keyzero.toml":       backends + "[secrets.A]\n" + tt.base,
				".keyzero.local.toml": "[secrets.A]\n" + tt.over,
			})
			s := secret(t, tr.mustLoad(), "A")
			if s.Backend != tt.backend || s.Ref != tt.ref {
				t.Errorf("A is in %s at %+v, want %s at %+v", s.Backend, s.Ref, tt.backend, tt.ref)
			}
		})
	}
}

func TestABackendThatChangesItsTypeKeepsNothing(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{
		".keyzero.toml":       "[backends.b]\ntype = 'aws_secrets_manager'\nregion = 'us-east-1'",
		".keyzero.local.toml": "[backends.b]\ntype = 'env_file'\npath = '/x'",
	})
	b := tr.mustLoad().Backends["b"]
	if b.Type != EnvFile || len(b.Settings) != 1 {
		t.Errorf("b is %+v", b)
	}
}

func TestAFileLaidOverAnotherMayNameAnEntryAsThatOneDoes(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{
		".keyzero.yaml":       "backends: {b: {type: env}}\nresolvers: [{name: api-key}]\nsecrets: {other-key: {env: OTHER}}",
		".keyzero.local.toml": "[secrets.api-key]\nhosts = ['a.example.com']\n[secrets.other-key]\nhosts = ['b.example.com']",
	})
	cfg := tr.mustLoad()
	if !slices.Equal(names(cfg), []string{"OTHER", "API_KEY"}) && !slices.Equal(names(cfg), []string{"API_KEY", "OTHER"}) {
		t.Fatalf("secrets are %v", names(cfg))
	}
	for _, s := range cfg.Secrets {
		if len(s.Hosts) != 1 || s.Pos.File != ".keyzero.yaml" || s.Label == s.Name {
			t.Errorf("%s is %+v", s.Name, s)
		}
	}
}

func TestAPartialBackendIsCompletedByAnotherFile(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{
		"~/.config/keyzero/config.toml": "[backends.v]\ntype = 'hashicorp_vault'",
		".keyzero.toml":                 "[backends.v]\naddress = 'https://v.example.com'\nadress = 'x'",
	})
	_, err := tr.load()
	expect(t, err, `.keyzero.toml:3:1: unknown key "adress" in a backend → did you mean "address"?`)
	tr.write(".keyzero.toml", "[backends.v]\naddress = 'https://v.example.com'")
	if b := tr.mustLoad().Backends["v"]; b.Text("address") != "https://v.example.com" {
		t.Errorf("v is %+v", b)
	}
}

const sectioned = `
[backends.x]
type = "env"
[secrets.A]
name = "BASE"
hosts = ["base.example.com"]
[production.secrets.A]
name = "PRODUCTION"
[production.egress]
mode = "strict"
[staging.backends.x]
type = "env_file"
path = "/staging.env"
[staging.secrets.ONLY_STAGING]
[empty]
`

func TestEnvironmentSections(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, flag string
		env        map[string]string
		want, id   string // section, A's reference
	}{
		{"none is chosen", "", nil, "", "BASE"},
		{"--env", "production", nil, "production", "PRODUCTION"},
		{"--env before KEYZERO_ENV", "production", map[string]string{"KEYZERO_ENV": "staging"}, "production", "PRODUCTION"},
		{"KEYZERO_ENV before NODE_ENV", "", map[string]string{"KEYZERO_ENV": "production", "NODE_ENV": "staging"}, "production", "PRODUCTION"},
		{"NODE_ENV before RAILS_ENV", "", map[string]string{"NODE_ENV": "production", "RAILS_ENV": "staging"}, "production", "PRODUCTION"},
		{"RAILS_ENV when NODE_ENV names none", "", map[string]string{"NODE_ENV": "development", "RAILS_ENV": "production"}, "production", "PRODUCTION"},
		{"NODE_ENV and RAILS_ENV that name none", "", map[string]string{"NODE_ENV": "test", "RAILS_ENV": "test"}, "", "BASE"},
		{"a backend of another type", "staging", nil, "staging", "BASE"},
		{"an empty section", "empty", nil, "empty", "BASE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tr := newTree(t, map[string]string{".keyzero.toml": sectioned})
			for k, v := range tt.env {
				tr.env[k] = v
			}
			o := tr.options()
			o.Env = tt.flag
			cfg, err := Load(o)
			if err != nil {
				t.Fatal(err)
			}
			a := secret(t, cfg, "A")
			if cfg.EnvName != tt.want || a.Ref.ID != tt.id || len(a.Hosts) != 1 {
				t.Errorf("the section is %q and A is %+v", cfg.EnvName, a)
			}
			if (cfg.Egress.Mode == "strict") != (tt.want == "production") {
				t.Errorf("the mode is %q", cfg.Egress.Mode)
			}
			if slices.Contains(names(cfg), "ONLY_STAGING") != (tt.want == "staging") {
				t.Errorf("secrets are %v", names(cfg))
			}
			if want := []string{"empty", "production", "staging"}; !slices.Equal(cfg.Environments, want) {
				t.Errorf("sections are %v", cfg.Environments)
			}
		})
	}
}

func TestASectionThatIsAskedForMustExist(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{".keyzero.toml": sectioned})
	tr.env["KEYZERO_ENV"] = "prod"
	_, err := tr.load()
	expect(t, err, `KEYZERO_ENV names "prod", which is no environment section → the sections are empty, production, staging`)
	o := tr.options()
	o.Env = "qa"
	_, err = Load(o)
	expect(t, err, `--env names "qa", which is no environment section → the sections are empty, production, staging`)
	bare := newTree(t, nil).options()
	bare.Env = "qa"
	_, err = Load(bare)
	expect(t, err, `--env names "qa", which is no environment section → the configuration has no environment section: leave it out, or write one, as in [production.secrets.API_KEY]`)
}

func TestASectionIsLaidOverTheLocalFileToo(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{
		".keyzero.toml":       sectioned,
		".keyzero.local.toml": "[secrets.A]\nname = 'LOCAL'\n[local.secrets.A]\nname = 'LOCAL_SECTION'\n[staging.secrets.A]\nname = 'LOCAL_STAGING'",
	})
	for env, want := range map[string]string{"": "LOCAL", "production": "PRODUCTION", "local": "LOCAL_SECTION", "staging": "LOCAL_STAGING"} {
		o := tr.options()
		o.Env = env
		cfg, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		if got := secret(t, cfg, "A").Ref.ID; got != want {
			t.Errorf("in %q A is at %s, want %s", env, got, want)
		}
	}
}

func TestYAMLAliasesAndMergeKeys(t *testing.T) {
	t.Parallel()
	cfg, err := loadYAML(t, `
backends:
  aws: &aws {type: aws_secrets_manager, region: us-east-1}
  aws2:
    region: eu-west-1
    <<: *aws
secrets:
  A: &a
    backend: aws
    secret_id: x
    hosts: &hosts [a.example.com]
  B:
    <<: [*a, {scrub: false}]
    backend: aws2
  C: {backend: aws, secret_id: y, hosts: *hosts}
`)
	if err != nil {
		t.Fatal(err)
	}
	if c := secret(t, cfg, "C"); len(c.Hosts) != 1 {
		t.Errorf("C is %+v", c)
	}
	if cfg.Backends["aws2"].Text("region") != "eu-west-1" || cfg.Backends["aws2"].Type != AWSSecretsManager {
		t.Errorf("aws2 is %+v", cfg.Backends["aws2"])
	}
	a, b := secret(t, cfg, "A"), secret(t, cfg, "B")
	if b.Backend != "aws2" || b.Ref != a.Ref || b.Scrub || !reflect.DeepEqual(a.Hosts, b.Hosts) {
		t.Errorf("B is %+v", b)
	}
}

func TestAliasesThatMultiplyAreRefused(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a0: &a0 [x]\n")
	for i := range 20 {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	_, err := loadYAML(t, b.String())
	ls := lines(err)
	if len(ls) != 1 || !strings.HasSuffix(ls[0], "the aliases stand for too many values") {
		t.Errorf("problems are %v", ls)
	}
}

func TestFilesThatWouldCostTooMuchAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	const deep, many = "too deep", "too many values"
	for _, tt := range []struct{ name, file, text, want string }{
		{"lists in one another", "f.yaml", "a: " + strings.Repeat("[", 5000), deep},
		{"tables in one another", "f.yaml", "a: " + strings.Repeat("{b: ", 3000), deep},
		{"list entries in one line", "f.yaml", strings.Repeat("- ", 5000) + "x", deep},
		{"complex keys in one line", "f.yaml", strings.Repeat("? ", 5000) + "x", deep},
		{"tags in one line", "f.yaml", "a: " + strings.Repeat("!!a ", 5000) + "x", deep},
		{"block tables in one another", "f.yaml", blocks(40), deep},
		{"keys", "f.yaml", strings.Repeat("a: b\n", maxTokens), many},
		{"empty lines", "f.yaml", "a: |\n" + strings.Repeat("\n", 2*maxBlank), "too many empty lines"},
		{"empty lines of blanks", "f.yaml", "a: >\n" + strings.Repeat(" \t\r\n", 2*maxBlank), "too many empty lines"},
		{"empty lines of an old system", "f.yaml", "a: |\r" + strings.Repeat("\r", 2*maxBlank), "too many empty lines"},
		{"a long list", "f.toml", "a = [" + strings.Repeat("1,", maxNodes) + "]", many},
		{"many tables", "f.toml", strings.Repeat("[[a]]\n", maxNodes+1), many},
		{"lists in one another in TOML", "f.toml", "a = " + strings.Repeat("[", 40) + strings.Repeat("]", 40), deep},
		{"tables in one another in TOML", "f.toml", "a = " + strings.Repeat("{ b = ", 40) + "1" + strings.Repeat("}", 40), deep},
		{"a header of many parts", "f.toml", "[" + strings.Repeat("a.", 40) + "b]", "too many parts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := buildOne(tt.file, []byte(tt.text), "")
			if ls := lines(err); len(ls) != 1 || !strings.HasSuffix(ls[0], tt.want) && !strings.HasSuffix(ls[0], "nested "+tt.want) {
				t.Errorf("problems are %v, want %s", ls, tt.want)
			}
		})
	}
}

func blocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}
