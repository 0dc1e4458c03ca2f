package onepassword

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"kz/resolver"
)

// target is what a request is about, for its errors.
type target struct {
	what  string // "vault", "item" or "file"; "" is none of the reference
	at    reference
	write bool
}

func quote(s string) string { return strconv.Quote(s) }

func noItem(at reference) error {
	return &resolver.Error{Kind: resolver.NotFound, Message: "there is no item " + quote(at.item) + " in the vault " + quote(at.vault), Err: errNoItem,
		Advice: "check the name, or give its id: op item list --vault " + shellQuote(at.vault)}
}

// refused makes an error of this module from the status of an answer. Its body is not read: it may repeat the request.
func refused(status int, to target) error {
	e := &resolver.Error{Status: status, Kind: resolver.Unavailable}
	right := "read"
	if to.write {
		right = "write"
	}
	switch {
	case status == http.StatusUnauthorized:
		e.Kind, e.Message = resolver.AccessDenied, "the Connect server does not accept the token"
		e.Advice = "make a token for this server (op connect token create NAME --server SERVER --vault VAULT) and put it where `token` points"
	case status == http.StatusForbidden:
		e.Kind, e.Message = resolver.AccessDenied, "the token may not do this"
		e.Advice = "tokens are given vaults when they are made: op connect token create NAME --server SERVER --vault VAULT"
		if to.what != "" {
			e.Message = "the token may not " + right + " in the vault " + quote(to.at.vault)
			e.Advice = "make a token that may: op connect token create NAME --server SERVER --vault " + shellQuote(to.at.vault+",r")
			if to.write {
				e.Advice = "make a token that may: op connect token create NAME --server SERVER --vault " + shellQuote(to.at.vault+",rw")
			}
		}
	case status == http.StatusNotFound && to.what == "":
		e.Message, e.Advice = "there is no Connect server at that address", "check `connect_host`"
	case status == http.StatusNotFound && to.what == "item":
		return withStatus(noItem(to.at), status)
	case status == http.StatusNotFound:
		e.Kind, e.Message = resolver.NotFound, "there is no such "+to.what+" in the vault "+quote(to.at.vault)
		if to.what == "vault" {
			e.Message = "there is no vault " + quote(to.at.vault)
		}
		e.Advice = "check the reference, and that `connect_host` is the Connect server's address"
	case status == http.StatusTooManyRequests:
		e.Kind, e.Advice = resolver.Throttled, "wait a little and try again; a longer `ttl` asks less often"
	case status == http.StatusRequestEntityTooLarge:
		e.Kind, e.Message, e.Advice = resolver.InvalidReference, "the value is too long for the Connect server", "keep it in another store"
	case status >= 300 && status < 400:
		e.Message, e.Advice = "the Connect server sends elsewhere", "write the address it really has in `connect_host`, with https if it has that"
	case status >= 500:
		e.Message, e.Advice = "the Connect server answers with an error of its own", "see its state: GET /health at the same address, and its log"
	default:
		e.Kind, e.Message, e.Advice = resolver.InvalidReference, "the Connect server refuses the request", "check the reference; a name with unusual characters is given by its id"
	}
	return e
}

func withStatus(err error, status int) error {
	e := *err.(*resolver.Error) //nolint:errorlint,forcetypeassert // as noItem makes it
	e.Status = status
	return &e
}

// unreachable is of a request without an answer.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return resolver.Transport(ctx.Err())
	}
	e := resolver.Transport(err)
	switch {
	case strings.Contains(e.Message, "unknown authority"):
		e.Advice = "let this machine trust that authority, or give the server a certificate that it does"
	case e.Kind == resolver.Unavailable && e.Advice == "":
		e.Advice = "check that the Connect server runs, and `connect_host`"
	}
	return e
}
