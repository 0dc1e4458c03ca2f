package config

import "slices"

// Type is one kind of backend with its settings, as `kz backends --json` lists it.
type Type struct {
	Name     string        `json:"type"`
	Label    string        `json:"label"`
	Help     string        `json:"help"`
	Settings []SettingType `json:"settings"`

	references []string // keys of a secret that say where its value is, beside those of every type
	keyed      bool     // its secrets are keys: `field` may name one, as `name` does
	byName     bool     // a secret that names nothing is kept there under the name of its variable
}

// ByName reports whether a secret that names nothing is kept there under the name of its variable.
func (t Type) ByName() bool { return t.byName }

// SettingType is one setting of a backend.
type SettingType struct {
	Key   string `json:"key"`
	Label string `json:"label"`
	// Type is "string", "url", "path", "enum", "number" or "list".
	Type string `json:"type"`
	// Required settings must be given; one that belongs to several values of `auth` only with the first of them.
	Required bool `json:"required"`
	// Sensitive settings name another secret, { secret = "NAME" }, and never hold a value. A setting of type "string"
	// that is not sensitive may do so too.
	Sensitive bool     `json:"sensitive"`
	Values    []string `json:"values,omitempty"`
	// Auth lists the values of `auth` that the setting belongs to; the first of them holds when `auth` is left out.
	// Empty: every one.
	Auth []string `json:"auth,omitempty"`
	Help string   `json:"help"`

	program bool // a path that must be written as an absolute one, or below ~/
}

// The types there are.
const (
	AWSSecretsManager = "aws_secrets_manager"
	AWSSSM            = "aws_ssm"
	AWSSTS            = "aws_sts"
	HashicorpVault    = "hashicorp_vault"
	GCPSecretManager  = "gcp_secret_manager"
	AzureKeyVault     = "azure_key_vault"
	OnePassword       = "onepassword"
	Keychain          = "keychain"
	Local             = "local"
	Age               = "age"
	Exec              = "exec"
	EnvFile           = "env_file"
	Env               = "env"
)

// Types lists the backend types with their settings. The caller may keep and change it.
func Types() []Type {
	return slices.Concat(awsTypes(), []Type{vaultType()}, cloudTypes(), localTypes())
}

// kinds are the settings that name a secret which gives its kind.
func kinds() []SettingType {
	return []SettingType{
		{Key: "org_id", Label: "Organisation", Type: "string", Help: "what {orgId} in the name template stands for"},
		{Key: "secret_name_template", Label: "Name template", Type: "string",
			Help: "how a secret with kind is named; " + defaultTemplate + " unless given"},
	}
}

// types is Types once and for all: the package only reads it.
var types = Types()

func typeByName(name string) (Type, bool) {
	i := slices.IndexFunc(types, func(t Type) bool { return t.Name == name })
	if i < 0 {
		return Type{}, false
	}
	return types[i], true
}

func typeNames() []string {
	var names []string
	for _, t := range types {
		names = append(names, t.Name)
	}
	return names
}

func (t Type) keys() []string {
	keys := []string{"type"}
	for _, s := range t.Settings {
		keys = append(keys, s.Key)
	}
	return keys
}

// auth is the way to log in that holds when none is given; "" for a type that has no choice.
func (t Type) auth() string {
	for _, s := range t.Settings {
		if s.Key == "auth" {
			return s.Values[0]
		}
	}
	return ""
}

// provider is what the `provider` of a shorthand stands for.
type provider struct {
	name    string
	kind    string   // the type of its backend
	schemes []scheme // of `ref`
}

// scheme is the beginning of a `ref`, and the type that it means.
type scheme struct{ name, kind, example string }

var providers = []provider{
	{"aws", AWSSecretsManager, []scheme{{"sm", AWSSecretsManager, "sm://prod/key#field"}, {"ssm", AWSSSM, "ssm:///prod/key"},
		{"sts", AWSSTS, "sts://arn:aws:iam::123456789012:role/deploy"}}},
	{"vault", HashicorpVault, []scheme{{"vault", HashicorpVault, "vault://secret/app#api_key"}, {"kv", HashicorpVault, "kv://secret/app#api_key"}}},
	{"gcp", GCPSecretManager, []scheme{{"gcp", GCPSecretManager, "gcp://projects/my-project/secrets/key"}}},
	{"azure", AzureKeyVault, []scheme{{"azure", AzureKeyVault, "azure://my-vault.vault.azure.net/key"}}},
	{"onepassword", OnePassword, []scheme{{"op", OnePassword, "op://vault/item/field"}}},
	{"keychain", Keychain, []scheme{{"keychain", Keychain, "keychain://API_KEY"}}},
	{"local", Local, []scheme{{"local", Local, "local://API_KEY"}}},
	{"env_file", EnvFile, []scheme{{"file", EnvFile, "file://secrets.env#API_KEY"}}},
	{"env", Env, []scheme{{"env", Env, "env://API_KEY"}}},
}

func providerByName(name string) (provider, bool) {
	i := slices.IndexFunc(providers, func(p provider) bool { return p.name == name })
	if i < 0 {
		return provider{}, false
	}
	return providers[i], true
}

func providerNames() []string {
	var names []string
	for _, p := range providers {
		names = append(names, p.name)
	}
	return names
}

// scheme finds what a `ref` begins with.
func (p provider) scheme(name string) (scheme, bool) {
	i := slices.IndexFunc(p.schemes, func(s scheme) bool { return s.name == name })
	if i < 0 {
		return scheme{}, false
	}
	return p.schemes[i], true
}

// defaultTemplate names a secret that gives kind, where its backend gives no template.
const defaultTemplate = "{orgId}/{kind}"
