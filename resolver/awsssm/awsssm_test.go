package awsssm_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/awsssm"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/awsfake"
)

// start makes a fake and a store of it.
func start(t *testing.T) (*awsfake.Server, *awsssm.Store) {
	t.Helper()
	fake := awsfake.New(awsfake.Options{})
	return fake, open(t, fake.Login(t, serve(t, fake), awsauth.Static))
}

func get(t *testing.T, s *awsssm.Store, ref resolver.Ref, want string) {
	t.Helper()
	r, err := s.Resolve(t.Context(), ref)
	if err != nil || r.Secret.Reveal() != want || !r.RefreshAt.IsZero() {
		t.Errorf("%+v: %q %v", ref, r.Secret.Reveal(), err)
	}
}

// inspect checks that an error shows no credential and no value, and has the texts.
func inspect(t *testing.T, err error, kind resolver.Kind, parts ...string) {
	t.Helper()
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Hint() == "" {
		t.Fatalf("%v, want %s with a hint", err, kind)
	}
	resolvertest.NoLeak(t, err, append(awsfake.Secrets(), resolvertest.Canary)...)
	for _, part := range parts {
		if !strings.Contains(e.Error()+"\n"+e.Hint(), part) {
			t.Errorf("%q\n%q lack %q", e.Error(), e.Hint(), part)
		}
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	fake, s := start(t)
	fake.PutParameter("/prod/db", `{"password":"one"}`)
	fake.PutParameter("/prod/db", `{"password":"two"}`)
	fake.PutParameter("flat", "f")
	fake.PutPlainParameter("/prod/host", "db.internal")
	fake.LabelParameter("/prod/db", "stable", 1)
	for name, c := range map[string]struct {
		ref  resolver.Ref
		want string
	}{
		"a path":                     {resolver.Ref{ID: "/prod/db", Field: "password"}, "two"},
		"a name without one":         {resolver.Ref{ID: "flat"}, "f"},
		"an ARN":                     {resolver.Ref{ID: fake.ParameterARN("/prod/db"), Field: "password"}, "two"},
		"an ARN of a flat name":      {resolver.Ref{ID: fake.ParameterARN("flat")}, "f"},
		"a version":                  {resolver.Ref{ID: "/prod/db", Version: 1, Field: "password"}, "one"},
		"a version in the name":      {resolver.Ref{ID: "/prod/db:1", Field: "password"}, "one"},
		"a version of an ARN":        {resolver.Ref{ID: fake.ParameterARN("/prod/db"), Version: 1, Field: "password"}, "one"},
		"a label":                    {resolver.Ref{ID: "/prod/db:stable", Field: "password"}, "one"},
		"a parameter that is String": {resolver.Ref{ID: "/prod/host"}, "db.internal"},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); get(t, s, c.ref, c.want) })
	}
	t.Run("a version twice", func(t *testing.T) {
		t.Parallel()
		_, err := s.Resolve(t.Context(), resolver.Ref{ID: "/prod/db:1", Version: 2})
		inspect(t, err, resolver.InvalidReference, "given twice")
	})
	t.Run("a version that is not there", func(t *testing.T) {
		t.Parallel()
		_, err := s.Resolve(t.Context(), resolver.Ref{ID: "/prod/db", Version: 9})
		inspect(t, err, resolver.NotFound, `no parameter "/prod/db" in us-east-1 with that version`, "aws ssm get-parameter-history --name /prod/db")
	})
	t.Run("a name that is too long", func(t *testing.T) {
		t.Parallel()
		_, err := s.Resolve(t.Context(), resolver.Ref{ID: strings.Repeat("x", 2049)})
		inspect(t, err, resolver.InvalidReference)
	})
	t.Run("an ARN of another region than the backend's", func(t *testing.T) {
		t.Parallel()
		_, err := s.Resolve(t.Context(), resolver.Ref{ID: "arn:aws:ssm:eu-west-1:123456789012:parameter/prod/db"})
		inspect(t, err, resolver.NotFound, `region = "eu-west-1"`)
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failure awsfake.Failure
		kind    resolver.Kind
		text    []string
	}{
		"no such parameter": {awsfake.Failure{Code: "ParameterNotFound"}, resolver.NotFound,
			[]string{`there is no parameter "/prod/api" in us-east-1`, "aws ssm describe-parameters --parameter-filters Key=Name,Values=/prod/api --region us-east-1"}},
		"no permission": {awsfake.Failure{Code: "AccessDeniedException"}, resolver.AccessDenied,
			[]string{`may not read "/prod/api"`, "allow ssm:GetParameter (and ssm:GetParameters) on arn:aws:ssm:us-east-1:*:parameter/prod/api"}},
		"no permission for the key": {awsfake.Failure{Code: "AccessDeniedException", Message: "not authorized to perform: kms:Decrypt "}, resolver.AccessDenied,
			[]string{`may not use the KMS key of "/prod/api"`, "allow kms:Decrypt"}},
		"a key that is disabled": {awsfake.Failure{Code: "InvalidKeyId"}, resolver.DecryptionFailed, []string{"kms:Decrypt", "enabled"}},
		"an expired token":       {awsfake.Failure{Code: "ExpiredTokenException"}, resolver.AccessDenied, []string{"they have expired"}},
		"throttling":             {awsfake.Failure{Code: "ThrottlingException"}, resolver.Throttled, nil},
		"a failing service":      {awsfake.Failure{Status: 500, Code: "InternalServerError"}, resolver.Unavailable, []string{"status 500"}},
		"a refused name":         {awsfake.Failure{Code: "ValidationException"}, resolver.InvalidReference, []string{"check path and version"}},
		"a gateway's page":       {awsfake.Failure{Status: 502, Body: []byte("<html>" + resolvertest.Canary)}, resolver.Unavailable, []string{"not one of Systems Manager"}},
		"200 that is not JSON":   {awsfake.Failure{Status: 200, Body: []byte("<html>" + resolvertest.Canary)}, resolver.Unavailable, nil},
		"200 with no parameter":  {awsfake.Failure{Status: 200, Body: []byte(`{}`)}, resolver.Unavailable, []string{"not one of Systems Manager"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, s := start(t)
			fake.PutParameter("/prod/api", resolvertest.Canary)
			c.failure.Message += resolvertest.Canary
			c.failure.Echo = true
			fake.Fail(c.failure)
			_, err := s.Resolve(t.Context(), resolver.Ref{ID: "/prod/api"})
			inspect(t, err, c.kind, c.text...)
		})
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	fill := func(fake *awsfake.Server, n int) (refs []resolver.Ref) {
		for i := range n {
			fake.PutParameter(fmt.Sprintf("/p/%d", i), fmt.Sprintf("value-%d", i))
			refs = append(refs, resolver.Ref{ID: fmt.Sprintf("/p/%d", i)})
		}
		return refs
	}
	all := func(t *testing.T, outs []resolver.Outcome) {
		t.Helper()
		for i, o := range outs {
			if o.Err != nil || o.Result.Secret.Reveal() != fmt.Sprintf("value-%d", i) {
				t.Errorf("%d: %q %v", i, o.Result.Secret.Reveal(), o.Err)
			}
		}
	}
	counts := func(t *testing.T, fake *awsfake.Server, together, single int) {
		t.Helper()
		if b, g := fake.Count("GetParameters"), fake.Count("GetParameter"); b != together || g != single {
			t.Errorf("%d batch calls and %d single ones, want %d and %d", b, g, together, single)
		}
	}
	t.Run("ten parameters go in one call", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		refs := fill(fake, 25)
		refs[3].ID, refs[4].ID = fake.ParameterARN("/p/3"), fake.ParameterARN("/p/4")
		all(t, s.ResolveBatch(t.Context(), refs))
		counts(t, fake, 3, 0)
	})
	t.Run("what the call does not bring is asked for by itself", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		refs := append(fill(fake, 3), resolver.Ref{ID: "/gone"}, resolver.Ref{ID: "/p/1", Version: 7})
		outs := s.ResolveBatch(t.Context(), refs)
		all(t, outs[:3])
		inspect(t, outs[3].Err, resolver.NotFound, `"/gone"`)
		inspect(t, outs[4].Err, resolver.NotFound, "with that version")
		counts(t, fake, 1, 2)
	})
	t.Run("two versions of one parameter are not mistaken for one another", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		for i := range 3 {
			fake.PutParameter("/p", fmt.Sprintf("value-%d", i))
		}
		fake.PutParameter("/p", "value-3")
		all(t, s.ResolveBatch(t.Context(), []resolver.Ref{{ID: "/p", Version: 1}, {ID: "/p:2"}, {ID: fake.ParameterARN("/p"), Version: 3}, {ID: "/p"}}))
	})
	t.Run("when one may not be read, the others can", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		refs := fill(fake, 5)
		fake.Fail(awsfake.Failure{SecretID: "/p/4", Code: "AccessDeniedException", Message: resolvertest.Canary, Echo: true})
		outs := s.ResolveBatch(t.Context(), refs)
		all(t, outs[:4])
		inspect(t, outs[4].Err, resolver.AccessDenied, "parameter/p/4")
		counts(t, fake, 1, 5)
	})
	t.Run("a failing or throttling store, or bad credentials, are not asked for each", func(t *testing.T) {
		t.Parallel()
		for code, kind := range map[string]resolver.Kind{"ThrottlingException": resolver.Throttled, "ExpiredTokenException": resolver.AccessDenied} {
			fake, s := start(t)
			refs := fill(fake, 5)
			fake.Fail(awsfake.Failure{Code: code, Message: resolvertest.Canary, Echo: true})
			for _, out := range s.ResolveBatch(t.Context(), refs) {
				inspect(t, out.Err, kind)
			}
			if n := fake.Count("GetParameter"); n != 0 {
				t.Errorf("%s: %d single calls", code, n)
			}
		}
	})
}

