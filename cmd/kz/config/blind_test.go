package config

import "testing"

func TestAMaskedSecretNeedsHosts(t *testing.T) {
	t.Parallel()
	cfg := mustTOML(t, `
API_KEY = { provider = "env", ref = "env://X" }
[backends.e]
type = "env"
[secrets.OPENAI_KEY]
backend = "e"
[secrets.DATABASE_URL]
backend = "e"
[secrets.HAS]
backend = "e"
hosts = ["a.example.com"]
[secrets.OMITTED]
backend = "e"
expose = "omit"
[secrets.PLAIN]
backend = "e"
expose = "plain"
[secrets.JIRA]
backend = "e"
plain_fields = ["site"]
`)
	expect(t, cfg.Blind(false), `
.keyzero.toml:2:1: the secret API_KEY has no hosts, so a blind program could not use it → write hosts = ["api.example.com"] in the entry API_KEY, with the host that it is for
.keyzero.toml:5:10: the secret OPENAI_KEY has no hosts, so a blind program could not use it → write hosts = ["api.openai.com"] in the entry OPENAI_KEY
.keyzero.toml:7:10: the secret DATABASE_URL has no hosts, so a blind program could not use it → write hosts = ["api.example.com"] in the entry DATABASE_URL, or expose = "omit" to leave it out`)
	if err := cfg.Blind(true); err != nil {
		t.Errorf("with --any-host: %v", err)
	}
}

func TestTheHintIsWrittenInTheFormatOfTheFile(t *testing.T) {
	t.Parallel()
	cfg, err := loadYAML(t, "backends: {e: {type: env}}\nresolvers:\n  - name: stripe-key\n")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, cfg.Blind(false),
		`.keyzero.yaml:3:11: the secret STRIPE_KEY has no hosts, so a blind program could not use it → write hosts: ["api.stripe.com"] in the entry stripe-key`)
}
