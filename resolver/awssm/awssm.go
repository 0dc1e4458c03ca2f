// Package awssm reads secrets from AWS Secrets Manager.
//
// A reference's ID is a secret's name or ARN; VersionStage and VersionID pick a
// version, AWSCURRENT being the default. The value is the SecretString, or the
// SecretBinary in base64; Field picks a member of a JSON value.
//
// Package awsauth logs in. Where it finds no region, an ARN's is used.
package awssm

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"kz/resolver"
	"kz/resolver/awsauth"
)

// service is its name in an ARN.
const service = "secretsmanager"

// Store is Secrets Manager in one account. It is safe for concurrent use.
type Store struct {
	login   *awsauth.Login
	clients *awsauth.Clients[*secretsmanager.Client]

	noBatch atomic.Bool // BatchGetSecretValue was denied
}

// New makes a Store. It does no I/O and loads no SDK configuration.
func New(o awsauth.Options) (*Store, error) {
	o.Service = "Secrets Manager"
	login, err := awsauth.New(o)
	if err != nil {
		return nil, fmt.Errorf("awssm: %w", err)
	}
	return &Store{login: login, clients: awsauth.NewClients(login, func(cfg aws.Config, endpoint *string) *secretsmanager.Client {
		return secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
			if endpoint != nil {
				o.BaseEndpoint = endpoint
			}
		})
	})}, nil
}

// Resolve fetches one value.
func (s *Store) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	r, err := s.fetch(ctx, ref)
	if err != nil {
		return resolver.Result{}, err
	}
	return resolver.PickField(r, ref.Field, resolver.Field)
}

// fetch gets the whole value of a secret.
func (s *Store) fetch(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	if err := validate(ref); err != nil {
		return resolver.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.login.Timeout())
	defer cancel()
	api, region, err := s.clients.In(ctx, arnRegion(ref.ID))
	if err != nil {
		return resolver.Result{}, err
	}
	in := &secretsmanager.GetSecretValueInput{SecretId: &ref.ID}
	if ref.VersionStage != "" {
		in.VersionStage = &ref.VersionStage
	}
	if ref.VersionID != "" {
		in.VersionId = &ref.VersionID
	}
	out, err := api.GetSecretValue(ctx, in)
	if err != nil {
		return resolver.Result{}, s.explain(ctx, err, ref, region, reading)
	}
	return value(out.SecretString, out.SecretBinary)
}

func validate(ref resolver.Ref) error {
	switch {
	case ref.ID == "":
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "no secret is named", Advice: `write secret_id = "NAME", the secret's name or ARN`}
	case len(ref.ID) > 2048: // the API's own limit
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "secret_id is longer than 2048 bytes"}
	}
	return nil
}

// value is a version's text, or its bytes in base64.
func value(text *string, binary []byte) (resolver.Result, error) {
	switch {
	case text != nil:
		return resolver.Result{Secret: resolver.NewSecret(*text)}, nil
	case binary != nil:
		return resolver.Result{Secret: resolver.NewSecret(base64.StdEncoding.EncodeToString(binary))}, nil
	}
	return resolver.Result{}, &resolver.Error{Kind: resolver.NotFound, Message: "the secret has no value yet", Advice: "store one: aws secretsmanager put-secret-value"}
}

// Check asks for the name of one secret. That the account may not list secrets
// is no failure: the answer shows that the store knows the credentials.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.login.Timeout())
	defer cancel()
	api, region, err := s.clients.In(ctx, "")
	if err != nil {
		return err
	}
	one := int32(1)
	if _, err = api.ListSecrets(ctx, &secretsmanager.ListSecretsInput{MaxResults: &one}); err == nil {
		return nil
	}
	if e := s.explain(ctx, err, resolver.Ref{}, region, reading); !awsauth.Denied(e) {
		return e
	}
	return nil
}

func arnRegion(id string) string { return awsauth.Region(id, service) }

func isARN(id string) bool { return strings.HasPrefix(id, "arn:") }

// isDeleted reports whether a secret is there, but marked for deletion.
func isDeleted(err error) bool {
	var e *resolver.Error
	return errors.As(err, &e) && e.Code == "InvalidRequestException"
}

// Warnings says whether the values travel in clear text.
func (s *Store) Warnings() []string { return s.login.Warnings() }
