package gcpsm_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"

	"kz/resolver"
	"kz/resolver/gcpsm"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/gcpfake"
)

// Not parallel: the library looks into the environment.
func TestDefaultCredentials(t *testing.T) {
	read := func(t *testing.T, fake *gcpfake.Server) {
		t.Helper()
		fake.Put(gcpfake.Project, "db", "v")
		s := open(t, fake, func(o *gcpsm.Options) { o.Project, o.CredentialsFile, o.Detect = "", "", nil })
		get(t, s, resolver.Ref{ID: "projects/" + gcpfake.Project + "/secrets/db"}, "v")
		get(t, s, resolver.Ref{ID: "projects/" + gcpfake.Project + "/secrets/db"}, "v")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{"GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"} {
		t.Setenv(name, "")
	}
	t.Run("a key file that the environment names", func(t *testing.T) {
		fake := gcpfake.New()
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", write(t, fake.KeyFile(gcpfake.TokenURL)))
		read(t, fake)
		if n := fake.Count("token"); n != 1 {
			t.Errorf("%d logins", n)
		}
	})
	t.Run("a file that the environment names and that is not there", func(t *testing.T) {
		t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(home, "none.json"))
		s := open(t, gcpfake.New(), func(o *gcpsm.Options) { o.CredentialsFile, o.Detect = "", nil })
		contains(t, fails(t, s, resolver.Ref{ID: "db"}, resolver.AccessDenied).Error(), "GOOGLE_APPLICATION_CREDENTIALS")
	})
	t.Run("what gcloud left in the user's configuration", func(t *testing.T) {
		fake := gcpfake.New()
		dir := filepath.Join(home, ".config", "gcloud")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "application_default_credentials.json")
		if err := os.WriteFile(file, fake.UserFile(), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(file) })
		read(t, fake)
		if n := fake.Count("token"); n != 1 {
			t.Errorf("%d logins", n)
		}
	})
	t.Run("the metadata server, and its project for short names", func(t *testing.T) {
		fake := gcpfake.New()
		fake.Put(gcpfake.Project, "db", "v")
		machine := httptest.NewServer(fake)
		t.Cleanup(machine.Close)
		t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(machine.URL, "http://"))
		read(t, fake)
		s := open(t, fake, func(o *gcpsm.Options) { o.Project, o.CredentialsFile, o.Detect = "", "", nil })
		get(t, s, resolver.Ref{ID: "db"}, "v")
		if fake.Count("metadata") == 0 || fake.Count("token") != 0 {
			t.Errorf("%d and %d logins", fake.Count("metadata"), fake.Count("token"))
		}
		fake.Fail(gcpfake.Failure{Method: "metadata", HTTP: 404, Body: resolvertest.Canary})
		none := open(t, fake, func(o *gcpsm.Options) { o.CredentialsFile, o.Detect = "", nil })
		contains(t, fails(t, none, resolver.Ref{ID: "db"}, resolver.AccessDenied).Error(), "no service account")
		fake.Recover()
		fake.Fail(gcpfake.Failure{Method: "metadata", HTTP: 403, Body: resolvertest.Canary})
		contains(t, fails(t, none, resolver.Ref{ID: "db"}, resolver.AccessDenied).Error(), "(status 403)")
	})
}

