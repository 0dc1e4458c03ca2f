package onepassword

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kz/resolver"
)

// errNoItem is the cause of the one failure that lets Put make an item.
var errNoItem = errors.New("onepassword: no such item")

const notSignedIn = "op is not signed in"

// phrases are what op writes, in parts of its messages that are its own, and what they mean. The first that fits counts.
// Nothing of the message itself is passed on: it repeats references, and may repeat more.
var phrases = []struct {
	says   []string
	kind   resolver.Kind
	status int
	told   func(at reference) (message, advice string)
}{
	{[]string{"(429)", "Too Many Requests"}, resolver.Throttled, 429, func(reference) (string, string) {
		return "1Password takes no more requests for now", "wait and try again; a longer `ttl` asks less often: op service-account ratelimit"
	}},
	{[]string{"(409)"}, resolver.Unavailable, 409, func(reference) (string, string) {
		return "the item was changed by another at the same time", "try again"
	}},
	{[]string{"(500)", "(502)", "(503)", "(504)", "Internal Server Error"}, resolver.Unavailable, 0, func(reference) (string, string) {
		return "1Password answers with an error of its own", "try again; see status.1password.com"
	}},
	{[]string{"(401)", "DecodeSACredentials", "invalid service account token", "Unauthorized"}, resolver.AccessDenied, 401, func(reference) (string, string) {
		return "1Password does not accept the credentials", "sign in again (op signin), or make a new token for the service account and put it where `token` points"
	}},
	{[]string{"found no accounts for filter"}, resolver.AccessDenied, 0, func(reference) (string, string) {
		return "op does not know the account that `account` names", "see which it knows: op account list; another is added with: op account add"
	}},
	{[]string{"not currently signed in", "is not signed in", "session expired", "could not find session token", "No accounts configured",
		"no account found", "authorization prompt dismissed", "authorization timeout", "authorization denied", "connecting to desktop app", "RequestDelegatedSession"},
		resolver.AccessDenied, 0, func(reference) (string, string) {
			return notSignedIn, "unlock 1Password and let it answer op (Settings, Developer, Integrate with 1Password CLI), or run: op signin; for machines use auth = \"service_account\""
		}},
	{[]string{"isn't a vault", "could not find vault"}, resolver.NotFound, 0, func(at reference) (string, string) {
		return fmt.Sprintf("there is no vault %q that this account may read", at.vault), "check the name and the account, and that a service account has been given the vault: op vault list"
	}},
	{[]string{"(403)", "Forbidden", "aren't authorized", "not authorized", "do not have permission"}, resolver.AccessDenied, 403, func(at reference) (string, string) {
		return fmt.Sprintf("the account may not do this in the vault %q", at.vault), "give it read_items on that vault (write_items to write): op vault user list " + shellQuote(at.vault)
	}},
	{[]string{"More than one item matches", "more than one item"}, resolver.InvalidReference, 0, func(at reference) (string, string) {
		return fmt.Sprintf("more than one item is named %q", at.item), "give the item's id: op item list --vault " + shellQuote(at.vault)
	}},
	{[]string{"More than one vault matches", "more than one vault"}, resolver.InvalidReference, 0, func(at reference) (string, string) {
		return fmt.Sprintf("more than one vault is named %q", at.vault), "give the vault's id: op vault list"
	}},
	{[]string{"more than one field", "multiple fields", "more than one matching field"}, resolver.InvalidReference, 0, func(at reference) (string, string) {
		return fmt.Sprintf("the item %q has more than one field %q", at.item, at.field), "name the section too, op://vault/item/section/field, or give the field's id"
	}},
	{[]string{"does not have a field", "isn't a field", "could not find field", "does not have a section", "isn't a section"}, resolver.FieldMissing, 0, func(at reference) (string, string) {
		return fmt.Sprintf("the item %q has no field %q", at.item, at.field), "see its fields: op item get " + shellQuote(at.item) + " --vault " + shellQuote(at.vault)
	}},
	{[]string{"isn't an item", "could not find item"}, resolver.NotFound, 0, func(at reference) (string, string) {
		return fmt.Sprintf("there is no item %q in the vault %q", at.item, at.vault), "check the name, or give its id: op item list --vault " + shellQuote(at.vault)
	}},
	{[]string{"invalid secret reference", "secret references should match", "invalid character in secret reference", "invalid attribute"}, resolver.InvalidReference, 0, func(at reference) (string, string) {
		return "op does not understand the reference", "a name with other characters than letters, digits, spaces and -_. is given by its id"
	}},
	{[]string{"no such host", "connection refused", "network is unreachable", "connection reset", "no route to host", "i/o timeout", "deadline exceeded",
		"TLS handshake", "x509:", "proxyconnect"}, resolver.Unavailable, 0, func(reference) (string, string) {
		return "op cannot reach 1Password", "check the network and the proxy variables (HTTPS_PROXY, NO_PROXY): op vault list"
	}},
	{[]string{"unknown flag", "unknown command", "unknown shorthand flag"}, resolver.Unavailable, 0, func(reference) (string, string) {
		return "this op is too old or of another kind", "update the 1Password CLI to 2.23 or newer: op --version"
	}},
}

// explain makes an error of this module from what op wrote to its standard error.
func explain(complaint string, code int, at reference) error {
	for _, p := range phrases {
		if slices.ContainsFunc(p.says, func(s string) bool { return strings.Contains(complaint, s) }) {
			e := &resolver.Error{Kind: p.kind, Status: p.status}
			e.Message, e.Advice = p.told(at)
			if p.says[0] == "isn't an item" {
				e.Err = errNoItem
			}
			return e
		}
	}
	e := &resolver.Error{Kind: resolver.Unavailable, Message: fmt.Sprintf("op ended with exit code %d", code), Advice: "see what it says: op vault list"}
	if code < 0 {
		e.Message = "op was ended by a signal"
	}
	if at.vault != "" {
		e.Advice = "see what it says: op read " + shellQuote(at.String()) + " >/dev/null"
	}
	return e
}
