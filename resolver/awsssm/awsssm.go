// Package awsssm reads and writes parameters of AWS Systems Manager's Parameter
// Store.
//
// A reference's ID is a parameter's name, with its path, or its ARN; Version
// picks an older version of it, and so does a version or a label at the end of
// the name, as in /prod/key:3. A SecureString comes decrypted. Field picks a
// member of a JSON value.
//
// Package awsauth logs in. Where it finds no region, an ARN's is used.
package awsssm

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"kz/resolver"
	"kz/resolver/awsauth"
)

// service is its name in an ARN.
const service = "ssm"

// Store is Parameter Store in one account. It is safe for concurrent use.
type Store struct {
	login   *awsauth.Login
	clients *awsauth.Clients[*ssm.Client]

	noBatch atomic.Bool // GetParameters was denied, where GetParameter may not be
}

// New makes a Store. It does no I/O and loads no SDK configuration.
func New(o awsauth.Options) (*Store, error) {
	o.Service = "Systems Manager"
	login, err := awsauth.New(o)
	if err != nil {
		return nil, fmt.Errorf("awsssm: %w", err)
	}
	return &Store{login: login, clients: awsauth.NewClients(login, func(cfg aws.Config, endpoint *string) *ssm.Client {
		return ssm.NewFromConfig(cfg, func(o *ssm.Options) {
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

// fetch gets the whole value of a parameter.
func (s *Store) fetch(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	if err := validate(ref); err != nil {
		return resolver.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.login.Timeout())
	defer cancel()
	api, region, err := s.clients.In(ctx, awsauth.Region(ref.ID, service))
	if err != nil {
		return resolver.Result{}, err
	}
	out, err := api.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(selected(ref)), WithDecryption: aws.Bool(true)})
	if err != nil {
		return resolver.Result{}, s.explain(ctx, err, ref, region, reading)
	}
	if out.Parameter == nil || out.Parameter.Value == nil {
		return resolver.Result{}, notAnswered()
	}
	return resolver.Result{Secret: resolver.NewSecret(*out.Parameter.Value)}, nil
}

func notAnswered() *resolver.Error {
	return &resolver.Error{Kind: resolver.Unavailable, Message: "the answer is not one of Systems Manager", Advice: "try again; check the endpoint and any proxy in between"}
}

// maxName is the longest name the API takes.
const maxName = 2048

func validate(ref resolver.Ref) error {
	const example = `write path = "/prod/key", the parameter's name or ARN`
	fault := func(message, advice string) error {
		return &resolver.Error{Kind: resolver.InvalidReference, Message: message, Advice: advice}
	}
	switch _, selector := split(ref.ID); {
	case ref.ID == "":
		return fault("no parameter is named", example)
	case len(ref.ID) > maxName:
		return fault("the name is longer than 2048 bytes", example)
	case ref.Version != 0 && selector != "":
		return fault("the parameter's version is given twice", "leave out `version`, or what follows the last colon of the name")
	}
	return nil
}

// split takes the version or label off a name or an ARN.
func split(id string) (bare, selector string) {
	from := 0
	if i := strings.Index(id, ":parameter/"); i > 0 && strings.HasPrefix(id, "arn:") {
		from = i + 1
	}
	if i := strings.IndexByte(id[from:], ':'); i >= 0 {
		return id[:from+i], id[from+i+1:]
	}
	return id, ""
}

// selected is the name with its version, as the API takes it.
func selected(ref resolver.Ref) string {
	if ref.Version == 0 {
		return ref.ID
	}
	return ref.ID + ":" + strconv.Itoa(ref.Version)
}

// Check asks for the name of one parameter. That the account may not list them
// is no failure: the answer shows that the store knows the credentials.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.login.Timeout())
	defer cancel()
	api, region, err := s.clients.In(ctx, "")
	if err != nil {
		return err
	}
	if _, err = api.DescribeParameters(ctx, &ssm.DescribeParametersInput{MaxResults: aws.Int32(1)}); err == nil {
		return nil
	}
	if e := s.explain(ctx, err, resolver.Ref{}, region, reading); !awsauth.Denied(e) {
		return e
	}
	return nil
}

// name is the name in an ARN, arn:aws:ssm:REGION:ACCOUNT:parameter/NAME, which
// leaves out the slash that a name with a path begins with.
func name(id string) string {
	_, rest, ok := strings.Cut(id, ":parameter/")
	switch {
	case !ok || !strings.HasPrefix(id, "arn:"):
		return id
	case strings.Contains(rest, "/"):
		return "/" + rest
	}
	return rest
}

// Warnings says whether the values travel in clear text.
func (s *Store) Warnings() []string { return s.login.Warnings() }
