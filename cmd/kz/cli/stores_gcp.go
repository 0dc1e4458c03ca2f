//go:build !kz_no_gcp

package cli

import (
	"kz/resolver"
	"kz/resolver/gcpsm"
)

func gcpSecretManager(_ *app, b backend) (resolver.Resolver, error) {
	return gcpsm.New(gcpsm.Options{Project: b.Text("project"), CredentialsFile: b.Text("credentials_file"), Endpoint: b.Text("endpoint")})
}
