package vault

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/hashicorp/vault/api"

	"kz/resolver"
)

// call is one request of the API.
type call struct {
	method string // "": GET
	path   string // behind /v1/
	query  url.Values
	body   any             // nil: none
	token  resolver.Secret // zero: none is sent
	asking bool            // a refusal is an answer too: it does not put the token in doubt, unless Vault says that it is dead
}

// answerError is an answer that is an error, with as much of its body as the
// store needs to tell one cause from another. It is never shown.
type answerError struct {
	status    int
	body      []byte
	downgrade bool // it leads from https to http, where no token is sent
}

func (*answerError) Error() string { return "vault: an error answer" }

// call makes a request with the session's token and returns the answer with the
// token that it was made with. When Vault refuses the token, it logs in once
// more, and tries again if that brought another token.
func (s *Store) call(ctx context.Context, c call) ([]byte, resolver.Secret, error) {
	for attempt := 0; ; attempt++ {
		client, token, err := s.session.open(ctx)
		if err != nil {
			return nil, resolver.Secret{}, err
		}
		c.token = token
		body, err := send(ctx, client, c)
		if err == nil {
			s.session.accepted()
			return body, token, nil
		}
		e := s.explain(ctx, err, c)
		switch {
		case e.Kind != resolver.AccessDenied, c.asking && !dead(err):
			return nil, token, e
		case attempt > 0:
			s.session.unhelped()
			return nil, token, e
		}
		again, err := s.session.again(ctx, token)
		if err != nil {
			return nil, token, err
		}
		if !again {
			return nil, token, e
		}
	}
}

// send makes one request. Its error is an *answerError, or of the network.
func send(ctx context.Context, client *api.Client, c call) (_ []byte, err error) {
	defer func() {
		if recover() != nil { // its text may hold anything
			err = broken()
		}
	}()
	method := c.method
	if method == "" {
		method = http.MethodGet
	}
	r := client.NewRequest(method, "/v1/"+c.path)
	r.ClientToken = c.token.Reveal()
	if c.query != nil {
		r.Params = c.query
	}
	if c.body != nil {
		if err := r.SetJSONBody(c.body); err != nil {
			return nil, err
		}
	}
	resp, err := client.RawRequestWithContext(ctx, r) //nolint:staticcheck // no other call takes a token of its own, or leaves one out
	if resp == nil || resp.Response == nil {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	defer resp.Body.Close()
	var refused *api.ResponseError
	redirects := resp.StatusCode >= 300 && resp.StatusCode < 400
	if err != nil && !errors.As(err, &refused) && !redirects {
		return nil, err
	}
	body, readErr := io.ReadAll(resp.Body)
	if refused != nil || resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, &answerError{resp.StatusCode, body, redirects && err != nil}
	}
	return body, readErr
}

// callInto is call for an answer in JSON.
func (s *Store) callInto(ctx context.Context, c call, answer any) error {
	body, _, err := s.call(ctx, c)
	if err != nil {
		return err
	}
	if json.Unmarshal(body, answer) != nil {
		return notVault()
	}
	return nil
}

// dead tells whether Vault said that the token itself is not valid, as it does
// since version 1.15.
func dead(err error) bool {
	var answer *answerError
	return errors.As(err, &answer) && answer.status == http.StatusForbidden && says(answer.body, "invalid token")
}

// sendInto is send for an answer in JSON.
func sendInto(ctx context.Context, client *api.Client, c call, answer any) error {
	body, err := send(ctx, client, c)
	if err != nil {
		return err
	}
	if json.Unmarshal(body, answer) != nil {
		return notVault()
	}
	return nil
}

// broken is of a panic, whose own text is not shown.
func broken() *resolver.Error {
	return &resolver.Error{Kind: resolver.Unavailable, Message: "what speaks to Vault broke off", Advice: "this is a defect of kz; please report what the backend's settings are"}
}

func notVault() *resolver.Error {
	return &resolver.Error{Kind: resolver.Unavailable, Message: "the answer is not one of Vault", Advice: "check the address, and any proxy in between"}
}
