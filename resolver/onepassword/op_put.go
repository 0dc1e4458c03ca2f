package onepassword

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"kz/resolver"
)

// put changes an item by a JSON template on op's standard input, where no other program can see it.
// https://developer.1password.com/docs/cli/reference/management-commands/item#edit-an-item-using-a-template
func (s *Store) put(ctx context.Context, at reference, member string, value resolver.Secret) error {
	var found item
	raw, err := s.call(ctx, at, nil, "item", "get", at.item, "--vault", at.vault, "--format", "json")
	switch {
	case errors.Is(err, errNoItem):
		return s.create(ctx, at, member, value)
	case err != nil:
		return err
	case json.Unmarshal(raw, &found) != nil || found.ID == "":
		return notAnItem()
	}
	if err := editable(&found); err != nil {
		return err
	}
	index, err := found.findField(at)
	if err != nil {
		return err
	}
	text, err := changed(&found, index, member, value)
	if err != nil {
		return err
	}
	template, err := withField(raw, at, index, text, nil)
	if err != nil {
		return err
	}
	_, err = s.call(ctx, at, template, "item", "edit", found.ID, "--vault", at.vault, "--format", "json")
	return err
}

func (s *Store) create(ctx context.Context, at reference, member string, value resolver.Secret) error {
	text, err := changed(nil, -1, member, value)
	if err != nil {
		return err
	}
	template, err := newItem(at, text)
	if err != nil {
		return err
	}
	_, err = s.call(ctx, at, template, "item", "create", "-", "--vault", at.vault, "--format", "json")
	return err
}

// call is run with a time limit of its own.
func (s *Store) call(ctx context.Context, at reference, stdin []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	return s.run(ctx, at, stdin, args...)
}

// changed is the new text of a field: the value, or the JSON object that is there with one member changed.
func changed(i *item, index int, member string, value resolver.Secret) (string, error) {
	if member == "" {
		return value.Reveal(), nil
	}
	old := ""
	if index >= 0 {
		old = i.Fields[index].Value
	}
	return resolver.SetField(old, member, value.Reveal())
}

// editable refuses items of which a template would destroy something: passkeys stand in no template and are lost, as
// op's reference says, and only logins have them; a value that op conceals would be replaced by its placeholder.
func editable(i *item) error {
	if i.Category == "LOGIN" {
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "a login is not written to: op would lose its passkey, if it has one",
			Advice: "keep the value in an item of its own, of the category API Credential, or change it in 1Password"}
	}
	for _, f := range i.Fields {
		if strings.HasPrefix(f.Value, "[use 'op item get") {
			return &resolver.Error{Kind: resolver.Unavailable, Message: "op conceals the item's values, which writing would lose", Advice: "update the 1Password CLI: op --version"}
		}
	}
	return nil
}
