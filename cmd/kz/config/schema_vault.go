package config

import "slices"

// The ways to log in to Vault.
const (
	AuthToken      = "token"
	AuthAppRole    = "approle"
	AuthKubernetes = "kubernetes"
)

func vaultType() Type {
	appRole, mounted := []string{AuthAppRole}, []string{AuthAppRole, AuthKubernetes}
	return Type{
		Name: HashicorpVault, Label: "HashiCorp Vault", Help: "KV v2 and v1 by path, and dynamic engines with their leases",
		Settings: slices.Concat([]SettingType{
			{Key: "address", Label: "Address", Type: "url", Help: "VAULT_ADDR of the user's own environment when left out"},
			{Key: "namespace", Label: "Namespace", Type: "string", Help: "an Enterprise or HCP namespace"},
			{Key: "mount", Label: "Mount", Type: "string", Help: "the mount of paths that do not name theirs"},
			{Key: "ca_cert", Label: "CA certificate", Type: "path", Help: "a PEM file with the roots that the server is checked against"},
			{Key: "auth", Label: "Authentication", Type: "enum", Values: []string{AuthToken, AuthAppRole, AuthKubernetes}, Help: "how to log in"},
			{Key: "token", Label: "Token", Type: "string", Sensitive: true, Auth: []string{AuthToken}, Help: "VAULT_TOKEN, then ~/.vault-token, when left out"},
			{Key: "role_id", Label: "Role ID", Type: "string", Required: true, Auth: appRole, Help: "of the AppRole"},
			{Key: "secret_id", Label: "Secret ID", Type: "string", Sensitive: true, Auth: appRole, Help: "of the AppRole"},
			{Key: "wrapped_secret_id", Label: "Wrapped secret ID", Type: "string", Sensitive: true, Auth: appRole,
				Help: "a response-wrapping token that holds the secret ID; it is unwrapped once"},
			{Key: "role", Label: "Role", Type: "string", Required: true, Auth: []string{AuthKubernetes}, Help: "the role of the Kubernetes auth method"},
			{Key: "jwt_path", Label: "JWT file", Type: "path", Auth: []string{AuthKubernetes},
				Help: "the service account's token; /var/run/secrets/kubernetes.io/serviceaccount/token unless given"},
			{Key: "auth_mount", Label: "Auth mount", Type: "string", Auth: mounted, Help: "where the auth method is mounted; the method's name unless given"},
		}, kinds()),
		references: []string{"kind", "version", "mount"},
	}
}
