package config

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kz/proxy/policy"
)

// strangers are zones below which anybody can have a host or content of their own: a secret sent there may be anybody's.
var strangers = []string{
	"vercel.app", "netlify.app", "herokuapp.com", "onrender.com", "fly.dev", "workers.dev", "pages.dev", "r2.dev", "web.app",
	"firebaseapp.com", "run.app", "appspot.com", "cloudfunctions.net", "storage.googleapis.com", "amazonaws.com", "cloudfront.net",
	"azurewebsites.net", "windows.net", "azure.com", "github.io", "githubusercontent.com", "gist.github.com", "gitlab.io", "hf.space",
	"supabase.co", "ngrok.io", "ngrok.app", "ngrok.dev", "twil.io", "atlassian.net", "zendesk.com", "myshopify.com", "apify.actor",
	"hooks.slack.com", "sentry.dev", "localhost", "test", "example", "internal",
}

func TestTheKnownServicesAreWellFormed(t *testing.T) {
	t.Parallel()
	byVariable, err := readServices(servicesTOML)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	seen := map[*service]bool{}
	for variable, s := range byVariable {
		if !isVariable(variable) || reserved(variable) || variable != strings.ToUpper(variable) || len(variable) < 6 || !strings.Contains(variable, "_") {
			t.Errorf("%s is no variable of one service", variable)
		}
		if seen[s] {
			continue
		}
		seen[s] = true
		for _, v := range s.variables {
			// One entry by itself, as a run reads it, says the same.
			if one := serviceOf(v); one == nil || !reflect.DeepEqual(one, s) {
				t.Errorf("%s is of %+v, not %+v", v, one, s)
			}
		}
		if s.name == "" || names[s.name] || printable(s.name) != s.name {
			t.Errorf("the name %q is empty, taken or not printable", s.name)
		}
		names[s.name] = true
		if (len(s.hosts) == 0) == (s.own == "") {
			t.Errorf("%s must have either hosts or the form of the user's own", s.name)
		}
		for _, h := range s.hosts {
			checkHost(t, s.name, h)
		}
		if s.places != nil && slices.Equal(s.places, policy.DefaultPlaces()) {
			t.Errorf("%s names the default places", s.name)
		}
		for _, p := range s.places {
			if p.Kind == policy.BodyAny || p.Kind == policy.Path || p.Kind == policy.Frame {
				t.Errorf("%s: %s is too wide to be supplied", s.name, p)
			}
		}
		if len(s.source) == 0 {
			t.Errorf("%s has no source", s.name)
		}
		for _, k := range s.keys {
			if known, ok := ServiceOfKey(k + "x"); len(k) < 3 || !ok || known.Name != s.name {
				t.Errorf("what begins with %s is a key of %q, not of %s alone", k, known.Name, s.name)
			}
		}
		for _, source := range s.source {
			if u, err := url.Parse(source); err != nil || u.Scheme != "https" || u.Path == "" || u.User != nil {
				t.Errorf("%s: the source %q is no page", s.name, source)
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("%d services are known, fewer than 40", len(seen))
	}
}

func TestAKeyIsOfTheServiceWithTheLongestBeginning(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"sk-ant-api03-abc": "Anthropic", "sk-or-v1-abc": "OpenRouter", "sk-proj-abc": "OpenAI", "ghp_abc": "GitHub",
		"sk-abc": "", "ghp_": "", "": "", "x ghp_abc": "", "AIzaabc": ""} {
		if s, ok := ServiceOfKey(value); s.Name != want || ok != (want != "") {
			t.Errorf("%q is of %q", value, s.Name)
		}
	}
	if s := Services(); len(s) < 80 || s[0].Name != "AI21" || !slices.IsSortedFunc(s, func(a, b Service) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) }) {
		t.Errorf("%d services are listed", len(s))
	}
}

func checkHost(t *testing.T, name string, h policy.HostPattern) {
	t.Helper()
	if h.Below() || h.String() != h.Host() || strings.Count(h.Host(), ".") == 0 {
		t.Errorf("%s: %s is not one host at port 443", name, h)
	}
	for _, zone := range strangers {
		if h.Host() == zone || strings.HasSuffix(h.Host(), "."+zone) {
			t.Errorf("%s: strangers can be at %s", name, h)
		}
	}
}

func hostsOf(s Secret) string { return hostList(s.Hosts) }

