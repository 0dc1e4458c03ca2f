package onepassword

import (
	"net/url"
	"strings"

	"kz/resolver"
)

// reference is a parsed op:// reference.
type reference struct {
	vault, item, section, field string

	query string // what follows the ?
}

// https://developer.1password.com/docs/cli/secret-reference-syntax
func parse(id string) (reference, error) {
	invalid := func(message, advice string) (reference, error) {
		return reference{}, &resolver.Error{Kind: resolver.InvalidReference, Message: message, Advice: advice}
	}
	const form = "write op://vault/item/field or op://vault/item/section/field; a name with a slash in it is given by its id"
	path, query, _ := strings.Cut(strings.TrimPrefix(id, "op://"), "?")
	parts := strings.Split(path, "/")
	if len(parts) != 3 && len(parts) != 4 {
		return invalid("the reference does not name a vault, an item and a field", form)
	}
	for _, p := range parts {
		if strings.TrimSpace(p) == "" || hasControl(p) {
			return invalid("a part of the reference is empty, or has control bytes in it", form)
		}
	}
	at := reference{vault: parts[0], item: parts[1], field: parts[len(parts)-1], query: query}
	if len(parts) == 4 {
		at.section = parts[2]
	}
	if strings.HasPrefix(at.vault, "-") || strings.HasPrefix(at.item, "-") {
		return invalid("a name that begins with - would be an option of op", "give the vault or the item by its id")
	}
	values, err := url.ParseQuery(query)
	if err != nil || hasControl(query) {
		return invalid("what follows the ? is not an attribute", "as in op://vault/item/one-time password?attribute=otp")
	}
	for name := range values {
		if name != "attribute" && name != "ssh-format" {
			return invalid("what follows the ? is not an attribute", "as in op://vault/item/one-time password?attribute=otp")
		}
	}
	return at, nil
}

// String is the reference as op reads it.
func (r reference) String() string {
	s := "op://" + r.vault + "/" + r.item + "/"
	if r.section != "" {
		s += r.section + "/"
	}
	s += r.field
	if r.query != "" {
		s += "?" + r.query
	}
	return s
}

// attribute is what the reference asks of its field; "" is its value.
func (r reference) attribute() string {
	values, _ := url.ParseQuery(r.query)
	return values.Get("attribute")
}

func (r reference) otp() bool { return r.attribute() == "otp" || r.attribute() == "totp" }

// isID: 1Password's ids are 26 lower-case letters and digits.
func isID(s string) bool {
	return len(s) == 26 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// shellQuote makes a text safe to paste into a shell.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./,:@+=", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
