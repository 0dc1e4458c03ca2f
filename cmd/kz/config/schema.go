package config

import "slices"

// Type is one kind of backend with its settings, as `kz backends --json` lists it.
type Type struct {
	Name     string        `json:"type"`
	Label    string        `json:"label"`
	Help     string        `json:"help"`
	Settings []SettingType `json:"settings"`

	references []string // keys of a secret that say where its value is, beside those of every type
	later      []string // settings of an `auth` which this version does not have
}

// SettingType is one setting of a backend.
type SettingType struct {
	Key   string `json:"key"`
	Label string `json:"label"`
	// Type is "string", "url", "path" or "enum".
	Type     string `json:"type"`
	Required bool   `json:"required"`
	// Sensitive settings name another secret, { secret = "NAME" }, and never hold a value.
	Sensitive bool     `json:"sensitive"`
	Values    []string `json:"values,omitempty"`
	Help      string   `json:"help"`
}

// The types of this version.
const (
	AWSSecretsManager = "aws_secrets_manager"
	HashicorpVault    = "hashicorp_vault"
	EnvFile           = "env_file"
	Env               = "env"
)

// Types lists the backend types of this version with their settings. The caller may keep and change it.
func Types() []Type {
	kinds := []SettingType{
		{Key: "org_id", Label: "Organisation", Type: "string", Help: "what {orgId} in the name template stands for"},
		{Key: "secret_name_template", Label: "Name template", Type: "string",
			Help: "how a secret with kind is named; " + defaultTemplate + " unless given"},
	}
	return []Type{
		{
			Name: AWSSecretsManager, Label: "AWS Secrets Manager",
			Help: "secrets by name or ARN, read with the SDK's own credential chain",
			Settings: append([]SettingType{
				{Key: "region", Label: "Region", Type: "string", Help: "the SDK's own resolution when left out, then the region of a secret's ARN"},
				{Key: "endpoint", Label: "Endpoint", Type: "url", Help: "a private endpoint in place of the region's"},
				{Key: "auth", Label: "Authentication", Type: "enum", Values: []string{"default"}, Help: "the SDK chain: environment, shared files, SSO, instance, ECS, EKS"},
			}, kinds...),
			references: []string{"kind", "version_stage", "version_id"},
			later:      []string{"access_key_id", "secret_access_key", "role_arn", "session_name", "external_id"},
		},
		{
			Name: HashicorpVault, Label: "HashiCorp Vault",
			Help: "KV v2 and v1 by path, and dynamic engines with their leases",
			Settings: append([]SettingType{
				{Key: "address", Label: "Address", Type: "url", Help: "VAULT_ADDR of the user's own environment when left out"},
				{Key: "namespace", Label: "Namespace", Type: "string", Help: "an Enterprise or HCP namespace"},
				{Key: "mount", Label: "Mount", Type: "string", Help: "the mount of paths that do not name theirs"},
				{Key: "ca_cert", Label: "CA certificate", Type: "path", Help: "a PEM file with the roots that the server is checked against"},
				{Key: "token", Label: "Token", Type: "string", Sensitive: true, Help: "VAULT_TOKEN, then ~/.vault-token, when left out"},
				{Key: "auth", Label: "Authentication", Type: "enum", Values: []string{"token"}, Help: "how to log in"},
			}, kinds...),
			references: []string{"kind", "version", "mount"},
			later:      []string{"role_id", "secret_id", "wrapped_secret_id", "auth_mount", "role", "jwt_path"},
		},
		{
			Name: EnvFile, Label: "Dotenv file", Help: "keys of a dotenv file",
			Settings: []SettingType{
				{Key: "path", Label: "Path", Type: "path", Required: true, Help: "relative to the file that says it"},
			},
		},
		{Name: Env, Label: "Environment", Help: "variables of kz's own environment, removed from the child", Settings: []SettingType{}},
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

// laterTypes are types that the schema knows and this version does not have.
var laterTypes = []string{"age", "aws_ssm", "aws_sts", "azure_key_vault", "exec", "gcp_secret_manager", "keychain", "local", "onepassword"}

// provider is what the `provider` of a shorthand stands for.
type provider struct {
	name    string
	kind    string            // the type of its backend
	schemes map[string]string // scheme of `ref` -> type, of this version or later
}

var providers = []provider{
	{"aws", AWSSecretsManager, map[string]string{"sm": AWSSecretsManager, "ssm": "aws_ssm", "sts": "aws_sts"}},
	{"vault", HashicorpVault, map[string]string{"vault": HashicorpVault, "kv": HashicorpVault}},
	{"env_file", EnvFile, map[string]string{"file": EnvFile}},
	{"env", Env, map[string]string{"env": Env}},
	{"gcp", "gcp_secret_manager", nil},
	{"azure", "azure_key_vault", nil},
	{"onepassword", "onepassword", nil},
	{"keychain", "keychain", nil},
}

// providerByName gives the provider if it is known; inVersion is false for those of a later version.
func providerByName(name string) (p provider, known, inVersion bool) {
	for _, p := range providers {
		if p.name == name {
			return p, true, p.schemes != nil
		}
	}
	return provider{}, false, false
}

// providerNames lists the providers of this version.
func providerNames() []string {
	var names []string
	for _, p := range providers {
		if p.schemes != nil {
			names = append(names, p.name)
		}
	}
	return names
}

// defaultTemplate names a secret that gives kind, where its backend gives no template.
const defaultTemplate = "{orgId}/{kind}"
