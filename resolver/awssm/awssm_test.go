package awssm_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/awssm"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/awsfake"
)

// load is LoadDefaultConfig with the fake's key, and nothing of this machine.
func load(ctx context.Context, opts ...func(*config.LoadOptions) error) (aws.Config, error) {
	return config.LoadDefaultConfig(ctx, append(opts,
		config.WithSharedConfigFiles([]string{os.DevNull}), config.WithSharedCredentialsFiles([]string{os.DevNull}),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(awsfake.DefaultKey.AccessKeyID, awsfake.DefaultKey.SecretAccessKey, "")))...)
}

// keys are what no error may show.
var keys = awsfake.Secrets()

func open(t *testing.T, o awsauth.Options) *awssm.Store {
	t.Helper()
	if o.Load == nil {
		o.Load = load
	}
	s, err := awssm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// start makes a fake and a store of it.
func start(t *testing.T) (*awsfake.Server, *awssm.Store) {
	t.Helper()
	fake := awsfake.New(awsfake.Options{})
	return fake, open(t, awsauth.Options{Region: "us-east-1", Endpoint: serve(t, fake)})
}

// nobody is an address that refuses connections.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// mute takes requests and never answers.
var mute = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) // only then the server sees the client leave
	<-r.Context().Done()
})

func get(t *testing.T, s *awssm.Store, ref resolver.Ref, want string) {
	t.Helper()
	r, err := s.Resolve(t.Context(), ref)
	if err != nil || r.Secret.Reveal() != want || !r.RefreshAt.IsZero() {
		t.Errorf("%+v: %q %v", ref, r.Secret.Reveal(), err)
	}
}

