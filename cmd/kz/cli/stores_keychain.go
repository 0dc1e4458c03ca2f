package cli

import (
	"kz/resolver"
	"kz/resolver/keychain"
)

func newKeychain(a *app, b backend) (resolver.Resolver, error) {
	return keychain.New(keychain.Options{Service: b.Text("service"), Getenv: a.getenv})
}
