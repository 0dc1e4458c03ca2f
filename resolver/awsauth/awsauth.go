// Package awsauth logs in to AWS for the stores that are services of it:
// credentials and region by the backend's settings, clients by region, and the
// words for what all services refuse alike.
//
// Every way but Static starts from what the SDK finds by itself: environment,
// shared files, SSO, a process, web identity, container, EKS pod identity and
// instance for the credentials, AWS_ENDPOINT_URL for the endpoint, AWS_CA_BUNDLE
// for the roots, HTTPS_PROXY for the proxy.
//
// Credentials of a role are kept until 80 % of their life is over. Nothing is
// done before the first use; a [Login] is safe for concurrent use.
package awsauth

import (
	"context"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"kz/resolver"
)

// The ways to log in.
const (
	Default = "default" // the SDK's own chain
	Static  = "static"  // AccessKeyID and SecretAccessKey
	Role    = "role"    // RoleARN, assumed with the static key if there is one, else with the chain
	IRSA    = "irsa"    // RoleARN, assumed with the pod's web identity token
)

// DefaultSession is the name of an assumed role's session where none is given.
const DefaultSession = "kz"

// Options sets up a Login.
type Options struct {
	Service  string // how messages call the service; "" is AWS
	Region   string // "": the SDK's own, else the one that a call names
	Endpoint string // of the service; "": the region's, or the SDK's own
	STS      string // the endpoint that roles are assumed at; "": the region's, or the SDK's own
	Auth     string // "": Default

	AccessKeyID     string
	SecretAccessKey resolver.Secret
	RoleARN         string // of IRSA, "" is AWS_ROLE_ARN
	SessionName     string // "": DefaultSession
	ExternalID      string // of Role; "": none

	Timeout time.Duration                                                                          // of one call with its retries; 0 is resolver.DefaultTimeout
	Now     func() time.Time                                                                       // the clock that credentials are renewed by; nil is time.Now
	Getenv  func(string) string                                                                    // the pod's environment; nil is os.Getenv
	Load    func(ctx context.Context, opts ...func(*config.LoadOptions) error) (aws.Config, error) // nil: config.LoadDefaultConfig
}

// Login is one identity at AWS.
type Login struct {
	opt Options

	mu        sync.Mutex
	configs   map[string]loaded // by region; "" is the configured one
	kept      *renewing         // Role and IRSA
	serial    int
	forgotten time.Time
}

// loaded is a configuration of the SDK, with a number that tells it from those before and after it.
type loaded struct {
	aws.Config
	serial int
}

// New makes a Login. It does no I/O and reports every problem of the options at
// once, in an *Error of kind InvalidReference.
func New(o Options) (*Login, error) {
	var problems []string
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			problems = append(problems, "endpoint is not an http or https URL without user")
		}
	}
	switch o.Auth {
	case "":
		o.Auth = Default
	case Default, Static, Role, IRSA:
	default:
		problems = append(problems, "there is no such way to log in")
	}
	key := o.AccessKeyID != "" || o.SecretAccessKey.Reveal() != ""
	if (key || o.Auth == Static) && (o.AccessKeyID == "" || o.SecretAccessKey.Reveal() == "") {
		problems = append(problems, "access_key_id and secret_access_key belong together, and neither may be empty")
	}
	if o.Auth == Role && o.RoleARN == "" {
		problems = append(problems, "there is no role_arn to assume")
	}
	if len(problems) > 0 {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: strings.Join(problems, "; "), Advice: "check the backend's settings"}
	}
	if o.Service == "" {
		o.Service = "AWS"
	}
	if o.SessionName == "" {
		o.SessionName = DefaultSession
	}
	if o.Timeout <= 0 {
		o.Timeout = resolver.DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Load == nil {
		o.Load = config.LoadDefaultConfig
	}
	return &Login{opt: o, configs: map[string]loaded{}}, nil
}

// Timeout is the limit of one call with its retries.
func (l *Login) Timeout() time.Duration { return l.opt.Timeout }

// Config is the SDK's configuration, with a region and with credentials that
// have been seen to be there. region is what the reference itself says, and is
// used when nothing else names one.
func (l *Login) Config(ctx context.Context, region string) (aws.Config, error) {
	cfg, err := l.config(ctx, region)
	return cfg.Config, err
}

