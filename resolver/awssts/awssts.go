// Package awssts makes temporary credentials with AWS STS, as a store.
//
// A value is one JSON object of strings: access_key_id, secret_access_key,
// session_token and expiration (RFC 3339). Each call of [Store.Resolve] assumes
// the role anew; what is asked for together in [Store.ResolveBatch] for one role
// is of one session, so that its fields fit one another. A result is due at 80 %
// of its life.
//
// Package awsauth says as whom the role is assumed. A reference names the role
// (RoleARN, or ID), its session and its duration; what it leaves out is the
// store's.
package awssts

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kz/resolver"
	"kz/resolver/awsauth"
)

// DefaultDuration is how long credentials live where nothing says it: the
// shortest that STS gives.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const DefaultDuration = 900 * time.Second

// Options sets up a Store. Login.Auth is as whom the roles are assumed, and is
// not awsauth.Role; Login.RoleARN, SessionName and ExternalID are not those of
// the roles that are assumed for secrets.
type Options struct {
	Login awsauth.Options

	RoleARN       string        // of references that name no role
	SessionName   string        // "": awsauth.DefaultSession
	ExternalID    string        // "": none
	SessionPolicy string        // JSON that narrows what the credentials may do; "": nothing
	Duration      time.Duration // whole seconds; 0 is DefaultDuration
}

// Store is STS as one identity. It is safe for concurrent use.
type Store struct {
	opt     Options
	login   *awsauth.Login
	clients *awsauth.Clients[*sts.Client]
	now     func() time.Time
}

// New makes a Store. It does no I/O and loads no SDK configuration.
func New(o Options) (*Store, error) {
	o.Login.Service, o.Login.STS = "STS", o.Login.Endpoint
	login, err := awsauth.New(o.Login)
	if err != nil {
		return nil, fmt.Errorf("awssts: %w", err)
	}
	if o.SessionPolicy != "" && !json.Valid([]byte(o.SessionPolicy)) {
		return nil, fmt.Errorf("awssts: session_policy is not JSON")
	}
	if o.SessionName == "" {
		o.SessionName = awsauth.DefaultSession
	}
	if o.Duration == 0 {
		o.Duration = DefaultDuration
	}
	now := o.Login.Now
	if now == nil {
		now = time.Now
	}
	return &Store{opt: o, login: login, now: now, clients: awsauth.NewClients(login, func(cfg aws.Config, endpoint *string) *sts.Client {
		return sts.NewFromConfig(cfg, func(o *sts.Options) {
			if endpoint != nil {
				o.BaseEndpoint = endpoint
			}
		})
	})}, nil
}

// Resolve assumes a role.
func (s *Store) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	r, err := s.assume(ctx, ref)
	if err != nil {
		return resolver.Result{}, err
	}
	return resolver.PickField(r, ref.Field, resolver.Field)
}

// ResolveBatch assumes each role once, however many fields of it are asked for.
func (s *Store) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	return resolver.Wave(ctx, refs, resolver.DefaultLimit, s.assume, resolver.Field)
}

// value is what the store gives, as JSON.
type value struct {
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	SessionToken    string `json:"session_token"`
	Expiration      string `json:"expiration"`
}

func (s *Store) assume(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	in := s.input(ref)
	if *in.RoleArn == "" {
		return resolver.Result{}, &resolver.Error{Kind: resolver.InvalidReference, Message: "no role is named",
			Advice: `write role_arn = "arn:aws:iam::123456789012:role/deploy" in the secret or in the backend`}
	}
	ctx, cancel := context.WithTimeout(ctx, s.login.Timeout())
	defer cancel()
	api, _, err := s.clients.In(ctx, "")
	if err != nil {
		return resolver.Result{}, err
	}
	out, err := api.AssumeRole(ctx, in)
	if err != nil {
		return resolver.Result{}, s.login.ExplainAssume(ctx, err, *in.RoleArn)
	}
	c, now := out.Credentials, s.now() // complete: the login has seen to it
	if err := awsauth.Lasting(now, *c.Expiration); err != nil {
		return resolver.Result{}, err
	}
	text, err := encode(value{*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken, c.Expiration.UTC().Format(time.RFC3339)})
	if err != nil {
		return resolver.Result{}, err
	}
	return resolver.Result{Secret: resolver.NewSecret(text), RefreshAt: awsauth.RenewAt(now, *c.Expiration)}, nil
}

// encode writes <, > and & as they are: they may stand in a session token.
func encode(v value) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", &resolver.Error{Kind: resolver.Unavailable, Message: "the answer is not one of STS"}
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// input is the call for a reference.
func (s *Store) input(ref resolver.Ref) *sts.AssumeRoleInput {
	first := func(texts ...string) *string {
		for _, t := range texts {
			if t != "" {
				return &t
			}
		}
		return aws.String("")
	}
	in := &sts.AssumeRoleInput{
		RoleArn:         first(ref.RoleARN, ref.ID, s.opt.RoleARN),
		RoleSessionName: first(ref.SessionName, s.opt.SessionName),
		DurationSeconds: aws.Int32(int32(s.opt.Duration / time.Second)),
	}
	if ref.DurationSeconds != 0 {
		in.DurationSeconds = aws.Int32(int32(ref.DurationSeconds))
	}
	if s.opt.ExternalID != "" {
		in.ExternalId = &s.opt.ExternalID
	}
	if s.opt.SessionPolicy != "" {
		in.Policy = &s.opt.SessionPolicy
	}
	return in
}

// Check asks who the role would be assumed as, which needs no permission.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.login.Timeout())
	defer cancel()
	api, _, err := s.clients.In(ctx, "")
	if err != nil {
		return err
	}
	if _, err = api.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil {
		return s.login.Explain(ctx, err, nil, func(*resolver.Error) {})
	}
	return nil
}

// Warnings says whether the values travel in clear text.
func (s *Store) Warnings() []string { return s.login.Warnings() }
