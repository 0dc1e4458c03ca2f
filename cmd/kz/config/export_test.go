package config

import (
	"testing"

	"kz/resolver"
)

func TestExportedCredentialsAreThreeSecretsOfOnePlace(t *testing.T) {
	t.Parallel()
	for form, load := range map[string]func() *Config{
		"a table": func() *Config {
			return mustTOML(t, `
[backends.sts]
type = "aws_sts"
[secrets.DEPLOY]
backend = "sts"
role_arn = "arn:aws:iam::123456789012:role/deploy"
session_name = "nightly"
export_as = "aws"`)
		},
		"a list": func() *Config {
			cfg, err := loadYAML(t, `
backends: {sts: {type: aws_sts}}
resolvers:
  - {name: deploy, backend: sts, role_arn: "arn:aws:iam::123456789012:role/deploy", session_name: nightly, export_as: aws}`)
			if err != nil {
				t.Fatal(err)
			}
			return cfg
		},
	} {
		cfg := load()
		place := resolver.Ref{RoleARN: "arn:aws:iam::123456789012:role/deploy", SessionName: "nightly"}
		if len(cfg.Secrets) != 3 {
			t.Fatalf("%s: the secrets are %q", form, names(cfg))
		}
		for name, field := range map[string]string{"AWS_ACCESS_KEY_ID": "access_key_id", "AWS_SECRET_ACCESS_KEY": "secret_access_key", "AWS_SESSION_TOKEN": "session_token"} {
			if s := secret(t, cfg, name); s.Ref.Field != field || s.Ref.Place() != place || s.Backend != "sts" || !s.Signs {
				t.Errorf("%s: %s is %+v", form, name, s)
			}
		}
	}
}

func TestABlindProgramCannotSign(t *testing.T) {
	t.Parallel()
	export := func(lines string) *Config {
		return mustTOML(t, "[backends.sts]\ntype = \"aws_sts\"\n[secrets.DEPLOY]\nrole_arn = \"arn:aws:iam::123456789012:role/deploy\"\nexport_as = \"aws\"\n"+lines)
	}
	const refused = `.keyzero.toml:3:10: AWS_ACCESS_KEY_ID and its like sign requests, which a mask cannot → write expose = "omit" to leave them out, or "plain" to give the program the real ones, in the entry DEPLOY`
	for _, anyHost := range []bool{false, true} {
		// Hosts do not help: there is no request that the mask could stand in.
		expect(t, export("").Blind(anyHost), refused)
		expect(t, export(`hosts = ["sts.amazonaws.com"]`).Blind(anyHost), refused)
		for _, expose := range []string{"omit", "plain"} {
			if err := export("expose = \"" + expose + "\"").Blind(anyHost); err != nil {
				t.Errorf("%s: %v", expose, err)
			}
		}
	}
}

func TestTwoExportsAreOneTooMany(t *testing.T) {
	t.Parallel()
	_, err := loadTOML(t, "[backends.sts]\ntype = \"aws_sts\"\n[secrets.A]\nrole_arn = \"arn:a\"\nexport_as = \"aws\"\n[secrets.B]\nrole_arn = \"arn:b\"\nexport_as = \"aws\"\n")
	expect(t, err, ".keyzero.toml:6:10: the same variable is already defined at .keyzero.toml:3:10")
}
