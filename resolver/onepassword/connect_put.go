package onepassword

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"kz/resolver"
)

// put changes one field of an item in place, replaces the item when the field is new to it, and makes an item that is
// not there.
func (c *server) put(ctx context.Context, at reference, member string, value resolver.Secret) error {
	i, raw, err := c.find(ctx, at)
	if errors.Is(err, errNoItem) {
		return c.create(ctx, at, member, value)
	}
	if err != nil {
		return err
	}
	index, err := i.findField(at)
	if err != nil {
		return err
	}
	text, err := changed(i, index, member, value)
	if err != nil {
		return err
	}
	if index >= 0 {
		// Connect's patches name a field by its id: https://developer.1password.com/docs/connect/api-reference
		patch, err := json.Marshal([]map[string]string{{"op": "replace", "path": "/fields/" + i.Fields[index].ID + "/value", "value": text}})
		if err != nil {
			return err
		}
		return c.send(ctx, http.MethodPatch, itemPath(i.Vault.ID, i.ID), patch, at)
	}
	whole, err := withField(raw, at, -1, text, nil)
	if err != nil {
		return err
	}
	return c.send(ctx, http.MethodPut, itemPath(i.Vault.ID, i.ID), whole, at)
}

func (c *server) create(ctx context.Context, at reference, member string, value resolver.Secret) error {
	text, err := changed(nil, -1, member, value)
	if err != nil {
		return err
	}
	lookup, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	v, err := c.vaultID(lookup, at)
	if err != nil {
		return err
	}
	template, err := newItem(at, text)
	if err != nil {
		return err
	}
	if template, err = with(template, "vault", map[string]string{"id": v}); err != nil {
		return err
	}
	return c.send(ctx, http.MethodPost, "/v1/vaults/"+url.PathEscape(v)+"/items", template, at)
}

func (c *server) find(ctx context.Context, at reference) (*item, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	return c.item(ctx, at)
}

func (c *server) send(ctx context.Context, method, path string, body []byte, at reference) error {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	_, err := c.call(ctx, method, path, nil, body, target{what: "item", at: at, write: true})
	return err
}

// with adds a member to a JSON object.
func with(raw []byte, name string, value any) ([]byte, error) {
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, notAnItem()
	}
	m[name] = value
	return json.Marshal(m)
}
