package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"kz/resolver"
)

// explain makes an error of this module from what a request ended with. When
// Vault refuses what was asked, it returns the answer too: what that means
// depends on the request.
func explain(ctx context.Context, o *Options, err error) (*resolver.Error, *answerError) {
	if ctx.Err() != nil {
		return resolver.Transport(ctx.Err()), nil
	}
	var typed *resolver.Error
	if errors.As(err, &typed) {
		return typed, nil
	}
	var answer *answerError
	if !errors.As(err, &answer) {
		e := resolver.Transport(err)
		if strings.Contains(e.Message, "unknown authority") {
			e.Advice = `name the file of that authority in the backend: ca_cert = "corp-ca.pem"`
		} else if e.Kind == resolver.Unavailable {
			e.Advice = "check that Vault runs there: vault status -address=" + o.shown()
		}
		return e, nil
	}
	e := &resolver.Error{Status: answer.status}
	switch {
	case answer.status == http.StatusTooManyRequests:
		e.Kind, e.Advice = resolver.Throttled, "wait a little and try again; a longer `ttl` asks less often"
	case answer.status == 472, answer.status == 473, answer.status == http.StatusPreconditionFailed, answer.status >= 500:
		e.Kind, e.Advice = resolver.Unavailable, "see its state: vault status -address="+o.shown()
		switch {
		case says(answer.body, "Vault is sealed"):
			e.Code, e.Message = "sealed", "Vault is sealed"
			e.Advice = "unseal it (vault operator unseal), or ask who runs it; " + e.Advice
		case answer.status == 472, answer.status == 473, says(answer.body, "local node not active"):
			e.Code, e.Message = "standby", "this node of Vault is on standby, and no active one answers for it"
			e.Advice = "give the address of the active node, or of the cluster; " + e.Advice
		}
	case answer.downgrade:
		e.Kind, e.Message = resolver.Unavailable, "Vault sends elsewhere, and not over https: the token is not sent there"
		e.Advice = "set the api_addr of Vault's nodes to https, or give the address of the active one"
	case answer.status >= 300 && answer.status < 400:
		e.Kind, e.Message = resolver.Unavailable, "Vault sends elsewhere, more than once"
		e.Advice = "give the address of the active node, or of the cluster"
	default:
		e.Kind = resolver.InvalidReference
		return e, answer
	}
	return e, nil
}

// explain is the function explain for a call with the session's token.
func (s *Store) explain(ctx context.Context, err error, c call) *resolver.Error {
	e, refused := explain(ctx, &s.opt, err)
	if refused == nil {
		return e
	}
	does, capabilities := "read", `["read"]`
	if c.method == http.MethodPost {
		does, capabilities = "write", `["create", "update"]`
	}
	path := strings.TrimPrefix(c.path, "sys/internal/ui/mounts/")
	switch {
	case refused.status == http.StatusNotFound:
		s.explainNotFound(e, refused.body, path, c.query.Get("version"))
	case dead(err):
		e.Kind, e.Message = resolver.AccessDenied, "the token has expired or was revoked"
		e.Advice = "log in again: vault login, or a new token in VAULT_TOKEN or the backend's `token`"
	case refused.status == http.StatusForbidden, refused.status == http.StatusUnauthorized:
		e.Kind, e.Message = resolver.AccessDenied, fmt.Sprintf("the token is not valid, or may not %s %q", does, path)
		e.Advice = fmt.Sprintf("its policy needs path %q { capabilities = %s }; see what it has: vault token capabilities %s", path, capabilities, shellQuote(path))
	case says(refused.body, "check-and-set parameter"):
		e.Kind, e.Err = resolver.Unavailable, errOvertaken
	default:
		e.Message = fmt.Sprintf("Vault refuses to %s %q", does, path)
		e.Advice = "check the path: vault read " + shellQuote(path)
	}
	return e
}

func (s *Store) explainNotFound(e *resolver.Error, body []byte, path, version string) {
	e.Kind = resolver.NotFound
	e.Message = fmt.Sprintf("there is no secret at %q", path)
	e.Advice = "check the path, the mount and the namespace: vault read " + shellQuote(path)
	switch {
	case says(body, "no handler for route"):
		e.Message = fmt.Sprintf("nothing is mounted where %q leads", path)
		e.Advice = "check the mount and the namespace: vault secrets list"
	case version != "":
		e.Message = fmt.Sprintf("there is no secret at %q, or no version %s of it", path, version)
		e.Advice = "see what is there: vault read " + shellQuote(strings.Replace(path, "/data/", "/metadata/", 1))
	}
	var gone struct {
		Data struct {
			Metadata struct {
				Deletion  string `json:"deletion_time"`
				Destroyed bool
				Version   int
			}
		}
	}
	if json.Unmarshal(body, &gone) != nil || gone.Data.Metadata.Version == 0 {
		return
	}
	e.Err = goneError(gone.Data.Metadata.Version)
	switch m := gone.Data.Metadata; {
	case m.Destroyed:
		e.Message = fmt.Sprintf("version %d of the secret at %q is destroyed", m.Version, path)
		e.Advice = "write a new version, or name another with `version`"
	case m.Deletion != "":
		e.Message = fmt.Sprintf("version %d of the secret at %q is deleted", m.Version, path)
		e.Advice = fmt.Sprintf("bring it back (vault kv undelete -versions=%d …), write a new one, or name another with `version`", m.Version)
	}
}

// says looks for one of Vault's fixed phrases in an error answer.
func says(body []byte, phrase string) bool {
	var answer struct{ Errors []string }
	if json.Unmarshal(body, &answer) != nil {
		return false
	}
	for _, text := range answer.Errors {
		if strings.Contains(text, phrase) {
			return true
		}
	}
	return false
}

// shown is the address as a message has it.
func (o *Options) shown() string {
	u, err := parseAddress(o.address())
	if err != nil {
		return "…"
	}
	return shellQuote(hostOf(u))
}

// shellQuote makes a path safe to paste into a shell.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./,:@+=", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
