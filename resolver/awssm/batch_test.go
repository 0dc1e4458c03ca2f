package awssm_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/awsfake"
)

func refs(n int) (out []resolver.Ref) {
	for i := range n {
		out = append(out, resolver.Ref{ID: fmt.Sprintf("s%d", i)})
	}
	return out
}

func fill(fake *awsfake.Server, n int) {
	for i := range n {
		fake.Put(fmt.Sprintf("s%d", i), fmt.Sprintf("value-%d", i))
	}
}

func wantAll(t *testing.T, outs []resolver.Outcome, except ...int) {
	t.Helper()
	for i, o := range outs {
		if slices.Contains(except, i) {
			continue
		}
		if o.Err != nil || o.Result.Secret.Reveal() != fmt.Sprintf("value-%d", i) {
			t.Errorf("%d: %q %v", i, o.Result.Secret.Reveal(), o.Err)
		}
	}
}

func wantCounts(t *testing.T, fake *awsfake.Server, batch, single int) {
	t.Helper()
	if b, g := fake.Count("BatchGetSecretValue"), fake.Count("GetSecretValue"); b != batch || g != single {
		t.Errorf("%d batch calls and %d single ones, want %d and %d", b, g, batch, single)
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	t.Run("twenty secrets go in one call", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fill(fake, 45)
		wantAll(t, s.ResolveBatch(t.Context(), refs(45)))
		wantCounts(t, fake, 3, 0)
		for _, r := range fake.Requests() {
			if len(r.SecretIDs) > 20 {
				t.Errorf("%d secrets", len(r.SecretIDs))
			}
		}
	})
	t.Run("an answer in pages is read to its end", func(t *testing.T) {
		t.Parallel()
		fake := awsfake.New(awsfake.Options{PageSize: 3})
		fill(fake, 10)
		s := open(t, awsauth.Options{Region: "us-east-1", Endpoint: serve(t, fake)})
		wantAll(t, s.ResolveBatch(t.Context(), refs(10)))
		wantCounts(t, fake, 4, 0)
	})
	t.Run("a secret that fails is fetched by itself, for its own error", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fill(fake, 6)
		fake.Delete("s1")
		fake.Fail(awsfake.Failure{SecretID: "s2", Code: "AccessDeniedException", Message: resolvertest.Canary})
		fake.Fail(awsfake.Failure{Operation: "BatchGetSecretValue", SecretID: "s3", Code: "AccessDeniedException"})
		outs := s.ResolveBatch(t.Context(), refs(6))
		wantAll(t, outs, 1, 2)
		if !errors.Is(outs[1].Err, resolver.NotFound) || !errors.Is(outs[2].Err, resolver.AccessDenied) {
			t.Error(outs[1].Err, outs[2].Err)
		}
		resolvertest.NoLeak(t, outs[2].Err, resolvertest.Canary)
		wantCounts(t, fake, 1, 3)
	})
	t.Run("without the permission to batch each is fetched by itself, also the next time", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fill(fake, 5)
		fake.Fail(awsfake.Failure{Operation: "BatchGetSecretValue", Code: "AccessDeniedException"})
		wantAll(t, s.ResolveBatch(t.Context(), refs(5)))
		wantCounts(t, fake, 1, 5)
		wantAll(t, s.ResolveBatch(t.Context(), refs(5)))
		wantCounts(t, fake, 1, 10)
	})
	t.Run("where there is no batch call each is fetched by itself", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fill(fake, 5)
		fake.Fail(awsfake.Failure{Operation: "BatchGetSecretValue", Code: "UnknownOperationException"})
		wantAll(t, s.ResolveBatch(t.Context(), refs(5)))
		wantCounts(t, fake, 1, 5)
	})
	t.Run("a failing or throttling store, or bad credentials, are not asked for each", func(t *testing.T) {
		t.Parallel()
		for code, kind := range map[string]resolver.Kind{
			"ThrottlingException": resolver.Throttled, "InternalServiceError": resolver.Unavailable, "ExpiredTokenException": resolver.AccessDenied,
		} {
			fake, s := start(t)
			fill(fake, 5)
			fake.Fail(awsfake.Failure{Status: 400, Code: code, Message: resolvertest.Canary, Echo: true})
			for _, o := range s.ResolveBatch(t.Context(), refs(5)) {
				if !errors.Is(o.Err, kind) {
					t.Errorf("%s: %v", code, o.Err)
				}
				resolvertest.NoLeak(t, o.Err, append(keys, resolvertest.Canary)...)
			}
			if n := fake.Count("GetSecretValue"); n != 0 {
				t.Errorf("%s: %d single calls", code, n)
			}
			fake.Recover()
			wantAll(t, s.ResolveBatch(t.Context(), refs(5)))
			if n := fake.Count("GetSecretValue"); n != 0 {
				t.Errorf("%s: the batch call is given up", code)
			}
		}
	})
	t.Run("names, ARNs, versions and binary values in one batch", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		old := fake.Put("a", `{"x":"old"}`)
		fake.Put("a", `{"x":"1","y":"2"}`)
		fake.Put("b", "bee")
		fake.PutBinary("c", []byte("cee"))
		fake.Put("d", "dee")
		// A secret whose name is another's with something like a suffix behind.
		fake.Put("d-AbCdEf", "not d")
		arn := fake.ARN("d")
		outs := s.ResolveBatch(t.Context(), []resolver.Ref{
			{ID: "a", VersionID: old, Field: "x"}, {ID: "a", Field: "x"}, {ID: "a", Field: "y"}, {ID: "a", VersionStage: "AWSPREVIOUS", Field: "x"},
			{ID: fake.ARN("b")}, {ID: "c"}, {ID: arn[:len(arn)-7]}, {ID: "d-AbCdEf"}, {ID: "b"}, {},
		})
		for i, want := range []string{"old", "1", "2", "old", "bee", "Y2Vl", "dee", "not d", "bee"} {
			if outs[i].Err != nil || outs[i].Result.Secret.Reveal() != want {
				t.Errorf("%d: %q %v, want %q", i, outs[i].Result.Secret.Reveal(), outs[i].Err, want)
			}
		}
		if !errors.Is(outs[9].Err, resolver.InvalidReference) {
			t.Error(outs[9].Err)
		}
		if n := fake.Count("BatchGetSecretValue"); n == 0 {
			t.Error("no batch call")
		}
	})
	t.Run("one secret is no batch", func(t *testing.T) {
		t.Parallel()
		fake, s := start(t)
		fake.Put("a", `{"x":"1","y":"2"}`)
		s.ResolveBatch(t.Context(), []resolver.Ref{{ID: "a", Field: "x"}, {ID: "a", Field: "y"}})
		wantCounts(t, fake, 0, 1)
	})
}
