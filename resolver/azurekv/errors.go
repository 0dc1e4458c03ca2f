package azurekv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"kz/resolver"
)

// operation is what a call is for.
type operation int

const (
	reading operation = iota
	writing
	listing
)

// plain are the characters of names and versions. They are checked by hand: compiling expressions of these lengths would
// take its time in every run.
// https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers
const plain = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func isName(s string) bool    { return strings.Trim(s, plain+"-") == "" }
func isVersion(s string) bool { return len(s) <= 64 && strings.Trim(s, plain) == "" }

// suggest is what a name could be called in Key Vault.
func suggest(name string) string {
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool { return !strings.ContainsRune(plain, r) }), "-")
}

func (s *Store) validate(ref resolver.Ref) error {
	switch {
	case ref.ID == "":
		return invalid("no secret is named", `write secret_id = "NAME", the secret's name in the vault`)
	case len(ref.ID) > 127:
		return invalid("the name is longer than 127 characters", "see what is there: "+s.list())
	case !isName(ref.ID):
		return invalid(fmt.Sprintf("%q cannot be a name in Key Vault", ref.ID),
			fmt.Sprintf(`names there have letters, digits and "-" only: perhaps %q (for kind, write secret_name_template = "{orgId}-{kind}" in the backend)`, suggest(ref.ID)))
	case ref.VersionID != "" && !isVersion(ref.VersionID):
		return invalid("version_id has other characters than letters and digits", "see the versions: "+s.az("list-versions", ref.ID))
	case ref.Version > 0:
		return invalid("Key Vault has no numbered versions", "name one with `version_id`: "+s.az("list-versions", ref.ID))
	}
	return nil
}

func invalid(message, advice string) *resolver.Error {
	return &resolver.Error{Kind: resolver.InvalidReference, Message: message, Advice: advice}
}

// vault is the vault's name, the first label of its host.
func (s *Store) vault() string {
	u, err := url.Parse(s.opt.VaultURL)
	if err != nil {
		return "…"
	}
	name, _, _ := strings.Cut(u.Hostname(), ".")
	return shellQuote(name)
}

func (s *Store) list() string { return "az keyvault secret list --vault-name " + s.vault() }

func (s *Store) az(verb, secret string) string {
	return "az keyvault secret " + verb + " --vault-name " + s.vault() + " --name " + shellQuote(secret)
}

// codes are the errors of Key Vault that say what happened; others are judged by their status. The inner ones come with
// "Forbidden" and "Conflict".
// https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
var codes = map[string]resolver.Kind{
	"SecretNotFound": resolver.NotFound, "NotFound": resolver.NotFound, "VaultNotFound": resolver.NotFound,
	"SecretDisabled": resolver.NotFound, "SecretNotYetValid": resolver.NotFound, "SecretExpired": resolver.NotFound,
	"Forbidden": resolver.AccessDenied, "AccessDenied": resolver.AccessDenied, "Unauthorized": resolver.AccessDenied,
	"ForbiddenByPolicy": resolver.AccessDenied, "ForbiddenByRbac": resolver.AccessDenied,
	"ForbiddenByFirewall": resolver.AccessDenied, "ForbiddenByConnection": resolver.AccessDenied,
	"Throttled": resolver.Throttled, "RequestThrottled": resolver.Throttled, "TooManyRequests": resolver.Throttled,
	"BadParameter": resolver.InvalidReference, "BadRequest": resolver.InvalidReference, "VersionNotSupported": resolver.InvalidReference,
	"ObjectIsDeletedButRecoverable": resolver.InvalidReference, "ObjectIsBeingDeleted": resolver.InvalidReference, "ObjectIsBeingRecovered": resolver.Unavailable,
	"Conflict": resolver.InvalidReference, "InternalServerError": resolver.Unavailable, "ServiceUnavailable": resolver.Unavailable,
}

// mayNotList is what Check does not count as a failure.
const mayNotList = "the credentials may not list the secrets"

func notKeyVault(status int) *resolver.Error {
	return &resolver.Error{Kind: resolver.Unavailable, Status: status, Message: "the answer is not one of Key Vault",
		Advice: "try again; check vault_url, and any proxy in between"}
}

