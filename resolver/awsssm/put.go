package awsssm

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"kz/resolver"
	"kz/resolver/awsauth"
)

// Put makes a SecureString, or stores a new version of the one there is, under
// the same KMS key. A field is changed in the object that is there; the service
// has no way to refuse that when someone else writes at the same moment.
func (s *Store) Put(ctx context.Context, ref resolver.Ref, value resolver.Secret) error {
	if err := validate(ref); err != nil {
		return err
	}
	bare, selector := split(ref.ID)
	if ref.Version != 0 || selector != "" {
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "an older version of a parameter cannot be changed",
			Advice: "leave the version out to write a new one"}
	}
	text := value.Reveal()
	if ref.Field != "" {
		old, err := s.fetch(ctx, resolver.Ref{ID: ref.ID})
		if err != nil && resolver.KindOf(err) != resolver.NotFound {
			return err
		}
		if text, err = resolver.SetField(old.Secret.Reveal(), ref.Field, text); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.login.Timeout())
	defer cancel()
	api, region, err := s.clients.In(ctx, awsauth.Region(ref.ID, service))
	if err != nil {
		return err
	}
	in := &ssm.PutParameterInput{Name: aws.String(name(bare)), Value: &text, Type: types.ParameterTypeSecureString}
	_, err = api.PutParameter(ctx, in)
	var there *types.ParameterAlreadyExists
	if errors.As(err, &there) {
		if err = s.likeBefore(ctx, api, in); err != nil {
			return s.explain(ctx, err, ref, region, describing)
		}
		_, err = api.PutParameter(ctx, in)
	}
	if err != nil {
		return s.explain(ctx, err, ref, region, writing)
	}
	return nil
}

// likeBefore lets a write go over the parameter that is there, with the key and
// the tier that it has: what a write does not say is the account's default, and
// a value would come from a key of its own under one that all may use.
func (s *Store) likeBefore(ctx context.Context, api *ssm.Client, in *ssm.PutParameterInput) error {
	in.Overwrite = aws.Bool(true)
	pages := ssm.NewDescribeParametersPaginator(api, &ssm.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{
		{Key: aws.String("Name"), Option: aws.String("Equals"), Values: []string{*in.Name}},
	}})
	for pages.HasMorePages() { // the ones before may be empty; ctx bounds them
		out, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, p := range out.Parameters {
			if aws.ToString(p.Name) != *in.Name {
				continue
			}
			if p.Type == types.ParameterTypeSecureString {
				in.KeyId = p.KeyId
			}
			if p.Tier == types.ParameterTierAdvanced {
				in.Tier = p.Tier
			}
			return nil
		}
	}
	return &resolver.Error{Kind: resolver.Unavailable, Message: "the parameter is there, and its key cannot be found out", Advice: "try again"}
}