func TestLogin(t *testing.T) {
	t.Parallel()
	t.Run("a herd logs in once, and again only when the token ends", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		fake.Put(gcpfake.Project, "db", "v")
		s := open(t, fake, nil)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { get(t, s, resolver.Ref{ID: "db"}, "v") })
		}
		all.Wait()
		if n := fake.Count("token"); n != 1 {
			t.Errorf("%d logins", n)
		}
	})
	t.Run("a token that ends is replaced before", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		fake.Lifetime(time.Minute) // the library takes one that ends within 3 min 45 s for over
		fake.Put(gcpfake.Project, "db", "v")
		s := open(t, fake, nil)
		get(t, s, resolver.Ref{ID: "db"}, "v")
		get(t, s, resolver.Ref{ID: "db"}, "v")
		if n := fake.Count("token"); n != 2 {
			t.Errorf("%d logins", n)
		}
	})
	t.Run("a token that is refused is replaced once", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		fake.Put(gcpfake.Project, "db", "v")
		s := open(t, fake, nil)
		get(t, s, resolver.Ref{ID: "db"}, "v")
		fake.Revoke()
		get(t, s, resolver.Ref{ID: "db"}, "v")
		if n := fake.Count("token"); n != 2 {
			t.Errorf("%d logins", n)
		}
		fake.Fail(gcpfake.Failure{HTTP: 401, Status: "UNAUTHENTICATED"})
		contains(t, fails(t, s, resolver.Ref{ID: "db"}, resolver.AccessDenied).Error(), "does not accept the token (status 401, Unauthenticated)")
		if n := fake.Count("AccessSecretVersion"); n != 5 {
			t.Errorf("%d calls", n)
		}
	})
	t.Run("a key file that is put right is read again", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		fake.Put(gcpfake.Project, "db", "v")
		path := write(t, fake.ForeignKeyFile(gcpfake.TokenURL))
		s := open(t, fake, func(o *gcpsm.Options) { o.CredentialsFile = path })
		e := fails(t, s, resolver.Ref{ID: "db"}, resolver.AccessDenied)
		contains(t, e.Error()+" "+e.Hint(), "(status 400, InvalidGrant)", "gcloud iam service-accounts keys list", "clock")
		if err := os.WriteFile(path, fake.KeyFile(gcpfake.TokenURL), 0o600); err != nil {
			t.Fatal(err)
		}
		get(t, s, resolver.Ref{ID: "db"}, "v")
	})
	t.Run("the project of short names is that of the credentials when none is given", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		fake.Put(gcpfake.Project, "db", "v")
		get(t, open(t, fake, func(o *gcpsm.Options) { o.Project = "" }), resolver.Ref{ID: "db"}, "v")
		user := open(t, fake, func(o *gcpsm.Options) {
			o.Project, o.CredentialsFile, o.Detect = "", "", file(write(t, fake.UserFile()))
		})
		contains(t, fails(t, user, resolver.Ref{ID: "db"}, resolver.InvalidReference).Hint(), `project = "my-project"`, "GOOGLE_CLOUD_PROJECT")
		get(t, user, resolver.Ref{ID: "projects/" + gcpfake.Project + "/secrets/db"}, "v")
		if err := user.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("one who gives up leaves the login to the others", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		fake.Put(gcpfake.Project, "db", "v")
		reached, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		s := open(t, fake, func(o *gcpsm.Options) {
			o.Transport = resolvertest.Direct(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/token" {
					once.Do(func() { close(reached) })
					<-release
				}
				fake.ServeHTTP(w, r)
			}))
		})
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { _, err := s.Resolve(ctx, resolver.Ref{ID: "db"}); gone <- err }()
		<-reached
		var other sync.WaitGroup
		other.Go(func() { get(t, s, resolver.Ref{ID: "db"}, "v") })
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		close(release)
		other.Wait()
		if n := fake.Count("token"); n != 1 {
			t.Errorf("%d logins", n)
		}
	})
}

