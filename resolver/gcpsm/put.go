package gcpsm

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"kz/resolver"
)

// maxPayload is Secret Manager's limit for one value.
// https://cloud.google.com/secret-manager/quotas
const maxPayload = 64 << 10

// Put adds a version, and makes the secret if there is none: replicated automatically, or kept in the location that the
// reference names.
func (s *Store) Put(ctx context.Context, ref resolver.Ref, value resolver.Secret) error {
	n, err := parseName(ref)
	if err != nil {
		return err
	}
	if n.version != latest {
		return invalid(fmt.Sprintf("version %s cannot be changed", n.version), "name the secret without a version: a new one is added")
	}
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	if n, err = s.complete(ctx, n); err != nil {
		return err
	}
	text := value.Reveal()
	if ref.Field != "" {
		old, err := s.access(ctx, n)
		if err != nil && !isMissing(err) {
			return err
		}
		if text, err = resolver.SetField(old, ref.Field, text); err != nil {
			return err
		}
	}
	if len(text) > maxPayload {
		return invalid("the value is longer than 64 KiB, the most that Secret Manager keeps", "store it in parts, or elsewhere")
	}
	err = s.add(ctx, n, text)
	if !isMissing(err) {
		return err
	}
	if err := s.create(ctx, n); err != nil {
		return err
	}
	return s.add(ctx, n, text)
}

// isMissing tells that the secret is not there, or has no version; a version that is disabled is there.
func isMissing(err error) bool {
	var e *resolver.Error
	return errors.As(err, &e) && e.Kind == resolver.NotFound && e.Code == "NotFound"
}

// add is AddSecretVersion. It is not made again when it is not known whether it was carried out.
func (s *Store) add(ctx context.Context, n name, text string) error {
	type payload struct {
		Data string `json:"data"`
		CRC  string `json:"dataCrc32c"`
	}
	body := map[string]payload{"payload": {base64.StdEncoding.EncodeToString([]byte(text)), checksum([]byte(text))}}
	return s.do(ctx, call{method: http.MethodPost, path: n.secretPath() + ":addVersion", name: n, body: body}, &struct{}{})
}

// create is CreateSecret. That another was faster is no failure.
func (s *Store) create(ctx context.Context, n name) error {
	body := map[string]any{"replication": map[string]any{"automatic": struct{}{}}}
	if n.location != "" {
		body = map[string]any{} // a regional secret is where it is
	}
	err := s.do(ctx, call{method: http.MethodPost, path: n.parent() + "/secrets?secretId=" + n.secret, name: n, body: body}, &struct{}{})
	var e *resolver.Error
	if errors.As(err, &e) && e.Code == "AlreadyExists" {
		return nil
	}
	return err
}
