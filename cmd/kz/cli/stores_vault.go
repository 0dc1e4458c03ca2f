//go:build !kz_no_vault

package cli

import (
	"strings"

	"kz/resolver"
	"kz/resolver/vault"
)

func hashicorpVault(a *app, b backend) (resolver.Resolver, error) {
	store, err := vault.New(vault.Options{
		Address: b.Text("address"), Namespace: b.Text("namespace"), Mount: b.Text("mount"), CACert: b.Text("ca_cert"),
		Auth: b.Text("auth"), AuthMount: b.Text("auth_mount"), Token: b.Secret("token"),
		RoleID: b.Text("role_id"), SecretID: b.Secret("secret_id"), WrappedSecretID: b.Secret("wrapped_secret_id"),
		Role: b.Text("role"), JWTPath: b.Text("jwt_path"), Now: a.now, Getenv: a.getenvForStore,
	})
	if err != nil { // its text has no value of a setting in it
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: strings.ReplaceAll(err.Error(), "\n", "; "), Advice: "correct the settings of the backend"}
	}
	return store, nil
}