// fails resolves and returns the error, which shows no credential and no value.
func fails(t *testing.T, s *awssm.Store, ref resolver.Ref, kind resolver.Kind) *resolver.Error {
	t.Helper()
	_, err := s.Resolve(t.Context(), ref)
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("%v, want %s", err, kind)
	}
	if e.Hint() == "" {
		t.Errorf("no hint: %v", err)
	}
	resolvertest.NoLeak(t, err, append(keys, resolvertest.Canary)...)
	return e
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q lacks %q", text, part)
		}
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	fake, s := start(t)
	first := fake.Put("prod/db", `{"password":"one"}`)
	fake.Put("prod/db", `{"password":"two"}`)
	fake.PutVersion("prod/db", awsfake.Version{Stages: []string{"AWSPENDING"}, String: "three"})
	fake.PutBinary("blob", []byte{0, 1, 254, 255})
	arn := fake.ARN("prod/db")

	for name, c := range map[string]struct {
		ref  resolver.Ref
		want string
	}{
		"a name":                {resolver.Ref{ID: "prod/db", Field: "password"}, "two"},
		"an ARN":                {resolver.Ref{ID: arn, Field: "password"}, "two"},
		"an ARN without suffix": {resolver.Ref{ID: arn[:len(arn)-7], Field: "password"}, "two"},
		"the stage before":      {resolver.Ref{ID: "prod/db", VersionStage: "AWSPREVIOUS", Field: "password"}, "one"},
		"another stage":         {resolver.Ref{ID: "prod/db", VersionStage: "AWSPENDING"}, "three"},
		"a version":             {resolver.Ref{ID: "prod/db", VersionID: first, Field: "password"}, "one"},
		"a binary value":        {resolver.Ref{ID: "blob"}, base64.StdEncoding.EncodeToString([]byte{0, 1, 254, 255})},
		"what is not of AWS":    {resolver.Ref{ID: "prod/db", Field: "password", Mount: "m", Version: 3}, "two"},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); get(t, s, c.ref, c.want) })
	}
	t.Run("a version that is not there", func(t *testing.T) {
		t.Parallel()
		e := fails(t, s, resolver.Ref{ID: "prod/db", VersionStage: "NOPE"}, resolver.NotFound)
		contains(t, e.Error()+e.Hint(), "with that version", "version_stage")
	})
	t.Run("a name that is too long", func(t *testing.T) {
		t.Parallel()
		if _, err := s.Resolve(t.Context(), resolver.Ref{ID: strings.Repeat("x", 2049)}); !errors.Is(err, resolver.InvalidReference) {
			t.Error(err)
		}
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failure awsfake.Failure
		kind    resolver.Kind
		text    []string
	}{
		"no such secret": {awsfake.Failure{Code: "ResourceNotFoundException"}, resolver.NotFound,
			[]string{`there is no secret "prod/api" in us-east-1`, "(status 400, ResourceNotFoundException)", "aws secretsmanager describe-secret --secret-id prod/api --region us-east-1"}},
		"marked for deletion": {awsfake.Failure{Code: "InvalidRequestException"}, resolver.NotFound, []string{"marked for deletion", "aws secretsmanager restore-secret --secret-id prod/api"}},
		"no permission": {awsfake.Failure{Code: "AccessDeniedException"}, resolver.AccessDenied,
			[]string{`may not read "prod/api"`, "allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:us-east-1:*:secret:prod/api-??????", "kms:Decrypt"}},
		"no permission for the key": {awsfake.Failure{Code: "AccessDeniedException", Message: "Access to KMS is not allowed "}, resolver.AccessDenied,
			[]string{`may not use the KMS key of "prod/api"`, "allow kms:Decrypt"}},
		"an unknown key":            {awsfake.Failure{Code: "UnrecognizedClientException"}, resolver.AccessDenied, []string{"does not accept the credentials", "the access key is not known", "aws sts get-caller-identity"}},
		"a wrong signature":         {awsfake.Failure{Code: "InvalidSignatureException"}, resolver.AccessDenied, []string{"does not accept the credentials", "the signature does not match"}},
		"a clock that is off":       {awsfake.Failure{Code: "InvalidSignatureException", Message: "Signature not yet current: "}, resolver.AccessDenied, []string{"clock"}},
		"another region's endpoint": {awsfake.Failure{Code: "InvalidSignatureException", Message: "Credential should be scoped to a valid region."}, resolver.AccessDenied, []string{"another region", "region = "}},
		"an expired token":          {awsfake.Failure{Code: "ExpiredTokenException"}, resolver.AccessDenied, []string{"does not accept the credentials", "they have expired", "aws sso login"}},
		"403 without a code":        {awsfake.Failure{Status: 403, Body: []byte("<html>" + resolvertest.Canary)}, resolver.AccessDenied, []string{"status 403"}},
		"KMS":                       {awsfake.Failure{Code: "DecryptionFailure"}, resolver.DecryptionFailed, []string{"kms:Decrypt"}},
		"throttling":                {awsfake.Failure{Code: "ThrottlingException"}, resolver.Throttled, []string{"ThrottlingException"}},
		"429 without a code":        {awsfake.Failure{Status: 429, Body: []byte("{}")}, resolver.Throttled, []string{"429"}},
		"a bad parameter":           {awsfake.Failure{Code: "InvalidParameterException"}, resolver.InvalidReference, []string{"version_stage"}},
		"an unknown code":           {awsfake.Failure{Code: "SomethingNewException"}, resolver.InvalidReference, []string{"SomethingNewException"}},
		"a failing service":         {awsfake.Failure{Status: 500, Code: "InternalServiceError"}, resolver.Unavailable, []string{"(status 500, InternalServiceError)"}},
		"a gateway's page":          {awsfake.Failure{Status: 502, Body: []byte("<html>" + resolvertest.Canary)}, resolver.Unavailable, []string{"not one of Secrets Manager (status 502)"}},
		"400 that is not JSON":      {awsfake.Failure{Status: 400, Body: []byte("<html>" + resolvertest.Canary)}, resolver.Unavailable, []string{"status 400"}},
		"200 that is not JSON":      {awsfake.Failure{Status: 200, Body: []byte("<html>" + resolvertest.Canary)}, resolver.Unavailable, []string{"status 200"}},
		"200 cut short":             {awsfake.Failure{Status: 200, Body: []byte(`{"SecretString":"` + resolvertest.Canary)}, resolver.Unavailable, nil},
		"200 with no value":         {awsfake.Failure{Status: 200, Body: []byte(`{"Name":"prod/api"}`)}, resolver.NotFound, []string{"no value yet"}},
		"a code that is no code":    {awsfake.Failure{Status: 400, Code: "token=" + resolvertest.Canary}, resolver.Unavailable, []string{"(status 400)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, s := start(t)
			fake.Put("prod/api", resolvertest.Canary)
			c.failure.Message += resolvertest.Canary
			c.failure.Echo = true
			fake.Fail(c.failure)
			e := fails(t, s, resolver.Ref{ID: "prod/api"}, c.kind)
			contains(t, e.Error()+" "+e.Hint(), c.text...)
			if n := fake.Count("GetSecretValue"); n > 3 {
				t.Errorf("%d attempts", n)
			}
		})
	}
	t.Run("a failure that passes is tried again", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fake.Put("k", "v")
		fake.Fail(awsfake.Failure{Status: 500, Code: "InternalServiceError", Times: 1})
		get(t, s, resolver.Ref{ID: "k"}, "v")
	})
	t.Run("a wrong key", func(t *testing.T) {
		t.Parallel()
		fake := awsfake.New(awsfake.Options{Keys: []awsfake.Key{{AccessKeyID: "AKIAOTHER", SecretAccessKey: "x"}}})
		s := open(t, awsauth.Options{Region: "us-east-1", Endpoint: serve(t, fake)})
		fails(t, s, resolver.Ref{ID: "k"}, resolver.AccessDenied)
		if err := s.Check(t.Context()); !errors.Is(err, resolver.AccessDenied) {
			t.Error(err)
		}
	})
	t.Run("a reference that a shell would read", func(t *testing.T) {
		t.Parallel()
		_, s := start(t)
		e := fails(t, s, resolver.Ref{ID: "a b'$(id)"}, resolver.NotFound)
		contains(t, e.Hint(), `--secret-id 'a b'\''$(id)'`)
	})
}