func TestAKnownServiceSuppliesWhatTheFileLeavesOut(t *testing.T) {
	t.Parallel()
	cfg := mustTOML(t, `
[backends.e]
type = "env"
[secrets.OPENAI_API_KEY]
[secrets.HF_TOKEN]
[secrets.SERPAPI_KEY]
[secrets.other]
env = "GROQ_API_KEY"
[secrets.STRIPE]
fields = ["apiKey"]
plain_fields = ["secretKey"]
[secrets.GH_TOKEN]
hosts = ["git.corp.example"]
swap = ["header"]
[secrets.NEW_RELIC_API_KEY]
mask = "NRAA-{mask}"
`)
	for _, want := range []struct{ name, hosts, service, mask string }{
		{"OPENAI_API_KEY", "api.openai.com", "OpenAI", ""},
		{"HF_TOKEN", "huggingface.co, router.huggingface.co", "Hugging Face", "hf_{mask}"},
		{"SERPAPI_KEY", "serpapi.com", "SerpApi", ""},
		{"GROQ_API_KEY", "api.groq.com", "Groq", ""},
		{"STRIPE_API_KEY", "api.stripe.com, files.stripe.com", "Stripe", "sk_{mask}"},
		{"GH_TOKEN", "git.corp.example", "", ""},
	} {
		if s := secret(t, cfg, want.name); hostsOf(s) != want.hosts || s.Service != want.service || s.Mask != want.mask {
			t.Errorf("%s goes to %s of %q with the mask %q, not %+v", want.name, hostsOf(s), s.Service, s.Mask, want)
		}
	}
	if s := secret(t, cfg, "SERPAPI_KEY"); !slices.Contains(s.Places, policy.Place{Kind: policy.QueryNamed, Name: "api_key"}) {
		t.Errorf("the places of SERPAPI_KEY are %v", s.Places)
	}
	if s := secret(t, cfg, "GH_TOKEN"); len(s.Places) != 1 {
		t.Errorf("the places of GH_TOKEN are %v", s.Places)
	}
	// Both the vendor's hosts and the file's mask: key by key.
	if s := secret(t, cfg, "NEW_RELIC_API_KEY"); s.Mask != "NRAA-{mask}" || hostsOf(s) != "api.newrelic.com" {
		t.Errorf("NEW_RELIC_API_KEY is %+v", s)
	}
	if err := cfg.Blind(false); err != nil {
		t.Error(err)
	}
}

func TestAListSuppliesTheSame(t *testing.T) {
	t.Parallel()
	cfg, err := loadYAML(t, "backends: {e: {type: env}}\nresolvers:\n  - name: anthropic-api-key\n")
	if err != nil {
		t.Fatal(err)
	}
	if s := secret(t, cfg, "ANTHROPIC_API_KEY"); hostsOf(s) != "api.anthropic.com" || s.Service != "Anthropic" {
		t.Errorf("ANTHROPIC_API_KEY is %+v", s)
	}
}

func TestOnlyAMaskedSecretOfExactlyThatNameIsOfAService(t *testing.T) {
	t.Parallel()
	cfg := mustTOML(t, `
[backends.e]
type = "env"
[backends.v]
type = "hashicorp_vault"
address = "https://vault.example.com"
token = { secret = "FLY_API_TOKEN" }
[secrets.FLY_API_TOKEN]
backend = "e"
[secrets.MY_OPENAI_API_KEY]
backend = "e"
[secrets.openai_api_key]
backend = "e"
[secrets.OPENAI_API_KEY_2]
backend = "e"
secret_id = "OPENAI_API_KEY"
[secrets.GROQ_API_KEY]
backend = "e"
hosts = []
[secrets.GH_TOKEN]
backend = "e"
expose = "plain"
[secrets.NPM_TOKEN]
backend = "e"
expose = "omit"
[secrets.STRIPE]
backend = "e"
plain_fields = ["apiKey"]
`)
	if len(cfg.Secrets) != 8 {
		t.Fatalf("the secrets are %q", names(cfg))
	}
	for _, s := range cfg.Secrets {
		if len(s.Hosts) > 0 || s.Service != "" || s.Mask != "" || !reflect.DeepEqual(s.Places, policy.DefaultPlaces()) {
			t.Errorf("%s is %+v", s.Name, s)
		}
	}
	if s := secret(t, cfg, "FLY_API_TOKEN"); s.Masked() {
		t.Error("what only feeds a backend reaches the program, masked")
	}
}

