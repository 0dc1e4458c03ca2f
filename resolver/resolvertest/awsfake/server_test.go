package awsfake_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"kz/resolver/resolvertest/awsfake"
)

func start(t *testing.T, o awsfake.Options) (*awsfake.Server, aws.Config) {
	t.Helper()
	fake := awsfake.New(o)
	srv := httptest.NewServer(fake)
	t.Cleanup(srv.Close)
	return fake, aws.Config{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String(srv.URL),
		Credentials:      credentials.NewStaticCredentialsProvider(awsfake.DefaultKey.AccessKeyID, awsfake.DefaultKey.SecretAccessKey, ""),
		RetryMaxAttempts: 1,
	}
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func get(cfg aws.Config, id string) (*sm.GetSecretValueOutput, error) {
	return sm.NewFromConfig(cfg).GetSecretValue(context.Background(), &sm.GetSecretValueInput{SecretId: &id})
}

func TestGetSecretValue(t *testing.T) {
	t.Parallel()
	fake, cfg := start(t, awsfake.Options{})
	first := fake.Put("db", "one")
	fake.Put("db", "two")
	fake.PutBinary("blob", []byte{0, 1, 255})

	t.Run("the current value by name, ARN and partial ARN", func(t *testing.T) {
		arn := fake.ARN("db")
		for _, id := range []string{"db", arn, arn[:len(arn)-7]} {
			out, err := get(cfg, id)
			if err != nil || aws.ToString(out.SecretString) != "two" || aws.ToString(out.ARN) != arn {
				t.Errorf("%s: %v %v", id, out, err)
			}
		}
	})
	t.Run("an older one by stage and by id", func(t *testing.T) {
		c := sm.NewFromConfig(cfg)
		for _, in := range []*sm.GetSecretValueInput{
			{SecretId: aws.String("db"), VersionStage: aws.String("AWSPREVIOUS")},
			{SecretId: aws.String("db"), VersionId: &first},
		} {
			out, err := c.GetSecretValue(context.Background(), in)
			if err != nil || aws.ToString(out.SecretString) != "one" {
				t.Errorf("%v %v", out, err)
			}
		}
	})
	t.Run("a binary value", func(t *testing.T) {
		out, err := get(cfg, "blob")
		if err != nil || string(out.SecretBinary) != "\x00\x01\xff" || out.SecretString != nil {
			t.Errorf("%v %v", out, err)
		}
	})
	t.Run("an unknown name", func(t *testing.T) {
		if _, err := get(cfg, "nope"); code(err) != "ResourceNotFoundException" {
			t.Error(err)
		}
	})
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*aws.Config){
		"a wrong secret key is refused": func(c *aws.Config) {
			c.Credentials = credentials.NewStaticCredentialsProvider(awsfake.DefaultKey.AccessKeyID, "wrong", "")
		},
		"an unknown access key is refused": func(c *aws.Config) {
			c.Credentials = credentials.NewStaticCredentialsProvider("AKIAOTHER", awsfake.DefaultKey.SecretAccessKey, "")
		},
		"an unexpected session token is refused": func(c *aws.Config) {
			c.Credentials = credentials.NewStaticCredentialsProvider(awsfake.DefaultKey.AccessKeyID, awsfake.DefaultKey.SecretAccessKey, "x")
		},
		"another region is refused": func(c *aws.Config) { c.Region = "eu-west-1" },
		"a body changed on the way is refused": func(c *aws.Config) {
			c.HTTPClient = &http.Client{Transport: tamper{}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, cfg := start(t, awsfake.Options{})
			fake.Put("db", "one")
			change(&cfg)
			_, err := get(cfg, "db")
			if c := code(err); c != "InvalidSignatureException" && c != "UnrecognizedClientException" {
				t.Errorf("%q %v", c, err)
			}
		})
	}
	t.Run("an unsigned request is refused", func(t *testing.T) {
		t.Parallel()
		_, cfg := start(t, awsfake.Options{})
		cfg.Credentials = aws.AnonymousCredentials{}
		if _, err := get(cfg, "db"); code(err) != "MissingAuthenticationTokenException" {
			t.Error(err)
		}
	})
}

// tamper asks for another secret than the one that was signed.
type tamper struct{}

func (tamper) RoundTrip(r *http.Request) (*http.Response, error) {
	body := strings.NewReader(`{"SecretId":"xx"}`)
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = http.NoBody, 0
	changed, err := http.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), body)
	if err != nil {
		return nil, err
	}
	changed.Header, changed.Host = r.Header, r.Host
	return http.DefaultTransport.RoundTrip(changed)
}

