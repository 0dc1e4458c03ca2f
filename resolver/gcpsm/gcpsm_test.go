package gcpsm_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"

	"kz/resolver"
	"kz/resolver/gcpsm"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/gcpfake"
)

// credentialTexts are what no error may show. The last two begin a JWT and the line of a PEM key.
var credentialTexts = []string{gcpfake.TokenPrefix, gcpfake.RefreshToken, gcpfake.ClientSecret, "Bearer", "eyJ", "PRIVATE KEY"}

// open makes a store whose every host is the fake, with the key file of its service account.
func open(t *testing.T, fake *gcpfake.Server, change func(*gcpsm.Options)) *gcpsm.Store {
	t.Helper()
	o := gcpsm.Options{Project: gcpfake.Project, CredentialsFile: write(t, fake.KeyFile(gcpfake.TokenURL)), Transport: fake.Transport()}
	o.Detect = func(*credentials.DetectOptions) (*auth.Credentials, error) {
		t.Error("it looks for the default credentials")
		return nil, errors.New("none")
	}
	if change != nil {
		change(&o)
	}
	s, err := gcpsm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// file finds the login of a user in a file as the application default credentials do, without this machine's.
func file(path string) func(*credentials.DetectOptions) (*auth.Credentials, error) {
	return func(o *credentials.DetectOptions) (*auth.Credentials, error) {
		return credentials.NewCredentialsFromFile(credentials.AuthorizedUser, path, o)
	}
}

// mute takes requests and never answers.
var mute = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
})

// broken is a network that leads nowhere.
type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("dialing: " + gcpfake.TokenPrefix)
}

