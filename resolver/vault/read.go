package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/hashicorp/vault/api"

	"kz/resolver"
)

// object is what stands at a path.
type object struct {
	data    json.RawMessage
	leaseID string
	lease   time.Duration
}

// read reads an API path; v2 says that the object is one level down.
func (s *Store) read(ctx context.Context, path string, version int, v2 bool) (*object, error) {
	query := url.Values{}
	if version > 0 && v2 {
		query.Set("version", strconv.Itoa(version))
	}
	body, err := s.get(ctx, path, query)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data     json.RawMessage
		LeaseID  string `json:"lease_id"`
		Duration int64  `json:"lease_duration"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return nil, notVault()
	}
	if v2 {
		var inner struct {
			Data     json.RawMessage
			Metadata json.RawMessage
		}
		if json.Unmarshal(answer.Data, &inner) == nil && inner.Data != nil && inner.Metadata != nil {
			answer.Data = inner.Data
		}
	}
	if len(answer.Data) == 0 || bytes.Equal(answer.Data, []byte("null")) {
		return nil, &resolver.Error{Kind: resolver.NotFound, Message: fmt.Sprintf("there is no data at %q", path), Advice: "check the path: vault read " + shellQuote(path)}
	}
	return &object{data: answer.Data, leaseID: answer.LeaseID, lease: time.Duration(answer.Duration) * time.Second}, nil
}

func (s *Store) getInto(ctx context.Context, path string, answer any) error {
	body, err := s.get(ctx, path, nil)
	if err != nil {
		return err
	}
	if json.Unmarshal(body, answer) != nil {
		return notVault()
	}
	return nil
}

func notVault() *resolver.Error {
	return &resolver.Error{Kind: resolver.Unavailable, Message: "the answer is not one of Vault", Advice: "check the address, and any proxy in between"}
}

// get makes one request. When Vault refuses the token, it logs in once more,
// and tries again if that brought another token.
func (s *Store) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	for attempt := 0; ; attempt++ {
		client, token, err := s.session.open(ctx)
		if err != nil {
			return nil, err
		}
		body, err := request(ctx, client, path, query)
		if err == nil {
			s.session.accepted()
			return body, nil
		}
		e := s.explain(ctx, err, path)
		if e.Kind == resolver.AccessDenied && attempt == 0 && s.session.again(ctx, token) {
			continue
		}
		return nil, e
	}
}

// answerError is an answer that is an error, with as much of its body as the
// store needs to tell one cause from another. It is never shown.
type answerError struct {
	status int
	body   []byte
}

func (*answerError) Error() string { return "vault: an error answer" }

func request(ctx context.Context, c *api.Client, path string, query url.Values) ([]byte, error) {
	resp, err := c.Logical().ReadRawWithDataWithContext(ctx, path, query)
	if resp == nil || resp.Response == nil {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	defer resp.Body.Close()
	var refused *api.ResponseError
	if err != nil && !errors.As(err, &refused) {
		return nil, err
	}
	body, readErr := io.ReadAll(resp.Body)
	if refused != nil || resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, &answerError{resp.StatusCode, body}
	}
	return body, readErr
}