func TestBatch(t *testing.T) {
	t.Parallel()
	fake, cfg := start(t, awsfake.Options{PageSize: 2})
	for _, n := range []string{"a", "b", "c"} {
		fake.Put(n, "val-"+n)
	}
	fake.Fail(awsfake.Failure{SecretID: "c", Code: "AccessDeniedException"})
	c := sm.NewFromConfig(cfg)
	got, failed := map[string]string{}, map[string]string{}
	in := &sm.BatchGetSecretValueInput{SecretIdList: []string{"a", "missing", "b", "c"}}
	for {
		out, err := c.BatchGetSecretValue(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out.SecretValues {
			got[*v.Name] = *v.SecretString
		}
		for _, e := range out.Errors {
			failed[*e.SecretId] = *e.ErrorCode
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if len(got) != 2 || got["a"] != "val-a" || got["b"] != "val-b" {
		t.Error(got)
	}
	if len(failed) != 2 || failed["missing"] != "ResourceNotFoundException" || failed["c"] != "AccessDeniedException" {
		t.Error(failed)
	}
	if n := fake.Count("BatchGetSecretValue"); n != 2 {
		t.Errorf("%d requests", n)
	}
	if _, err := c.BatchGetSecretValue(context.Background(), &sm.BatchGetSecretValueInput{SecretIdList: make([]string, 21)}); code(err) != "ValidationException" {
		t.Error(err)
	}
}

func TestWrites(t *testing.T) {
	t.Parallel()
	fake, cfg := start(t, awsfake.Options{})
	c, ctx := sm.NewFromConfig(cfg), context.Background()
	if _, err := c.CreateSecret(ctx, &sm.CreateSecretInput{Name: aws.String("n"), SecretString: aws.String("1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateSecret(ctx, &sm.CreateSecretInput{Name: aws.String("n"), SecretString: aws.String("1")}); code(err) != "ResourceExistsException" {
		t.Error(err)
	}
	if _, err := c.PutSecretValue(ctx, &sm.PutSecretValueInput{SecretId: aws.String(fake.ARN("n")), SecretString: aws.String("2")}); err != nil {
		t.Fatal(err)
	}
	out, err := get(cfg, "n")
	if err != nil || *out.SecretString != "2" {
		t.Error(out, err)
	}
	d, err := c.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String("n")})
	if err != nil || len(d.VersionIdsToStages) != 2 {
		t.Error(d, err)
	}
	l, err := c.ListSecrets(ctx, &sm.ListSecretsInput{})
	if err != nil || len(l.SecretList) != 1 || *l.SecretList[0].Name != "n" {
		t.Error(l, err)
	}
}

func TestSTS(t *testing.T) {
	t.Parallel()
	fake, cfg := start(t, awsfake.Options{ExternalID: "ext", WebIdentityToken: "jwt"})
	fake.Put("db", "one")
	ctx, role := context.Background(), "arn:aws:iam::123456789012:role/deploy"

	t.Run("GetCallerIdentity says who signed", func(t *testing.T) {
		out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil || *out.Arn != "arn:aws:iam::123456789012:user/test" || *out.Account != "123456789012" {
			t.Fatal(out, err)
		}
	})
	t.Run("an assumed role reads a secret", func(t *testing.T) {
		c2 := cfg.Copy()
		c2.Credentials = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), role, func(o *stscreds.AssumeRoleOptions) { o.ExternalID = aws.String("ext") })
		if _, err := get(c2, "db"); err != nil {
			t.Fatal(err)
		}
		who, err := sts.NewFromConfig(c2).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil || !strings.HasPrefix(*who.Arn, "arn:aws:sts::123456789012:assumed-role/deploy/") {
			t.Fatal(who, err)
		}
	})
	t.Run("a wrong external id is refused", func(t *testing.T) {
		_, err := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), role).Retrieve(ctx)
		if code(err) != "AccessDenied" {
			t.Fatal(err)
		}
	})
	t.Run("a web identity needs the right token and no signature", func(t *testing.T) {
		anon := cfg.Copy()
		anon.Credentials = nil
		for token, want := range map[string]string{"jwt": "", "other": "InvalidIdentityToken"} {
			_, err := sts.NewFromConfig(anon).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: &role, RoleSessionName: aws.String("kz"), WebIdentityToken: &token})
			if code(err) != want || (err != nil) != (want != "") {
				t.Errorf("%s: %v", token, err)
			}
		}
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	fake, cfg := start(t, awsfake.Options{})
	fake.Put("db", "one")
	fake.Fail(awsfake.Failure{SecretID: "db", Code: "ThrottlingException", Echo: true, Times: 1})
	_, err := get(cfg, "db")
	if code(err) != "ThrottlingException" || !strings.Contains(err.Error(), "AWS4-HMAC-SHA256") {
		t.Fatal(err)
	}
	if _, err := get(cfg, "db"); err != nil {
		t.Fatal("the failure was for one request:", err)
	}
	reqs := fake.Requests()
	if len(reqs) != 2 || reqs[0].Code != "ThrottlingException" || reqs[1].Status != 200 || reqs[1].SecretIDs[0] != "db" || reqs[1].AccessKeyID != awsfake.DefaultKey.AccessKeyID {
		t.Errorf("%+v", reqs)
	}
}
