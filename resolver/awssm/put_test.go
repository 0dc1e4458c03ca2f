package awssm_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/awsfake"
)

func TestPut(t *testing.T) {
	t.Parallel()
	t.Run("changes a secret by its name or ARN, whose value before stays readable", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fake.Put("db", "one")
		for id, value := range map[string]string{"db": "two", fake.ARN("db"): "three"} {
			before := fake.Count("PutSecretValue")
			if err := s.Put(t.Context(), resolver.Ref{ID: id}, resolver.NewSecret(value)); err != nil {
				t.Fatal(err)
			}
			get(t, s, resolver.Ref{ID: "db"}, value)
			if fake.Count("PutSecretValue") != before+1 || fake.Count("CreateSecret") != 0 {
				t.Error("not by one call")
			}
		}
		if _, err := s.Resolve(t.Context(), resolver.Ref{ID: "db", VersionStage: "AWSPREVIOUS"}); err != nil {
			t.Error(err)
		}
	})
	t.Run("makes no secret of an ARN", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		e := refuses(t, s, resolver.Ref{ID: "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-abcdef"}, "v", resolver.NotFound)
		contains(t, e.Error(), "there is no secret")
		e = refuses(t, s, resolver.Ref{ID: "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-abcdef", Field: "f"}, "v", resolver.NotFound)
		contains(t, e.Error(), "there is no secret")
		if fake.Count("CreateSecret") != 0 {
			t.Error("it tries to")
		}
	})
	t.Run("leaves the other fields of an object, their numbers too", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fake.Put("db", `{"port":5432,"password":"old","n":1.50}`)
		if err := s.Put(t.Context(), resolver.Ref{ID: "db", Field: "password"}, resolver.NewSecret("new")); err != nil {
			t.Fatal(err)
		}
		get(t, s, resolver.Ref{ID: "db"}, `{"n":1.50,"password":"new","port":5432}`)
	})
	t.Run("says which permission is missing", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fake.Put("db", "one")
		fake.Fail(awsfake.Failure{Operation: "PutSecretValue", SecretID: "db", Code: "AccessDeniedException", Message: resolvertest.Canary, Echo: true})
		fake.Fail(awsfake.Failure{Operation: "CreateSecret", Code: "AccessDeniedException", Message: resolvertest.Canary, Echo: true})
		contains(t, refuses(t, s, resolver.Ref{ID: "db"}, "v", resolver.AccessDenied).Hint(), "allow secretsmanager:PutSecretValue on ", "secret:db-??????")
		contains(t, refuses(t, s, resolver.Ref{ID: "new"}, "v", resolver.AccessDenied).Hint(), "allow secretsmanager:CreateSecret on ")
		fake.Fail(awsfake.Failure{Operation: "PutSecretValue", Code: "EncryptionFailure", Message: resolvertest.Canary, Echo: true})
		contains(t, refuses(t, s, resolver.Ref{ID: "other"}, "v", resolver.DecryptionFailed).Error(), "could not encrypt")
	})
	t.Run("overwrites nothing that it could not read", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fake.Put("db", `{"a":"1"}`)
		fake.Fail(awsfake.Failure{Operation: "GetSecretValue", Code: "InvalidRequestException"})
		refuses(t, s, resolver.Ref{ID: "db", Field: "b"}, "v", resolver.NotFound)
		if fake.Count("PutSecretValue")+fake.Count("CreateSecret") != 0 {
			t.Error("it writes")
		}
	})
	t.Run("takes what can be stored, at a version that can be written", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fake.Put("db", "one")
		refuses(t, s, resolver.Ref{ID: "db"}, "", resolver.InvalidReference)
		refuses(t, s, resolver.Ref{ID: "db"}, strings.Repeat("x", 65537), resolver.InvalidReference)
		refuses(t, s, resolver.Ref{ID: "db", VersionStage: "AWSPREVIOUS"}, "v", resolver.InvalidReference)
		refuses(t, s, resolver.Ref{ID: "db", VersionID: "1"}, "v", resolver.InvalidReference)
		get(t, s, resolver.Ref{ID: "db"}, "one")
	})
}

// refuses writes, which fails; the error shows neither a credential nor the value.
func refuses(t *testing.T, s resolver.Putter, ref resolver.Ref, value string, kind resolver.Kind) *resolver.Error {
	t.Helper()
	if value != "" {
		value += resolvertest.Canary
	}
	err := s.Put(t.Context(), ref, resolver.NewSecret(value))
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Hint() == "" {
		t.Fatalf("%v, want %s with a hint", err, kind)
	}
	resolvertest.NoLeak(t, err, append(keys, resolvertest.Canary)...)
	return e
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	// unconnected is a store in the bubble's own time.
	unconnected := func(t *testing.T) (*awsfake.Server, resolver.Resolver) {
		fake := awsfake.New(awsfake.Options{})
		o := fake.Login(t, "http://aws.test", awsauth.Static)
		o.Load = awsfake.Load("http://aws.test", config.WithHTTPClient(fake.Client()))
		return fake, open(t, o)
	}
	t.Run("is waited for, longer each time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake, s := unconnected(t)
			fake.Put("k", "v")
			fake.Fail(awsfake.Failure{Code: "ThrottlingException", Times: 2})
			began := time.Now()
			if r, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"}); err != nil || r.Secret.Reveal() != "v" {
				t.Fatal(err)
			}
			// 250 to 500 ms, then 500 ms to 1 s.
			if d := time.Since(began); d < 750*time.Millisecond || d > 1500*time.Millisecond {
				t.Errorf("it took %v", d)
			}
		})
	})
	t.Run("is told after three attempts, well within the limit", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake, s := unconnected(t)
			fake.Fail(awsfake.Failure{Code: "ThrottlingException", Message: resolvertest.Canary, Echo: true})
			began := time.Now()
			_, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"})
			if !errors.Is(err, resolver.Throttled) || fake.Count("GetSecretValue") != 3 || time.Since(began) > 2*time.Second {
				t.Errorf("%v, %d attempts in %v", err, fake.Count("GetSecretValue"), time.Since(began))
			}
		})
	})
	t.Run("a store that hangs is given up after 30 s", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fake, s := unconnected(t)
			fake.Fail(awsfake.Failure{Hang: true})
			began := time.Now()
			_, err := s.Resolve(t.Context(), resolver.Ref{ID: "k"})
			if d := time.Since(began); !errors.Is(err, resolver.TimedOut) || d != resolver.DefaultTimeout {
				t.Errorf("%v after %v", err, d)
			}
		})
	})
}