func TestAnotherFileWinsOverAServiceToo(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{
		"~/.config/keyzero/config.toml": "[backends.e]\ntype = 'env'\n[secrets.OPENAI_API_KEY]\nhosts = ['gateway.corp.example']\n",
		".keyzero.toml":                 "[secrets.OPENAI_API_KEY]\nbackend = 'e'\n[production.secrets.OPENAI_API_KEY]\nhosts = ['prod.corp.example']\n",
	})
	if got := hostsOf(secret(t, tr.mustLoad(), "OPENAI_API_KEY")); got != "gateway.corp.example" {
		t.Errorf("it goes to %s", got)
	}
	tr.env["KEYZERO_ENV"] = "production"
	if got := hostsOf(secret(t, tr.mustLoad(), "OPENAI_API_KEY")); got != "prod.corp.example" {
		t.Errorf("in production it goes to %s", got)
	}
}

func TestASecretWithoutHostsIsToldOfKnownNames(t *testing.T) {
	t.Parallel()
	cfg := mustTOML(t, "[backends.e]\ntype = 'env'\n[secrets.OPENAI_APIKEY]\n[secrets.GROK_API_KEY]\n[secrets.AZURE_OPENAI_API_KEY]\n[secrets.API_KEY]\n")
	const without = " has no hosts, so a blind program could not use it → write hosts = "
	expect(t, cfg.Blind(false), `
.keyzero.toml:3:10: the secret OPENAI_APIKEY`+without+`["api.openai.com"] in the entry OPENAI_APIKEY; the hosts of OPENAI_API_KEY are known to kz, if that is what is meant
.keyzero.toml:4:10: the secret GROK_API_KEY`+without+`["api.example.com"] in the entry GROK_API_KEY; the hosts of GROQ_API_KEY are known to kz, if that is what is meant
.keyzero.toml:5:10: the secret AZURE_OPENAI_API_KEY`+without+`["RESOURCE.openai.azure.com"] in the entry AZURE_OPENAI_API_KEY, with your own: each user of Azure OpenAI has another
.keyzero.toml:6:10: the secret API_KEY`+without+`["api.example.com"] in the entry API_KEY, with the host that it is for`)
}

func TestAnApprovalShowsWhatServicesSupply(t *testing.T) {
	t.Parallel()
	tr := newTree(t, map[string]string{".keyzero.toml": `
[backends.e]
type = "env"
[secrets.OPENAI_API_KEY]
[secrets.SERPAPI_KEY]
[secrets.STRIPE]
fields = ["apiKey"]
plain_fields = ["secretKey"]
[secrets.GROQ_API_KEY]
hosts = ["groq.corp.example"]
[secrets.SERPAPI_API_KEY]
hosts = ["serp.corp.example"]
[secrets.GH_TOKEN]
expose = "plain"
[production.secrets.GROQ_API_KEY]
secret_id = "x"
[production.secrets.XAI_API_KEY]
`})
	cfg := tr.mustLoad()
	const note = " are known to kz by the name alone: whatever is stored goes there; when kz comes to know others, it asks again\n"
	want := tr.dir + `/.keyzero.toml
  sha256 ` + cfg.Sources[0].SHA256 + `
  backends
    e: env
  secrets
    OPENAI_API_KEY: to api.openai.com (known service OpenAI), in header, basic, body
    SERPAPI_KEY: to serpapi.com (known service SerpApi), in header, basic, body, query:api_key
    STRIPE: STRIPE_API_KEY to api.stripe.com, files.stripe.com (known service Stripe), STRIPE_API_KEY in header, basic, body, STRIPE_API_KEY mask sk_{mask}, fields apiKey, plain_fields secretKey
    GROQ_API_KEY: to groq.corp.example, in header, basic, body
    SERPAPI_API_KEY: to serp.corp.example, in header, basic, body, query:api_key
    GH_TOKEN: expose plain
  note: GH_TOKEN reaches the program itself, in plain
  note: the hosts of OPENAI_API_KEY, SERPAPI_KEY, STRIPE_API_KEY` + note + `  in the environment production
  secrets
    GROQ_API_KEY: from x
    XAI_API_KEY: to api.x.ai (known service xAI), in header, basic, body
  note: the hosts of XAI_API_KEY` + note
	if got := cfg.Describe()[0].String(); got != want {
		t.Errorf("the summary is\n%s\nwant\n%s", got, want)
	}
}

func BenchmarkOneService(b *testing.B) {
	for b.Loop() {
		if serviceOf("AIRTABLE_API_KEY") == nil { // the last one
			b.Fatal("it is not known")
		}
	}
}
