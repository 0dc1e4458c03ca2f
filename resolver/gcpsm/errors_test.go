package gcpsm_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/gcpsm"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/gcpfake"
)

var quiet = log.New(io.Discard, "", 0)

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failure gcpfake.Failure
		kind    resolver.Kind
		text    []string
	}{
		"no permission": {gcpfake.Failure{HTTP: 403, Status: "PERMISSION_DENIED", Reason: "IAM_PERMISSION_DENIED"}, resolver.AccessDenied,
			[]string{`may not read "db"`, "(status 403, PermissionDenied)", "secretmanager.versions.access", "gcloud secrets add-iam-policy-binding db --project=my-project", "roles/secretmanager.secretAccessor"}},
		"Secret Manager is not enabled": {gcpfake.Failure{HTTP: 403, Status: "PERMISSION_DENIED", Reason: "SERVICE_DISABLED"}, resolver.AccessDenied,
			[]string{"not enabled", "gcloud services enable secretmanager.googleapis.com --project=my-project"}},
		"no such project":             {gcpfake.Failure{HTTP: 403, Status: "PERMISSION_DENIED", Reason: "CONSUMER_INVALID"}, resolver.AccessDenied, []string{"gcloud projects describe my-project"}},
		"an unknown reason":           {gcpfake.Failure{HTTP: 403, Status: "PERMISSION_DENIED", Reason: resolvertest.Canary}, resolver.AccessDenied, []string{"may not read"}},
		"no such secret":              {gcpfake.Failure{HTTP: 404, Status: "NOT_FOUND"}, resolver.NotFound, []string{`no secret "db" in the project my-project`, "gcloud secrets versions list db --project=my-project"}},
		"a disabled version":          {gcpfake.Failure{HTTP: 400, Status: "FAILED_PRECONDITION"}, resolver.NotFound, []string{"disabled or destroyed", "(status 400, FailedPrecondition)", "gcloud secrets versions enable"}},
		"a key that is disabled":      {gcpfake.Failure{HTTP: 400, Status: "FAILED_PRECONDITION", Message: "Cloud KMS CryptoKey is not enabled"}, resolver.DecryptionFailed, []string{"roles/cloudkms.cryptoKeyEncrypterDecrypter"}},
		"throttling":                  {gcpfake.Failure{HTTP: 429, Status: "RESOURCE_EXHAUSTED"}, resolver.Throttled, []string{"(status 429, ResourceExhausted)", "ttl"}},
		"away":                        {gcpfake.Failure{HTTP: 503, Status: "UNAVAILABLE"}, resolver.Unavailable, []string{"(status 503, Unavailable)"}},
		"failing":                     {gcpfake.Failure{HTTP: 500, Status: "INTERNAL"}, resolver.Unavailable, []string{"(status 500, Internal)"}},
		"too slow by its own word":    {gcpfake.Failure{HTTP: 504, Status: "DEADLINE_EXCEEDED"}, resolver.TimedOut, []string{"(status 504, DeadlineExceeded)"}},
		"a token that is not known":   {gcpfake.Failure{HTTP: 401, Status: "UNAUTHENTICATED"}, resolver.AccessDenied, []string{"(status 401, Unauthenticated)"}},
		"a bad reference":             {gcpfake.Failure{HTTP: 400, Status: "INVALID_ARGUMENT"}, resolver.InvalidReference, []string{"refuses the reference"}},
		"an unknown state":            {gcpfake.Failure{HTTP: 400, Status: "token=" + resolvertest.Canary}, resolver.Unavailable, []string{"not one of Secret Manager (status 400)"}},
		"a gateway's page":            {gcpfake.Failure{HTTP: 502, Body: "<html>$TOKEN"}, resolver.Unavailable, []string{"not one of Secret Manager (status 502)"}},
		"a gateway that refuses":      {gcpfake.Failure{HTTP: 403, Body: "<html>$TOKEN"}, resolver.AccessDenied, []string{"(status 403)"}},
		"a gateway that throttles":    {gcpfake.Failure{HTTP: 429, Body: "$TOKEN"}, resolver.Throttled, []string{"(status 429)"}},
		"sending elsewhere":           {gcpfake.Failure{HTTP: 307, Body: "$TOKEN"}, resolver.Unavailable, []string{"(status 307)"}},
		"a page":                      {gcpfake.Failure{HTTP: 200, Body: "<html>$TOKEN"}, resolver.Unavailable, []string{"not one of Secret Manager"}},
		"an answer without a payload": {gcpfake.Failure{HTTP: 200, Body: `{"name":"$TOKEN"}`}, resolver.Unavailable, []string{"not one of Secret Manager"}},
		"a payload that is no base64": {gcpfake.Failure{HTTP: 200, Body: `{"payload":{"data":"!$TOKEN"}}`}, resolver.Unavailable, []string{"not one of Secret Manager"}},
		"an answer cut short":         {gcpfake.Failure{HTTP: 200, Body: `{"payload":{"data":"` + resolvertest.Canary}, resolver.Unavailable, []string{"not one of Secret Manager"}},
		"an endless answer":           {gcpfake.Failure{HTTP: 200, Body: `{"payload":{"data":"` + strings.Repeat("A", 2<<20) + `"}}`}, resolver.Unavailable, []string{"not one of Secret Manager"}},
		"an endless error":            {gcpfake.Failure{HTTP: 500, Body: strings.Repeat("x", 2<<20)}, resolver.Unavailable, []string{"(status 500)"}},
		"a damaged value":             {gcpfake.Failure{Damage: true}, resolver.Unavailable, []string{"does not match its checksum"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := gcpfake.New()
			fake.Put(gcpfake.Project, "db", resolvertest.Canary)
			c.failure.Message += resolvertest.Canary
			c.failure.Method = "AccessSecretVersion"
			fake.Fail(c.failure)
			s := open(t, fake, nil)
			began := time.Now()
			e := fails(t, s, resolver.Ref{ID: "db"}, c.kind)
			contains(t, e.Error()+" "+e.Hint(), c.text...)
			if n := fake.Count("AccessSecretVersion"); n > 3 {
				t.Errorf("%d attempts", n)
			}
			staysAtGoogle(t, fake)
			if d := time.Since(began); d > 15*time.Second { // Retry-After is an hour
				t.Errorf("it took %v", d)
			}
		})
	}
	for name, f := range map[string]gcpfake.Failure{
		"a failure that passes is tried again":          {HTTP: 503, Status: "UNAVAILABLE", Times: 2},
		"a value that is damaged once is fetched again": {Damage: true, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := gcpfake.New()
			fake.Put(gcpfake.Project, "db", "v")
			f.Method = "AccessSecretVersion"
			fake.Fail(f)
			get(t, open(t, fake, nil), resolver.Ref{ID: "db"}, "v")
		})
	}
	t.Run("a store that is away or silent behind a login that is there", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		behind := func(store http.RoundTripper) *gcpsm.Store {
			return open(t, fake, func(o *gcpsm.Options) { o.Transport, o.Timeout = split{fake.Transport(), store}, 2*time.Second })
		}
		fails(t, behind(broken{}), resolver.Ref{ID: "db"}, resolver.Unavailable)
		fails(t, behind(resolvertest.Direct(mute)), resolver.Ref{ID: "db"}, resolver.TimedOut)
		if fake.Count("token") != 2 {
			t.Errorf("%d logins", fake.Count("token"))
		}
	})
	t.Run("the states of a version", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		for range 3 {
			fake.Put(gcpfake.Project, "db", resolvertest.Canary)
		}
		s := open(t, fake, nil)
		fake.Version(gcpfake.Project, "db", 3, "DISABLED")
		contains(t, fails(t, s, resolver.Ref{ID: "db"}, resolver.NotFound).Error(), `version latest of "db" is disabled or destroyed`)
		fake.Version(gcpfake.Project, "db", 1, "DESTROYED")
		contains(t, fails(t, s, resolver.Ref{ID: "db", Version: 1}, resolver.NotFound).Error(), "version 1")
		contains(t, fails(t, s, resolver.Ref{ID: "db", Version: 9}, resolver.NotFound).Error(), "no version 9")
		get(t, s, resolver.Ref{ID: "db", Version: 2}, resolvertest.Canary)
	})
}