func (l *Login) config(ctx context.Context, region string) (loaded, error) {
	cfg, err := l.load(ctx, "")
	if err == nil && cfg.Region == "" {
		if region == "" {
			return loaded{}, &resolver.Error{Kind: resolver.InvalidReference, Message: "no AWS region is known",
				Advice: `write region = "us-east-1" (or yours) in the backend, set AWS_REGION, or name the secret by its ARN`}
		}
		cfg, err = l.load(ctx, region)
	}
	if err != nil {
		return loaded{}, err
	}
	// Asked for here, and not left to the call, because the SDK's error for missing
	// credentials has no type of its own.
	if cfg.Credentials == nil {
		return loaded{}, noCredentials()
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return loaded{}, l.explainLogin(ctx, err)
	}
	return cfg, nil
}

func (l *Login) load(ctx context.Context, region string) (loaded, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cfg, ok := l.configs[region]; ok {
		return cfg, nil
	}
	cfg, err := l.opt.Load(ctx, l.loadOptions(region)...)
	if err != nil {
		return loaded{}, explainConfig(ctx, err)
	}
	if cfg.Region != "" && (l.opt.Auth == Role || l.opt.Auth == IRSA) {
		if l.kept == nil {
			fetch, err := l.assumer(cfg)
			if err != nil {
				return loaded{}, err
			}
			l.kept = &renewing{fetch: fetch, now: l.opt.Now, timeout: l.opt.Timeout}
		}
		cfg.Credentials = l.kept
	}
	l.serial++
	l.configs[region] = loaded{cfg, l.serial}
	return l.configs[region], nil
}

// forgetAgain is how soon credentials are dropped again: of many calls that
// learn at the same time that they have expired, one is enough.
const forgetAgain = 5 * time.Second

// forget drops everything that was loaded, because a service calls the
// credentials expired: there may be others by now, in a file or by a new login.
func (l *Login) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.opt.Now(); now.Sub(l.forgotten) >= forgetAgain {
		l.forgotten, l.kept, l.configs = now, nil, map[string]loaded{}
	}
}

// RegionOf is Region for a reference that decides where a call goes: "" when the backend has a region.
func (l *Login) RegionOf(id, service string) string {
	if l.opt.Region != "" {
		return ""
	}
	return Region(id, service)
}

func (l *Login) loadOptions(region string) []func(*config.LoadOptions) error {
	opts := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.Backoff = maxAttempts, retry.BackoffDelayerFunc(backoff)
			})
		}),
		config.WithLogger(logging.Nop{}), // the SDK would write to standard error
		config.WithAPIOptions([]func(*middleware.Stack) error{boundAnswer, completeAnswer}),
	}
	switch {
	case l.opt.Auth == IRSA:
		opts = append(opts, config.WithCredentialsProvider(aws.AnonymousCredentials{})) // the token is the credential
	case l.opt.AccessKeyID != "":
		opts = append(opts, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(l.opt.AccessKeyID, l.opt.SecretAccessKey.Reveal(), "")))
	}
	if l.opt.Region != "" {
		region = l.opt.Region
	}
	if region != "" {
		opts = append(opts, config.WithRegion(region))
	}
	return opts
}

// Clients are the clients of one service by region, each made at its first use.
// They are safe for concurrent use.
type Clients[T any] struct {
	login *Login
	new   func(cfg aws.Config, endpoint *string) T

	mu       sync.Mutex
	byRegion map[string]made[T]
}

// made is a client and the configuration that it was made of.
type made[T any] struct {
	client T
	serial int
}

// NewClients makes clients with new, whose endpoint is nil for the SDK's own choice.
func NewClients[T any](l *Login, new func(cfg aws.Config, endpoint *string) T) *Clients[T] {
	return &Clients[T]{login: l, new: new, byRegion: map[string]made[T]{}}
}

// In returns the client for a reference that names region, or "", and the region
// it is in. Its errors are those of Login.Config.
func (c *Clients[T]) In(ctx context.Context, region string) (client T, in string, err error) {
	cfg, err := c.login.config(ctx, region)
	if err != nil {
		return client, "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.byRegion[cfg.Region]
	if !ok || m.serial != cfg.serial {
		var endpoint *string
		if c.login.opt.Endpoint != "" {
			endpoint = &c.login.opt.Endpoint
		}
		m = made[T]{c.new(cfg.Config, endpoint), cfg.serial}
		c.byRegion[cfg.Region] = m
	}
	return m.client, cfg.Region, nil
}