func TestCheckNeedsNoPermission(t *testing.T) {
	t.Parallel()
	fake, s := start(t)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	fake.Fail(awsfake.Failure{Operation: "ListSecrets", Code: "AccessDeniedException"})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if fake.Count("GetSecretValue")+fake.Count("BatchGetSecretValue") != 0 {
		t.Error("Check reads secrets")
	}
	fake.Recover()
	fake.Fail(awsfake.Failure{Code: "ThrottlingException"})
	if err := s.Check(t.Context()); !errors.Is(err, resolver.Throttled) {
		t.Error(err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"vpce.example", "ftp://host", "https://user:pw@host", "https://", "://"} {
		if _, err := awssm.New(awsauth.Options{Endpoint: endpoint}); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	t.Run("loads nothing", func(t *testing.T) {
		t.Parallel()
		open(t, awsauth.Options{Load: func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error) {
			t.Error("loaded")
			return aws.Config{}, nil
		}})
	})
}

func TestCredentialFailures(t *testing.T) {
	t.Parallel()
	failing := func(err error) func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error) {
		return func(ctx context.Context, opts ...func(*config.LoadOptions) error) (aws.Config, error) {
			cfg, _ := load(ctx, opts...)
			cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, err })
			return cfg, nil
		}
	}
	for name, c := range map[string]struct {
		load func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error)
		kind resolver.Kind
		text string
	}{
		"no credentials": {failing(errors.New(resolvertest.Canary)), resolver.AccessDenied, "aws sso login"},
		"a profile that is not there": {func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error) {
			return aws.Config{}, config.SharedConfigProfileNotExistError{Profile: "p", Err: errors.New(resolvertest.Canary)}
		}, resolver.InvalidReference, "AWS_PROFILE"},
		"files that cannot be read": {func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error) {
			return aws.Config{}, fmt.Errorf("line 3: aws_secret_access_key=%s", resolvertest.Canary)
		}, resolver.InvalidReference, "aws configure list"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := fails(t, open(t, awsauth.Options{Region: "us-east-1", Endpoint: nobody(t), Load: c.load}), resolver.Ref{ID: "k"}, c.kind)
			contains(t, e.Error()+" "+e.Hint(), c.text)
		})
	}
}