// split is a network in which calls that have a token go another way than the login.
type split struct{ login, store http.RoundTripper }

func (s split) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") != "" {
		return s.store.RoundTrip(r)
	}
	return s.login.RoundTrip(r)
}

func TestCheckNeedsNoPermission(t *testing.T) {
	t.Parallel()
	fake := gcpfake.New()
	s := open(t, fake, nil)
	if err := s.Check(t.Context()); err != nil || fake.Count("ListSecrets") != 1 {
		t.Error(err)
	}
	fake.Fail(gcpfake.Failure{Method: "ListSecrets", HTTP: 403, Status: "PERMISSION_DENIED", Reason: "IAM_PERMISSION_DENIED", Times: 1})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	fake.Fail(gcpfake.Failure{Method: "ListSecrets", HTTP: 403, Status: "PERMISSION_DENIED", Reason: "SERVICE_DISABLED", Times: 1})
	inspect(t, s.Check(t.Context()), resolver.AccessDenied)
	fake.Fail(gcpfake.Failure{Method: "ListSecrets", HTTP: 404, Status: "NOT_FOUND", Times: 1})
	contains(t, inspect(t, s.Check(t.Context()), resolver.NotFound).Error(), "no project my-project")
	if fake.Count("AccessSecretVersion") != 0 {
		t.Error("Check reads secrets")
	}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	fake := gcpfake.New()
	fake.Put(gcpfake.Project, "db", "v")
	fake.Put(gcpfake.Project+"/europe-west3", "db", "regional")
	srv := httptest.NewServer(fake)
	t.Cleanup(srv.Close)
	s := open(t, fake, func(o *gcpsm.Options) {
		o.CredentialsFile, o.Endpoint, o.Transport = write(t, fake.KeyFile(srv.URL+"/token")), srv.URL+"/", nil
	})
	get(t, s, resolver.Ref{ID: "db"}, "v")
	get(t, s, resolver.Ref{ID: "projects/my-project/locations/europe-west3/secrets/db"}, "regional")
	for _, r := range fake.Requests() {
		if r.Host != strings.TrimPrefix(srv.URL, "http://") {
			t.Errorf("a request to %s", r.Host)
		}
	}
}

