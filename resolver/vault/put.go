package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"kz/resolver"
)

// putAttempts is how often a change of one field is made anew because another
// writer came between the reading and the writing.
const putAttempts = 4

// Put writes to KV. With a Field, that one is changed and the others stay: in
// version 2 nobody's change is lost, since what is written is checked against
// the version that was read; version 1 has no such check. Without one, the whole
// object is written: an object as it is, any other value as {"value": …}.
func (s *Store) Put(ctx context.Context, ref resolver.Ref, value resolver.Secret) error {
	leave, err := s.leases.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if ref.Version > 0 {
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "the reference names a version, and what is written is a new one", Advice: "leave `version` out"}
	}
	path, _, err := s.place(ref)
	if err != nil {
		return err
	}
	m, known, err := s.mountOf(ctx, path)
	if err != nil {
		return err
	}
	switch {
	case !known:
		if err := s.Check(ctx); err != nil { // it may be the login that fails
			return err
		}
		return &resolver.Error{Kind: resolver.InvalidReference, Message: fmt.Sprintf("Vault does not say what is mounted where %q leads", path),
			Advice: "check the mount and the namespace (vault secrets list), and that the policy does not deny sys/internal/ui/mounts"}
	case m.kv == 0:
		return &resolver.Error{Kind: resolver.InvalidReference, Message: fmt.Sprintf("what is mounted at %q is no KV engine", m.path),
			Advice: "only KV is written to; values of other engines are made by Vault"}
	case m.kv == 2:
		path = withData(path, m.path)
	}
	for attempt := 1; ; attempt++ {
		err := s.put(ctx, path, m.kv == 2, ref.Field, value)
		if !errors.Is(err, errOvertaken) {
			return err
		}
		if attempt == putAttempts {
			return &resolver.Error{Kind: resolver.Unavailable, Message: fmt.Sprintf("others keep writing to %q at the same time", path), Advice: "try again"}
		}
	}
}

// errOvertaken is of a write that another one came before.
var errOvertaken = errors.New("vault: written by another")

// put reads what the change needs, and writes once.
func (s *Store) put(ctx context.Context, path string, v2 bool, field string, value resolver.Secret) error {
	if field == "" {
		object := asObject(value.Reveal())
		err := s.write(ctx, path, v2, object, nil)
		if !errors.Is(err, errOvertaken) {
			return err
		}
		// The engine takes no write without a check: it must name the version there is.
		_, version, err := s.stored(ctx, path, v2)
		if err != nil {
			return err
		}
		return s.write(ctx, path, v2, object, &version)
	}
	text, version, err := s.stored(ctx, path, v2)
	if err != nil {
		return err
	}
	if text, err = resolver.SetField(text, field, value.Reveal()); err != nil {
		return err
	}
	return s.write(ctx, path, v2, json.RawMessage(text), &version)
}

// asObject is a value as KV keeps it.
func asObject(value string) json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(value), &object) == nil && object != nil {
		return json.RawMessage(value)
	}
	text, _ := json.Marshal(map[string]string{"value": value}) // strings always encode
	return text
}

// stored is the object at a path and its version; "" when there is none, or when
// the last version is deleted.
func (s *Store) stored(ctx context.Context, path string, v2 bool) (text string, version int, err error) {
	o, err := s.read(ctx, path, 0, v2)
	var e *resolver.Error
	switch {
	case err == nil:
		return string(o.data), o.version, nil
	case errors.As(err, &e) && e.Kind == resolver.NotFound:
		var gone goneError
		if errors.As(e.Err, &gone) {
			version = int(gone)
		}
		return "", version, nil
	}
	return "", 0, err
}

// goneError is the version of KV v2 that is deleted or destroyed.
type goneError int

func (goneError) Error() string { return "vault: that version is gone" }

// write writes an object; version is what KV v2 checks it against, nil for no check.
func (s *Store) write(ctx context.Context, path string, v2 bool, object json.RawMessage, version *int) error {
	c := call{method: http.MethodPost, path: path, body: object}
	if v2 {
		body := map[string]any{"data": object}
		if version != nil {
			body["options"] = map[string]int{"cas": *version}
		}
		c.body = body
	}
	_, _, err := s.call(ctx, c)
	var e *resolver.Error
	if errors.As(err, &e) && errors.Is(e.Err, errOvertaken) {
		return errOvertaken
	}
	return err
}