func TestPut(t *testing.T) {
	t.Parallel()
	put := func(t *testing.T, s *awsssm.Store, ref resolver.Ref) error {
		return s.Put(t.Context(), ref, resolver.NewSecret(resolvertest.Canary))
	}
	t.Run("makes a SecureString, of its ARN too", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		for name, id := range map[string]string{"/prod/key": "/prod/key", "flat": "flat", "/by/arn": fake.ParameterARN("/by/arn")} {
			if err := put(t, s, resolver.Ref{ID: id}); err != nil {
				t.Fatal(err)
			}
			if value, kind := fake.Parameter(name); value != resolvertest.Canary || kind != "SecureString" {
				t.Errorf("%s is a %s", name, kind)
			}
		}
	})
	t.Run("leaves a parameter of another type alone", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fake.PutPlainParameter("/prod/host", "h")
		inspect(t, put(t, s, resolver.Ref{ID: "/prod/host"}), resolver.InvalidReference, "no SecureString", "aws ssm delete-parameter --name /prod/host")
		if value, _ := fake.Parameter("/prod/host"); value != "h" {
			t.Errorf("it is %q", value)
		}
	})
	t.Run("keeps the key of a parameter that is there", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fake.PutParameter("/own", "v")
		fake.SetParameterKey("/own", "alias/prod")
		for _, id := range []string{"/own", "/new"} {
			for range 2 {
				if err := put(t, s, resolver.Ref{ID: id}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if own, other := fake.ParameterKey("/own"), fake.ParameterKey("/new"); own != "alias/prod" || other != "alias/aws/ssm" {
			t.Errorf("the keys are %s and %s", own, other)
		}
	})
	t.Run("does not write under another key when it may not look", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fake.PutParameter("/own", "v")
		fake.Fail(awsfake.Failure{Operation: "DescribeParameters", Code: "AccessDeniedException", Message: resolvertest.Canary, Echo: true})
		inspect(t, put(t, s, resolver.Ref{ID: "/own"}), resolver.AccessDenied, "allow ssm:DescribeParameters")
		if value, _ := fake.Parameter("/own"); value != "v" {
			t.Error("it writes")
		}
		if err := put(t, s, resolver.Ref{ID: "/new"}); err != nil {
			t.Error(err)
		}
	})
	t.Run("changes no older version", func(t *testing.T) {
		t.Parallel()
		_, s := start(t)
		inspect(t, put(t, s, resolver.Ref{ID: "/k", Version: 1}), resolver.InvalidReference, "older version")
		inspect(t, put(t, s, resolver.Ref{ID: "/k:1"}), resolver.InvalidReference, "older version")
	})
	t.Run("says what is wrong with a name, a value or a permission", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		inspect(t, put(t, s, resolver.Ref{ID: "a/b"}), resolver.InvalidReference, "check its name")
		inspect(t, s.Put(t.Context(), resolver.Ref{ID: "/k"}, resolver.NewSecret(strings.Repeat("x", 4097))), resolver.InvalidReference, "4096 bytes")
		fake.Fail(awsfake.Failure{Operation: "PutParameter", Code: "AccessDeniedException", Message: resolvertest.Canary, Echo: true})
		inspect(t, put(t, s, resolver.Ref{ID: "/k"}), resolver.AccessDenied, "allow ssm:PutParameter on arn:aws:ssm:us-east-1:*:parameter/k")
	})
	t.Run("overwrites nothing that it could not read", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fake.PutParameter("/k", `{"a":"1"}`)
		fake.Fail(awsfake.Failure{Operation: "GetParameter", Code: "AccessDeniedException"})
		inspect(t, put(t, s, resolver.Ref{ID: "/k", Field: "b"}), resolver.AccessDenied)
		if fake.Count("PutParameter") != 0 {
			t.Error("it writes")
		}
	})
}

func TestCheckNeedsNoPermission(t *testing.T) {
	t.Parallel()
	fake, s := start(t)
	fake.Fail(awsfake.Failure{Operation: "DescribeParameters", Code: "AccessDeniedException"})
	if err := s.Check(t.Context()); err != nil || fake.Count("GetParameter")+fake.Count("GetParameters") != 0 {
		t.Error("Check reads parameters, or needs a permission", err)
	}
	fake.Recover()
	fake.Fail(awsfake.Failure{Code: "ExpiredTokenException", Message: resolvertest.Canary, Echo: true})
	inspect(t, s.Check(t.Context()), resolver.AccessDenied)
}