func TestPut(t *testing.T) {
	t.Parallel()
	put := func(t *testing.T, s *gcpsm.Store, ref resolver.Ref, value string) {
		t.Helper()
		if err := s.Put(t.Context(), ref, resolver.NewSecret(value)); err != nil {
			t.Error(err)
		}
	}
	t.Run("a version is added, and the secret made when there is none", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		s := open(t, fake, nil)
		for _, v := range []string{"one", "two", "", "bytes \x00\xff\n"} {
			put(t, s, resolver.Ref{ID: "db"}, v)
			get(t, s, resolver.Ref{ID: "db"}, v)
		}
		if n := fake.Count("CreateSecret"); n != 1 || len(fake.Values(gcpfake.Project, "db")) != 4 {
			t.Errorf("%d, %q", n, fake.Values(gcpfake.Project, "db"))
		}
		put(t, s, resolver.Ref{ID: "projects/my-project/locations/europe-west3/secrets/db"}, "regional")
		if got := fake.Values("my-project/europe-west3", "db"); len(got) != 1 || got[0] != "regional" {
			t.Errorf("%q", got)
		}
	})
	t.Run("a field is set, and the others stay", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		s := open(t, fake, nil)
		put(t, s, resolver.Ref{ID: "db", Field: "a"}, "1")
		put(t, s, resolver.Ref{ID: "db", Field: "b"}, "2")
		put(t, s, resolver.Ref{ID: "db", Field: "a"}, "3")
		get(t, s, resolver.Ref{ID: "db"}, `{"a":"3","b":"2"}`)
		fake.Put(gcpfake.Project, "text", resolvertest.Canary)
		inspect(t, s.Put(t.Context(), resolver.Ref{ID: "text", Field: "a"}, resolver.NewSecret(resolvertest.Canary)), resolver.InvalidReference)
	})
	t.Run("what cannot be written", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		fake.Put(gcpfake.Project, "db", `{"a":"1"}`)
		s := open(t, fake, nil)
		value := resolver.NewSecret(resolvertest.Canary)
		inspect(t, s.Put(t.Context(), resolver.Ref{ID: "db", Version: 1}, value), resolver.InvalidReference)
		inspect(t, s.Put(t.Context(), resolver.Ref{}, value), resolver.InvalidReference)
		inspect(t, s.Put(t.Context(), resolver.Ref{ID: "db"}, resolver.NewSecret(strings.Repeat("x", 64<<10+1))), resolver.InvalidReference)
		denied := gcpfake.Failure{HTTP: 403, Status: "PERMISSION_DENIED", Message: resolvertest.Canary}
		denied.Method = "CreateSecret"
		fake.Fail(denied)
		contains(t, inspect(t, s.Put(t.Context(), resolver.Ref{ID: "new"}, value), resolver.AccessDenied).Hint(), "secretmanager.secrets.create", "gcloud secrets create new")
		denied.Method = "AddSecretVersion"
		fake.Fail(denied)
		contains(t, inspect(t, s.Put(t.Context(), resolver.Ref{ID: "db"}, value), resolver.AccessDenied).Hint(), "roles/secretmanager.secretVersionAdder")
		fake.Recover()
		fake.Version(gcpfake.Project, "db", 1, "DISABLED")
		inspect(t, s.Put(t.Context(), resolver.Ref{ID: "db", Field: "a"}, value), resolver.NotFound)
		if got := fake.Values(gcpfake.Project, "db"); len(got) != 1 {
			t.Errorf("%q", got)
		}
	})
	t.Run("a version is not added twice when it may have been added", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		fake.Put(gcpfake.Project, "db", "v")
		fake.Fail(gcpfake.Failure{Method: "AddSecretVersion", HTTP: 500, Status: "INTERNAL", Times: 1})
		s := open(t, fake, nil)
		err := s.Put(t.Context(), resolver.Ref{ID: "db"}, resolver.NewSecret("two"))
		if !errors.Is(err, resolver.Unavailable) || fake.Count("AddSecretVersion") != 1 {
			t.Errorf("%v, %d calls", err, fake.Count("AddSecretVersion"))
		}
	})
}
