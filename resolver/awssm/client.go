package awssm

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/logging"

	"kz/resolver"
)

// Attempts of one call, and the most that is waited between them.
const (
	maxAttempts = 3
	maxBackoff  = 1500 * time.Millisecond
)

// client is Secrets Manager in one region.
type client struct {
	api    *secretsmanager.Client
	creds  aws.CredentialsProvider
	region string
}

// client returns the client for a secret, made at its first use, once it has
// seen that there are credentials.
func (s *Store) client(ctx context.Context, id string) (*client, error) {
	c, err := s.clientIn(ctx, "")
	if err != nil {
		return nil, err
	}
	if c.region == "" {
		region := arnRegion(id)
		if region == "" {
			return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: "no AWS region is known",
				Advice: `write region = "us-east-1" (or yours) in the backend, set AWS_REGION, or give the secret's ARN as secret_id`}
		}
		if c, err = s.clientIn(ctx, region); err != nil {
			return nil, err
		}
	}
	// Asked for here, and not left to the call, because the SDK's error for missing
	// credentials has no type of its own.
	if c.creds == nil {
		return nil, noCredentials()
	}
	if _, err := c.creds.Retrieve(ctx); err != nil {
		return nil, explainCredentials(ctx, err)
	}
	return c, nil
}

func (s *Store) clientIn(ctx context.Context, region string) (*client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[region]; c != nil {
		return c, nil
	}
	cfg, err := s.opt.Load(ctx, s.loadOptions(region)...)
	if err != nil {
		return nil, explainConfig(ctx, err)
	}
	c := &client{creds: cfg.Credentials, region: cfg.Region}
	c.api = secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		if s.opt.Endpoint != "" {
			o.BaseEndpoint = &s.opt.Endpoint
		}
	})
	s.clients[region] = c
	return c, nil
}

func (s *Store) loadOptions(region string) []func(*config.LoadOptions) error {
	opts := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = maxAttempts, maxBackoff })
		}),
		config.WithLogger(logging.Nop{}), // the SDK would write to standard error
	}
	if s.opt.Region != "" {
		region = s.opt.Region
	}
	if region != "" {
		opts = append(opts, config.WithRegion(region))
	}
	return opts
}

// arnRegion is the region of arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, else "".
func arnRegion(id string) string {
	parts := strings.SplitN(id, ":", 7)
	if len(parts) == 7 && parts[0] == "arn" && parts[2] == "secretsmanager" {
		return parts[3]
	}
	return ""
}

func explainConfig(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return resolver.Transport(ctx.Err())
	}
	e := &resolver.Error{Kind: resolver.InvalidReference, Message: "the AWS configuration cannot be loaded",
		Advice: "check ~/.aws/config, ~/.aws/credentials and the AWS_ variables: aws configure list"}
	var profile config.SharedConfigProfileNotExistError
	if errors.As(err, &profile) {
		e.Message, e.Advice = "the AWS profile that AWS_PROFILE names is not there", "check AWS_PROFILE: aws configure list-profiles"
	}
	return e
}
