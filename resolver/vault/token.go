package vault

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/hashicorp/vault/api"

	"kz/resolver"
)

// tokenAuth takes a token that the user has: the configured one, VAULT_TOKEN,
// or what `vault login` left in ~/.vault-token.
type tokenAuth struct{ opt *Options }

func (a tokenAuth) login(context.Context, *api.Client) (grant, error) {
	token := strings.TrimSpace(a.opt.Token.Reveal())
	if token == "" {
		token = strings.TrimSpace(a.opt.Getenv("VAULT_TOKEN"))
	}
	if token == "" {
		var err error
		if token, err = a.file(); err != nil {
			return grant{}, err
		}
	}
	if token == "" {
		return grant{}, &resolver.Error{Kind: resolver.AccessDenied, Message: "no Vault token is found", Advice: "log in (vault login), or set VAULT_TOKEN"}
	}
	secret := resolver.NewSecret(token)
	if err := unsendable(secret, "the Vault token"); err != nil {
		return grant{}, err
	}
	return grant{token: secret}, nil
}

// unsendable is an error for a token that cannot stand in a header.
func unsendable(token resolver.Secret, what string) error {
	if !strings.ContainsFunc(token.Reveal(), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return nil
	}
	return &resolver.Error{Kind: resolver.AccessDenied, Message: what + " has characters that no token has", Advice: "take it anew, as one line: vault login"}
}

// file reads ~/.vault-token; "" when there is none.
func (a tokenAuth) file() (string, error) {
	home, err := a.opt.Home()
	if err != nil {
		return "", nil
	}
	text, err := readSmall(filepath.Join(home, ".vault-token"))
	if errors.Is(err, resolver.NotFound) {
		return "", nil
	}
	return strings.TrimSpace(text), err
}
