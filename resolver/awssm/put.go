package awssm

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"kz/resolver"
)

// maxValue is the longest value the service keeps, in bytes.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const maxValue = 65536

// Put stores a new current version of a secret, and makes the secret when there
// is none. A field is changed in the object that is there; the service has no
// way to refuse that when someone else writes at the same moment.
func (s *Store) Put(ctx context.Context, ref resolver.Ref, value resolver.Secret) error {
	if err := validate(ref); err != nil {
		return err
	}
	if ref.VersionID != "" || ref.VersionStage != "" && ref.VersionStage != "AWSCURRENT" {
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "an older version of a secret cannot be changed",
			Advice: "leave version_id and version_stage out to write a new current version"}
	}
	ctx, cancel := context.WithTimeout(ctx, s.login.Timeout())
	defer cancel()
	api, region, err := s.clients.In(ctx, arnRegion(ref.ID))
	if err != nil {
		return err
	}
	text := value.Reveal()
	if ref.Field != "" {
		if text, err = s.withField(ctx, ref, text); err != nil {
			return err
		}
	}
	if text == "" || len(text) > maxValue {
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "Secrets Manager takes values of 1 to 65536 bytes",
			Advice: "store what is longer elsewhere, and a reference to it here"}
	}
	_, err = api.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &ref.ID, SecretString: &text})
	if err == nil {
		return nil
	}
	if !isCode(err, "ResourceNotFoundException") || isARN(ref.ID) {
		return s.explain(ctx, err, ref, region, writing)
	}
	if _, err = api.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &ref.ID, SecretString: &text}); err != nil {
		return s.explain(ctx, err, ref, region, making)
	}
	return nil
}

// withField is the stored object with one field changed.
func (s *Store) withField(ctx context.Context, ref resolver.Ref, value string) (string, error) {
	old, err := s.fetch(ctx, resolver.Ref{ID: ref.ID})
	if err != nil && (resolver.KindOf(err) != resolver.NotFound || isARN(ref.ID) || isDeleted(err)) {
		return "", err
	}
	return resolver.SetField(old.Secret.Reveal(), ref.Field, value)
}
