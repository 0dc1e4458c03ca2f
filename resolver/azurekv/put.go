package azurekv

import (
	"context"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"kz/resolver"
)

// maxValue is Key Vault's limit for one secret.
// https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
const maxValue = 25 << 10

// Put sets the secret, which adds a version and makes it if there is none. Where one field is changed, the content type
// and the tags stay.
func (s *Store) Put(ctx context.Context, ref resolver.Ref, value resolver.Secret) error {
	if err := s.validate(ref); err != nil {
		return err
	}
	if ref.VersionID != "" {
		return invalid("a version cannot be changed", "name the secret without version_id: a new version is added")
	}
	text := value.Reveal()
	var set azsecrets.SetSecretParameters
	if ref.Field != "" {
		old, err := s.get(ctx, ref)
		if err != nil && !isMissing(err) {
			return err
		}
		var was string
		if err == nil {
			set.ContentType, set.Tags = old.ContentType, old.Tags
			if old.Value != nil {
				was = *old.Value
			}
		}
		if text, err = resolver.SetField(was, ref.Field, text); err != nil {
			return err
		}
	}
	if len(text) > maxValue {
		return invalid("the value is longer than 25 KiB, the most that Key Vault keeps", "store it in parts, or elsewhere")
	}
	set.Value = &text
	_, err := call(ctx, s, writing, ref, func(ctx context.Context, c *azsecrets.Client) (azsecrets.SetSecretResponse, error) {
		return c.SetSecret(ctx, ref.ID, set, nil)
	})
	return err
}

// isMissing tells that the secret is not there; one that is disabled is there.
func isMissing(err error) bool {
	var e *resolver.Error
	return errors.As(err, &e) && (e.Code == "SecretNotFound" || e.Code == "NotFound")
}
