package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"kz/resolver"
)

// object is what stands at a path.
type object struct {
	data      json.RawMessage
	leaseID   string
	lease     time.Duration
	renewable bool
	token     resolver.Secret // that it was read with, to which a lease is bound
	version   int             // of KV v2
}

// read reads an API path; v2 says that the object is one level down.
func (s *Store) read(ctx context.Context, path string, version int, v2 bool) (*object, error) {
	query := url.Values{}
	if version > 0 && v2 {
		query.Set("version", strconv.Itoa(version))
	}
	body, token, err := s.call(ctx, call{path: path, query: query})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data      json.RawMessage
		LeaseID   string `json:"lease_id"`
		Duration  int64  `json:"lease_duration"`
		Renewable bool
	}
	if json.Unmarshal(body, &answer) != nil {
		return nil, notVault()
	}
	var kept int
	if v2 {
		var inner struct {
			Data     json.RawMessage
			Metadata *struct{ Version int }
		}
		if json.Unmarshal(answer.Data, &inner) == nil && inner.Data != nil && inner.Metadata != nil {
			answer.Data, kept = inner.Data, inner.Metadata.Version
		}
	}
	if len(answer.Data) == 0 || bytes.Equal(answer.Data, []byte("null")) {
		return nil, &resolver.Error{Kind: resolver.NotFound, Message: fmt.Sprintf("there is no data at %q", path), Advice: "check the path: vault read " + shellQuote(path)}
	}
	return &object{data: answer.Data, leaseID: answer.LeaseID, lease: seconds(answer.Duration),
		renewable: answer.Renewable, token: token, version: kept}, nil
}
