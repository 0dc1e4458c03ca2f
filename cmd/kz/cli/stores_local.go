package cli

import (
	"kz/resolver"
	"kz/resolver/agefile"
)

func newAgeStore(a *app, b backend) (resolver.Resolver, error) {
	return agefile.New(agefile.Options{Path: b.Text("path"), Identity: b.Secret("identity"), IdentityFile: b.Text("identity_file"), Getenv: a.getenv})
}