// harness is a store as Run wants it; login makes it log in in one way.
func harness(t *testing.T, login func(*gcpsm.Options, *gcpfake.Server)) resolvertest.Harness {
	fake := gcpfake.New()
	make := func(more func(*gcpsm.Options)) resolver.Resolver {
		return open(t, fake, func(o *gcpsm.Options) {
			login(o, fake)
			if more != nil {
				more(o)
			}
		})
	}
	return resolvertest.Harness{
		Resolver:    make(nil),
		Credentials: credentialTexts,
		Put:         func(_ *testing.T, id, value string) { fake.Put(gcpfake.Project, id, value) },
		Deny: func(_ *testing.T, id string) {
			fake.Fail(gcpfake.Failure{Secret: id, HTTP: 403, Status: "PERMISSION_DENIED", Reason: "IAM_PERMISSION_DENIED", Message: resolvertest.Canary})
		},
		Down: func(*testing.T) resolver.Resolver {
			return make(func(o *gcpsm.Options) { o.Transport = broken{} })
		},
		Silent: func(_ *testing.T, limit time.Duration) resolver.Resolver {
			return make(func(o *gcpsm.Options) { o.Transport, o.Timeout = resolvertest.Direct(mute), limit })
		},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("with the key file of a service account", func(t *testing.T) {
		t.Parallel()
		resolvertest.Shown(t, "gcp_secret_manager", "", "a fake, with which Google's own client agrees, that checks the service account's signed assertion, tokens, paths, hosts and checksums")
		resolvertest.Run(t, func(t *testing.T) resolvertest.Harness { return harness(t, func(*gcpsm.Options, *gcpfake.Server) {}) })
	})
	t.Run("with the login of a user as default credentials", func(t *testing.T) {
		t.Parallel()
		resolvertest.Shown(t, "gcp_secret_manager", "", "the same fake, with default credentials: a user's login and quota project; by one read each GOOGLE_APPLICATION_CREDENTIALS and the metadata server")
		resolvertest.Run(t, func(t *testing.T) resolvertest.Harness {
			return harness(t, func(o *gcpsm.Options, fake *gcpfake.Server) {
				o.CredentialsFile, o.Detect = "", file(write(t, fake.UserFile()))
			})
		})
	})
}

func get(t *testing.T, s *gcpsm.Store, ref resolver.Ref, want string) {
	t.Helper()
	r, err := s.Resolve(t.Context(), ref)
	if err != nil || r.Secret.Reveal() != want || !r.RefreshAt.IsZero() {
		t.Errorf("%+v: %q %v", ref, r.Secret.Reveal(), err)
	}
}

// fails resolves and returns the error, which shows no credential and no value.
func fails(t *testing.T, s *gcpsm.Store, ref resolver.Ref, kind resolver.Kind) *resolver.Error {
	t.Helper()
	_, err := s.Resolve(t.Context(), ref)
	return inspect(t, err, kind)
}

func inspect(t *testing.T, err error, kind resolver.Kind) *resolver.Error {
	t.Helper()
	var e *resolver.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("%v, want %s", err, kind)
	}
	if e.Hint() == "" {
		t.Errorf("no hint: %v", err)
	}
	resolvertest.NoLeak(t, err, append([]string{resolvertest.Canary}, credentialTexts...)...)
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
	fake := gcpfake.New()
	fake.Put(gcpfake.Project, "db", `{"password":"one"}`)
	fake.Put(gcpfake.Project, "db", `{"password":"two"}`)
	fake.Put("other-project", "db", "three")
	fake.Put("example.com:old", "db", "four")
	fake.Put(gcpfake.Project+"/europe-west3", "db", "five")
	fake.Put(gcpfake.Project, "empty", "")
	s := open(t, fake, nil)
	const own = "projects/" + gcpfake.Project
	for name, c := range map[string]struct {
		ref  resolver.Ref
		want string
	}{
		"a short name":                   {resolver.Ref{ID: "db", Field: "password"}, "two"},
		"a short name with a version":    {resolver.Ref{ID: "db", Field: "password", Version: 1}, "one"},
		"a full path":                    {resolver.Ref{ID: "projects/other-project/secrets/db"}, "three"},
		"a full path with a version":     {resolver.Ref{ID: own + "/secrets/db/versions/1"}, `{"password":"one"}`},
		"the same version twice":         {resolver.Ref{ID: own + "/secrets/db/versions/1", Version: 1}, `{"password":"one"}`},
		"a full path with latest":        {resolver.Ref{ID: own + "/secrets/db/versions/latest", Field: "/password"}, "two"},
		"a project of an organisation":   {resolver.Ref{ID: "projects/example.com:old/secrets/db"}, "four"},
		"a regional secret":              {resolver.Ref{ID: own + "/locations/europe-west3/secrets/db"}, "five"},
		"a regional one with a version":  {resolver.Ref{ID: own + "/locations/europe-west3/secrets/db/versions/1"}, "five"},
		"an empty value":                 {resolver.Ref{ID: "empty"}, ""},
		"what is not of Google's stores": {resolver.Ref{ID: "empty", Mount: "m", VersionStage: "s", VersionID: "v"}, ""},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); get(t, s, c.ref, c.want) })
	}
	for name, c := range map[string]struct {
		ref  resolver.Ref
		text string
	}{
		"a name with a slash":        {resolver.Ref{ID: "prod/db"}, `secret_name_template = "{orgId}-{kind}"`},
		"a name with a dot":          {resolver.Ref{ID: "db.x"}, `letters, digits, "_" and "-"`},
		"a way out of the path":      {resolver.Ref{ID: own + "/secrets/../versions/1"}, "not the name of a secret"},
		"an escape":                  {resolver.Ref{ID: "projects/a%2Fb/secrets/db"}, "not the id of a project"},
		"a query":                    {resolver.Ref{ID: own + "/secrets/db/versions/1?alt=x"}, "not a version"},
		"a host in the location":     {resolver.Ref{ID: own + "/locations/evil.example#/secrets/db"}, "not a location"},
		"no project":                 {resolver.Ref{ID: "projects//secrets/db"}, "neither a name nor a full path"},
		"more than a path":           {resolver.Ref{ID: own + "/secrets/db/versions/1/x"}, "neither a name nor a full path"},
		"two versions":               {resolver.Ref{ID: own + "/secrets/db/versions/1", Version: 2}, "name two versions"},
		"a name that is too long":    {resolver.Ref{ID: strings.Repeat("x", 256)}, "at most 255"},
		"a version that has no name": {resolver.Ref{ID: own + "/secrets/db/versions/"}, "neither a name nor a full path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := fails(t, s, c.ref, resolver.InvalidReference)
			contains(t, e.Error()+" "+e.Hint(), c.text)
		})
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, o := range []gcpsm.Options{
		{Endpoint: "http://sm.example.com"}, {Endpoint: "https://user:pw@host"}, {Endpoint: "https://host/path"}, {Endpoint: "host"},
		{Endpoint: "https://host?x=1"}, {Project: "a/b"}, {Project: "A"}, {Project: strings.Repeat("x", 400)},
	} {
		if _, err := gcpsm.New(o); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, endpoint := range []string{"https://secretmanager.europe-west3.rep.googleapis.com/", "http://127.0.0.1:8080", "http://[::1]:1", "http://localhost"} {
		if _, err := gcpsm.New(gcpsm.Options{Endpoint: endpoint}); err != nil {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}
