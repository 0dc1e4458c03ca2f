package vault

import (
	"context"
	"io"
	"os"
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
	switch {
	case token == "":
		return grant{}, &resolver.Error{Kind: resolver.AccessDenied, Message: "no Vault token is found", Advice: "log in (vault login), or set VAULT_TOKEN"}
	case strings.ContainsFunc(token, func(r rune) bool { return !unicode.IsPrint(r) }):
		return grant{}, &resolver.Error{Kind: resolver.AccessDenied, Message: "the Vault token has characters that no token has", Advice: "log in again: vault login"}
	}
	return grant{token: resolver.NewSecret(token)}, nil
}

// file reads ~/.vault-token; "" when there is none.
func (a tokenAuth) file() (string, error) {
	home, err := a.opt.Home()
	if err != nil {
		return "", nil
	}
	path := filepath.Join(home, ".vault-token")
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", resolver.File(path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return "", resolver.File(path, err)
	}
	return strings.TrimSpace(string(text)), nil
}