func TestLoginFailures(t *testing.T) {
	t.Parallel()
	failing := func(f gcpfake.Failure) func(*testing.T, *gcpfake.Server, *gcpsm.Options) {
		return func(_ *testing.T, fake *gcpfake.Server, _ *gcpsm.Options) { f.Method = "token"; fake.Fail(f) }
	}
	holding := func(text string) func(*testing.T, *gcpfake.Server, *gcpsm.Options) {
		return func(t *testing.T, _ *gcpfake.Server, o *gcpsm.Options) { o.CredentialsFile = write(t, []byte(text)) }
	}
	for name, c := range map[string]struct {
		set  func(*testing.T, *gcpfake.Server, *gcpsm.Options)
		kind resolver.Kind
		text []string
	}{
		"no key file": {func(t *testing.T, _ *gcpfake.Server, o *gcpsm.Options) {
			o.CredentialsFile = t.TempDir() + "/none.json"
		},
			resolver.AccessDenied, []string{"there is no file", "none.json", "credentials_file"}},
		"a key file that is not JSON":     {holding(resolvertest.Canary), resolver.InvalidReference, []string{"not the key file of a service account"}},
		"a key that is no key":            {holding(`{"type":"service_account","client_email":"a@b","private_key":"` + resolvertest.Canary + `","token_uri":"` + gcpfake.TokenURL + `"}`), resolver.AccessDenied, []string{"give no token"}},
		"a file of another type":          {holding(`{"type":"external_account","audience":"` + resolvertest.Canary + `"}`), resolver.InvalidReference, []string{"GOOGLE_APPLICATION_CREDENTIALS"}},
		"a user's file as the key file":   {func(t *testing.T, f *gcpfake.Server, o *gcpsm.Options) { o.CredentialsFile = write(t, f.UserFile()) }, resolver.InvalidReference, []string{"not the key file"}},
		"no default credentials":          {none, resolver.AccessDenied, []string{"no Google credentials are found", "gcloud auth application-default login"}},
		"a library that panics":           {panicking, resolver.AccessDenied, []string{"cannot be used"}},
		"an account that is not known":    {failing(gcpfake.Failure{HTTP: 400, Body: `{"error":"invalid_grant","error_description":"` + resolvertest.Canary + `"}`}), resolver.AccessDenied, []string{"InvalidGrant"}},
		"an unknown code":                 {failing(gcpfake.Failure{HTTP: 401, Body: `{"error":"` + resolvertest.Canary + `"}`}), resolver.AccessDenied, []string{"(status 401)"}},
		"a token endpoint that throttles": {failing(gcpfake.Failure{HTTP: 429, Body: resolvertest.Canary}), resolver.Throttled, []string{"(status 429)"}},
		"a token endpoint that fails":     {failing(gcpfake.Failure{HTTP: 503, Body: resolvertest.Canary}), resolver.Unavailable, []string{"(status 503)"}},
		"an answer that is no token":      {failing(gcpfake.Failure{HTTP: 200, Body: `{"access_token":""}`}), resolver.AccessDenied, []string{"give no token"}},
		"an answer that is not JSON":      {failing(gcpfake.Failure{HTTP: 200, Body: "<html>" + resolvertest.Canary}), resolver.AccessDenied, []string{"give no token"}},
		"an endless answer":               {failing(gcpfake.Failure{HTTP: 200, Body: strings.Repeat(" ", 3<<20) + "{}"}), resolver.AccessDenied, []string{"give no token"}},
		"an answer that sends elsewhere":  {failing(gcpfake.Failure{HTTP: 307, Body: resolvertest.Canary}), resolver.AccessDenied, []string{"(status 307)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := gcpfake.New()
			fake.Put(gcpfake.Project, "db", resolvertest.Canary)
			s := open(t, fake, func(o *gcpsm.Options) { c.set(t, fake, o) })
			_, err := s.Resolve(t.Context(), resolver.Ref{ID: "db"})
			var e *resolver.Error
			if !errors.As(err, &e) || e.Kind != c.kind {
				t.Fatalf("%v, want %s", err, c.kind)
			}
			resolvertest.NoLeak(t, err, append([]string{resolvertest.Canary}, credentialTexts...)...)
			contains(t, e.Error()+" "+e.Hint(), c.text...)
			if err := s.Check(t.Context()); !errors.Is(err, c.kind) {
				t.Errorf("Check says %v", err)
			}
			staysAtGoogle(t, fake)
		})
	}
	t.Run("a certificate of an unknown authority", func(t *testing.T) {
		t.Parallel()
		fake := gcpfake.New()
		srv := httptest.NewUnstartedServer(fake)
		srv.Config.ErrorLog = quiet
		srv.StartTLS()
		t.Cleanup(srv.Close)
		s := open(t, fake, func(o *gcpsm.Options) {
			o.CredentialsFile, o.Endpoint, o.Transport = write(t, fake.KeyFile(srv.URL+"/token")), srv.URL, nil
		})
		e := fails(t, s, resolver.Ref{ID: "db"}, resolver.Unavailable)
		contains(t, e.Error()+" "+e.Hint(), "unknown authority", "trust store")
		if len(fake.Requests()) != 0 {
			t.Error("it was asked")
		}
	})
}

// staysAtGoogle checks that nothing followed an answer elsewhere.
func staysAtGoogle(t *testing.T, fake *gcpfake.Server) {
	t.Helper()
	for _, r := range fake.Requests() {
		if r.Host == gcpfake.Elsewhere {
			t.Error("a request goes where an answer sends it")
		}
	}
}

// The library decides by the environment whether it writes what it sends to standard error.
func TestNothingIsLogged(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^(TestReferences|TestPut)$")
	cmd.Env = append(os.Environ(), "GOOGLE_SDK_GO_LOGGING_LEVEL=debug")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v: %s", err, out)
	}
	if errs.Len() != 0 {
		t.Errorf("%d bytes are written to standard error, which begin %.60q", errs.Len(), errs.String())
	}
}

func none(_ *testing.T, _ *gcpfake.Server, o *gcpsm.Options) {
	o.CredentialsFile = ""
	o.Detect = func(*credentials.DetectOptions) (*auth.Credentials, error) {
		return nil, errors.New(resolvertest.Canary)
	}
}

func panicking(_ *testing.T, _ *gcpfake.Server, o *gcpsm.Options) {
	o.CredentialsFile = ""
	o.Detect = func(*credentials.DetectOptions) (*auth.Credentials, error) { panic(resolvertest.Canary) }
}