// explain makes an error of this module from what a call ended with.
func (s *Store) explain(ctx context.Context, err error, what operation, ref resolver.Ref) error {
	if ctx.Err() != nil {
		return resolver.Transport(ctx.Err())
	}
	var (
		own     *resolver.Error
		refused *azcore.ResponseError
		network *url.Error
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &refused):
		return s.explainAnswer(refused, what, ref)
	case errors.As(err, &network):
		return resolver.Transport(err)
	}
	return notKeyVault(0)
}

func (s *Store) explainAnswer(refused *azcore.ResponseError, what operation, ref resolver.Ref) *resolver.Error {
	e := &resolver.Error{Status: refused.StatusCode, Code: code(refused)}
	e.Kind = codes[e.Code]
	if e.Kind == "" {
		e = notKeyVault(refused.StatusCode)
		switch refused.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			e.Kind = resolver.AccessDenied
		case http.StatusTooManyRequests:
			e.Kind = resolver.Throttled
		}
		return e
	}
	switch e.Kind {
	case resolver.NotFound:
		s.explainNotFound(e, ref)
	case resolver.AccessDenied:
		s.explainDenied(e, what, ref)
	case resolver.Throttled:
		e.Advice = "wait a little and try again; a longer `ttl` asks less often"
	case resolver.InvalidReference:
		e.Message, e.Advice = "Key Vault refuses the reference", "check the name and version_id: "+s.list()
		if what == writing && strings.HasPrefix(e.Code, "Object") {
			e.Message = fmt.Sprintf("%q is deleted, and its name is still taken", ref.ID)
			e.Advice = fmt.Sprintf("bring it back (%s) or purge it, then try again", s.az("recover", ref.ID))
		}
	default:
		e.Advice = "try again; check any proxy in between"
	}
	return e
}

func (s *Store) explainNotFound(e *resolver.Error, ref resolver.Ref) {
	switch e.Code {
	case "SecretDisabled":
		e.Message, e.Advice = fmt.Sprintf("%q is disabled", ref.ID), "enable it: "+s.az("set-attributes", ref.ID)+" --enabled true"
	case "SecretNotYetValid", "SecretExpired":
		e.Message, e.Advice = fmt.Sprintf("%q is not valid at this time", ref.ID), "see its dates: "+s.az("show", ref.ID)+" --query attributes"
	default:
		e.Message = fmt.Sprintf("there is no secret %q in the vault %s", ref.ID, s.vault())
		e.Advice = "see what is there: " + s.list() + "; a deleted one: " + s.az("recover", ref.ID)
		if ref.VersionID != "" {
			e.Message += " with that version"
			e.Advice = "see the versions: " + s.az("list-versions", ref.ID)
		}
	}
}

func (s *Store) explainDenied(e *resolver.Error, what operation, ref resolver.Ref) {
	if e.Status == http.StatusUnauthorized {
		e.Message, e.Advice = "Key Vault does not accept the token", "check that the vault belongs to the login's tenant: az account show"
		return
	}
	if e.Code == "ForbiddenByFirewall" || e.Code == "ForbiddenByConnection" {
		e.Message = "the vault's firewall does not let this machine in"
		e.Advice = "allow its address, or use a private endpoint: az keyvault network-rule list --name " + s.vault()
		return
	}
	verb, permission, role := "read", "get", "Key Vault Secrets User"
	switch what {
	case writing:
		verb, permission, role = "write", "set", "Key Vault Secrets Officer"
	case listing:
		e.Message, e.Advice = mayNotList, `give them the role "Key Vault Reader", or name a secret that they may read`
		return
	}
	e.Message = fmt.Sprintf("the credentials may not %s %q", verb, ref.ID)
	e.Advice = fmt.Sprintf(`give them the role %q on the vault (az role assignment create), or, where it has access policies, the permission %s: az keyvault set-policy --name %s --secret-permissions %s --spn …`,
		role, permission, s.vault(), permission)
}

// code is Key Vault's code for a failure, the inner one where it is known; "" for what is not in the list.
func code(refused *azcore.ResponseError) string {
	if refused.RawResponse != nil {
		var answer struct {
			Error struct {
				Inner struct{ Code string } `json:"innererror"`
			}
		}
		body, err := runtime.Payload(refused.RawResponse)
		if err == nil && json.Unmarshal(body, &answer) == nil && codes[answer.Error.Inner.Code] != "" {
			return answer.Error.Inner.Code
		}
	}
	if codes[refused.ErrorCode] == "" {
		return ""
	}
	return refused.ErrorCode
}

// shellQuote makes a name safe to paste into a shell.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
