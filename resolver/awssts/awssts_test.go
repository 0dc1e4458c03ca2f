package awssts_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"kz/resolver"
	"kz/resolver/awsauth"
	"kz/resolver/awssts"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/awsfake"
)

// endpoint is where the fake is, for those who reach it without a connection.
const endpoint = "http://aws.test"

// start makes a fake and a store of it that need no connection.
func start(t *testing.T, o awssts.Options) (*awsfake.Server, *awssts.Store) {
	t.Helper()
	fake := awsfake.New(awsfake.Options{})
	o.Login = fake.Login(t, endpoint, awsauth.Static)
	o.Login.Load = awsfake.Load(endpoint, config.WithHTTPClient(fake.Client()))
	s, err := awssts.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return fake, s
}

const role = "arn:aws:iam::123456789012:role/deploy"

// asked is the form of the last AssumeRole.
func asked(t *testing.T, fake *awsfake.Server) url.Values {
	t.Helper()
	requests := fake.Requests()
	form, err := url.ParseQuery(string(requests[len(requests)-1].Input))
	if err != nil || form.Get("Action") != "AssumeRole" {
		t.Fatalf("%v %v", form, err)
	}
	return form
}

func TestWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	backend := awssts.Options{RoleARN: role, SessionName: "nightly", ExternalID: awsfake.ExternalID, SessionPolicy: `{"Version":"2012-10-17"}`, Duration: time.Hour}
	for name, c := range map[string]struct {
		opt  awssts.Options
		ref  resolver.Ref
		want map[string]string
	}{
		"the role, for 15 minutes as kz": {awssts.Options{}, resolver.Ref{RoleARN: role},
			map[string]string{"RoleArn": role, "RoleSessionName": "kz", "DurationSeconds": "900", "ExternalId": "", "Policy": ""}},
		"the role by another name of it": {awssts.Options{}, resolver.Ref{ID: role}, map[string]string{"RoleArn": role}},
		"what the backend says": {backend, resolver.Ref{},
			map[string]string{"RoleArn": role, "RoleSessionName": "nightly", "DurationSeconds": "3600", "ExternalId": awsfake.ExternalID, "Policy": `{"Version":"2012-10-17"}`}},
		"what the secret says, before the backend": {backend, resolver.Ref{RoleARN: role + "2", SessionName: "mine", DurationSeconds: 1800},
			map[string]string{"RoleArn": role + "2", "RoleSessionName": "mine", "DurationSeconds": "1800", "ExternalId": awsfake.ExternalID}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, s := start(t, c.opt)
			if _, err := s.Resolve(t.Context(), c.ref); err != nil {
				t.Fatal(err)
			}
			form := asked(t, fake)
			for key, want := range c.want {
				if form.Get(key) != want {
					t.Errorf("%s is %q, want %q", key, form.Get(key), want)
				}
			}
		})
	}
}

func TestValueAndItsLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake, s := start(t, awssts.Options{Duration: 1000 * time.Second})
		began := time.Now()
		r, err := s.Resolve(t.Context(), resolver.Ref{RoleARN: role})
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]string
		if err := json.Unmarshal([]byte(r.Secret.Reveal()), &v); err != nil {
			t.Fatal(err)
		}
		if want := began.Add(800 * time.Second); !r.RefreshAt.Equal(want) {
			t.Errorf("due at %v, want %v", r.RefreshAt, want)
		}
		if want := began.Add(1000 * time.Second).UTC().Format(time.RFC3339); v["expiration"] != want {
			t.Errorf("it ends at %s, want %s", v["expiration"], want)
		}
		if !strings.HasPrefix(v["access_key_id"], "ASIA") || v["secret_access_key"] == "" || v["session_token"] == "" || len(v) != 4 {
			t.Error("the object is not complete")
		}
		if n := fake.Count("AssumeRole"); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestOneCallForTheFieldsOfARole(t *testing.T) {
	t.Parallel()
	fake, s := start(t, awssts.Options{})
	var refs []resolver.Ref
	for _, field := range []string{"access_key_id", "secret_access_key", "session_token"} {
		refs = append(refs, resolver.Ref{RoleARN: role, Field: field})
	}
	for _, out := range s.ResolveBatch(t.Context(), refs) {
		if out.Err != nil || out.Result.RefreshAt.IsZero() {
			t.Error(out.Err)
		}
	}
	if n := fake.Count("AssumeRole"); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failure awsfake.Failure
		kind    resolver.Kind
		text    []string
	}{
		"a role that may not be assumed": {awsfake.Failure{Code: "AccessDenied", Status: 403}, resolver.AccessDenied,
			[]string{"the role " + role + " may not be assumed", "sts:AssumeRole", "external_id"}},
		"a policy that STS does not take": {awsfake.Failure{Code: "MalformedPolicyDocument"}, resolver.InvalidReference, []string{"session_policy"}},
		"a policy that is too large":      {awsfake.Failure{Code: "PackedPolicyTooLarge"}, resolver.InvalidReference, []string{"session_policy"}},
		"a duration past the role's":      {awsfake.Failure{Code: "ValidationError"}, resolver.InvalidReference, []string{"duration_seconds"}},
		"an expired token":                {awsfake.Failure{Code: "ExpiredToken", Status: 403}, resolver.AccessDenied, []string{"they have expired"}},
		"throttling":                      {awsfake.Failure{Code: "Throttling"}, resolver.Throttled, nil},
		"a gateway's page":                {awsfake.Failure{Status: 502, Body: []byte("<html>" + resolvertest.Canary)}, resolver.Unavailable, []string{"not one of STS"}},
		"200 without credentials":         {awsfake.Failure{Status: 200, Body: []byte(`<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>`)}, resolver.Unavailable, []string{"not one of STS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, s := start(t, awssts.Options{ExternalID: awsfake.ExternalID})
			c.failure.Message, c.failure.Echo = resolvertest.Canary, true
			fake.Fail(c.failure)
			_, err := s.Resolve(t.Context(), resolver.Ref{RoleARN: role})
			var e *resolver.Error
			if !errors.As(err, &e) || e.Kind != c.kind || e.Hint() == "" {
				t.Fatalf("%v, want %s with a hint", err, c.kind)
			}
			resolvertest.NoLeak(t, err, append(awsfake.Secrets(), resolvertest.Canary)...)
			for _, part := range c.text {
				if !strings.Contains(e.Error()+"\n"+e.Hint(), part) {
					t.Errorf("%q\n%q lack %q", e.Error(), e.Hint(), part)
				}
			}
		})
	}
	t.Run("credentials that have ended", func(t *testing.T) {
		t.Parallel()
		fake := awsfake.New(awsfake.Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }})
		o := fake.Login(t, endpoint, awsauth.Static)
		o.Load = awsfake.Load(endpoint, config.WithHTTPClient(fake.Client()))
		s, err := awssts.New(awssts.Options{Login: o})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Resolve(t.Context(), resolver.Ref{RoleARN: role}); !errors.Is(err, resolver.Unavailable) || !strings.Contains(err.Error(), "have ended already") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a policy that is no JSON is seen at once", func(t *testing.T) {
		t.Parallel()
		if _, err := awssts.New(awssts.Options{SessionPolicy: "{"}); err == nil {
			t.Error("it is taken")
		}
	})
}

func TestCheckAssumesNothing(t *testing.T) {
	t.Parallel()
	fake, s := start(t, awssts.Options{})
	if err := s.Check(t.Context()); err != nil || fake.Count("AssumeRole") != 0 || fake.Count("GetCallerIdentity") != 1 {
		t.Error("Check assumes a role, or does not ask", err)
	}
}
