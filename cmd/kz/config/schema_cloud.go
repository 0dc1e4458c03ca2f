package config

import "slices"

// The ways to log in to Azure and to 1Password that are not AuthDefault.
const (
	AuthClientSecret = "client_secret"

	AuthServiceAccount = "service_account"
	AuthConnect        = "connect"
	AuthCLI            = "cli"
)

func cloudTypes() []Type {
	client, account, connect := []string{AuthClientSecret}, []string{AuthServiceAccount}, []string{AuthConnect}
	return []Type{
		{
			Name: GCPSecretManager, Label: "Google Secret Manager", Help: "secrets by short name or full path, the latest version unless another is named",
			Settings: slices.Concat([]SettingType{
				{Key: "project", Label: "Project", Type: "string", Help: "the project of short names"},
				{Key: "credentials_file", Label: "Credentials", Type: "path", Help: "a service account's key file; the application default credentials when left out"},
				{Key: "endpoint", Label: "Endpoint", Type: "url", Help: "a regional or private endpoint"},
			}, kinds()),
			references: []string{"kind", "version"},
		},
		{
			Name: AzureKeyVault, Label: "Azure Key Vault", Help: "secrets by name, the newest version unless another is named",
			Settings: slices.Concat([]SettingType{
				{Key: "vault_url", Label: "Vault URL", Type: "url", Required: true, Help: `as in "https://my-vault.vault.azure.net"`},
				{Key: "auth", Label: "Authentication", Type: "enum", Values: []string{AuthDefault, AuthClientSecret},
					Help: "default is the environment, workload and managed identity, then the Azure CLI"},
				{Key: "tenant_id", Label: "Tenant", Type: "string", Required: true, Auth: client, Help: "the tenant of the application"},
				{Key: "client_id", Label: "Client", Type: "string", Required: true, Auth: client, Help: "the application"},
				{Key: "client_secret", Label: "Client secret", Type: "string", Required: true, Sensitive: true, Auth: client, Help: "of the application"},
			}, kinds()),
			references: []string{"kind", "version_id"},
		},
		{
			Name: OnePassword, Label: "1Password", Help: "fields by op://vault/item/field",
			Settings: []SettingType{
				{Key: "auth", Label: "Authentication", Type: "enum", Values: []string{AuthCLI, AuthServiceAccount, AuthConnect},
					Help: "cli is the op command as it is signed in; service_account gives it a token; connect asks a Connect server"},
				{Key: "account", Label: "Account", Type: "string", Auth: []string{AuthCLI}, Help: "the account that op uses"},
				{Key: "token", Label: "Token", Type: "string", Sensitive: true, Auth: append(account, connect...),
					Help: "OP_SERVICE_ACCOUNT_TOKEN or OP_CONNECT_TOKEN when left out"},
				{Key: "connect_host", Label: "Connect server", Type: "url", Auth: connect, Help: "OP_CONNECT_HOST when left out"},
				{Key: "command", Label: "Command", Type: "path", Auth: []string{AuthCLI, AuthServiceAccount}, Help: "the op program; the one on PATH when left out"},
			},
		},
	}
}
