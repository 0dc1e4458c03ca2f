// Package awssm reads secrets from AWS Secrets Manager.
//
// A reference's ID is a secret's name or ARN; VersionStage and VersionID pick a
// version, AWSCURRENT being the default. The value is the SecretString, or the
// SecretBinary in base64; Field picks a member of a JSON value.
//
// Credentials come from the SDK's default chain: environment, shared files,
// SSO, a process, web identity, container and instance. So do the region, when
// none is set, the endpoint (AWS_ENDPOINT_URL), the CA bundle (AWS_CA_BUNDLE)
// and the proxy (HTTPS_PROXY). When the chain knows no region, an ARN's is used.
package awssm

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"kz/resolver"
)

// Options sets up a Store.
type Options struct {
	Region   string        // "": the SDK's own, else that of a secret's ARN
	Endpoint string        // "": the region's, or AWS_ENDPOINT_URL; else the URL of a private endpoint
	Timeout  time.Duration // of one call with its retries; 0 is resolver.DefaultTimeout
	// Load makes the SDK's configuration. Nil: config.LoadDefaultConfig. Other ways
	// to authenticate are load options added before it.
	Load func(ctx context.Context, opts ...func(*config.LoadOptions) error) (aws.Config, error)
}

// Store is Secrets Manager in one account. It is safe for concurrent use.
type Store struct {
	opt Options

	mu      sync.Mutex
	clients map[string]*client // by region; "" is the configured one

	noBatch atomic.Bool // BatchGetSecretValue was denied
}

// New makes a Store. It does no I/O and loads no SDK configuration.
func New(o Options) (*Store, error) {
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			return nil, errors.New("awssm: endpoint is not an http or https URL without user")
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = resolver.DefaultTimeout
	}
	if o.Load == nil {
		o.Load = config.LoadDefaultConfig
	}
	return &Store{opt: o, clients: map[string]*client{}}, nil
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
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	c, err := s.client(ctx, ref.ID)
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
	out, err := c.api.GetSecretValue(ctx, in)
	if err != nil {
		return resolver.Result{}, c.explain(ctx, err, ref)
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
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	c, err := s.client(ctx, "")
	if err != nil {
		return err
	}
	one := int32(1)
	if _, err = c.api.ListSecrets(ctx, &secretsmanager.ListSecretsInput{MaxResults: &one}); err == nil || errorCode(err) == accessDenied {
		return nil
	}
	return c.explain(ctx, err, resolver.Ref{})
}
