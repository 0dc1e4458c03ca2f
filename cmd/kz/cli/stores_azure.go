//go:build !kz_no_azure

package cli

import (
	"kz/cmd/kz/config"
	"kz/resolver"
	"kz/resolver/azurekv"
)

func azureKeyVault(_ *app, b backend) (resolver.Resolver, error) {
	o := azurekv.Options{VaultURL: b.Text("vault_url")}
	if b.Text("auth") == config.AuthClientSecret {
		o.TenantID, o.ClientID, o.ClientSecret = b.Text("tenant_id"), b.Text("client_id"), b.Secret("client_secret")
	}
	return azurekv.New(o)
}
