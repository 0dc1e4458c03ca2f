package azurekv_test

import (
	"context"
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"kz/resolver"
	"kz/resolver/azurekv"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/azurefake"
)

// unset removes variables for the time of a test.
func unset(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Setenv(name, "") // which puts it back at the end
		os.Unsetenv(name)
	}
}

// Not parallel: the chain reads the environment.
func TestChain(t *testing.T) {
	read := func(t *testing.T, fake *azurefake.Server) {
		t.Helper()
		fake.Put("db", "v")
		s := open(t, fake, byChain)
		get(t, s, resolver.Ref{ID: "db"}, "v")
		get(t, s, resolver.Ref{ID: "db"}, "v")
	}
	t.Run("workload identity", func(t *testing.T) {
		unset(t, "AZURE_CLIENT_SECRET")
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(azurefake.Assertion), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
		fake := azurefake.New()
		read(t, fake)
		if n := fake.Count("token"); n != 1 {
			t.Errorf("%d logins", n)
		}
	})
	t.Run("the Azure CLI", func(t *testing.T) {
		unset(t, "AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID", "AZURE_TENANT_ID")
		fake := azurefake.New()
		fake.Fail(azurefake.Failure{Method: "identity", HTTP: 400, Body: "{}"}) // not a machine of Azure's
		dir := t.TempDir()
		script := "#!/bin/sh\n" +
			`[ "$*" = "account get-access-token -o json --resource https://vault.azure.net --tenant ` + azurefake.Tenant + `" ] || { echo "wrong: $*" >&2; exit 2; }` + "\n" +
			`echo '{"accessToken":"` + fake.Token() + `","expires_on":4102444800,"tokenType":"Bearer"}'` + "\n"
		if err := os.WriteFile(filepath.Join(dir, "az"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":/usr/bin:/bin")
		read(t, fake)
	})
	t.Run("nothing at all", func(t *testing.T) {
		unset(t, "AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID", "AZURE_TENANT_ID")
		fake := azurefake.New()
		fake.Fail(azurefake.Failure{Method: "identity", HTTP: 400, Body: "{}"})
		t.Setenv("PATH", t.TempDir()+":/usr/bin:/bin")
		e := fails(t, open(t, fake, byChain), resolver.Ref{ID: "db"}, resolver.AccessDenied)
		contains(t, e.Error()+" "+e.Hint(), "no Azure credentials are found", "az login", "client_secret")
	})
	t.Run("the identity of a virtual machine", func(t *testing.T) {
		unset(t, "AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID", "AZURE_TENANT_ID")
		fake := azurefake.New()
		read(t, fake)
		if n := fake.Count("token"); n != 0 {
			t.Errorf("%d logins at Entra ID", n)
		}
	})
	t.Run("the identity of App Service", func(t *testing.T) {
		unset(t, "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID") // the client is one that the user assigned
		t.Setenv("IDENTITY_ENDPOINT", "http://app-service.test/msi/token")
		t.Setenv("IDENTITY_HEADER", azurefake.IdentityKey)
		read(t, azurefake.New())
	})
	t.Run("another cloud's login", func(t *testing.T) {
		t.Setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/")
		fake := azurefake.New()
		fake.Login("login.microsoftonline.us")
		read(t, fake)
		if fake.Asked("login.microsoftonline.com") != 0 {
			t.Error("the login of the public cloud was asked")
		}
	})
	t.Run("a login that Azure does not know gets nothing, whoever set the variable", func(t *testing.T) {
		t.Setenv("AZURE_AUTHORITY_HOST", "https://"+azurefake.Elsewhere+"/")
		fake := azurefake.New()
		fake.Put("db", resolvertest.Canary)
		for _, login := range []func(*azurekv.Options){nil, byChain} {
			e := fails(t, open(t, fake, login), resolver.Ref{ID: "db"}, resolver.AccessDenied)
			contains(t, e.Error()+" "+e.Hint(), "does not know", "AZURE_AUTHORITY_HOST")
		}
		staysAtAzure(t, fake)
	})
	t.Run("a login that cannot be set up", func(t *testing.T) {
		t.Setenv("AZURE_TOKEN_CREDENTIALS", resolvertest.Canary)
		e := fails(t, open(t, azurefake.New(), byChain), resolver.Ref{ID: "db"}, resolver.InvalidReference)
		contains(t, e.Hint(), "AZURE_TOKEN_CREDENTIALS")
	})
}

func TestTheIdentityOfAMachineIsNotAskedOfAProxy(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"http://169.254.169.254/metadata/identity/oauth2/token": false,
		"https://my-vault.vault.azure.net/secrets/db":           true,
		"https://login.microsoftonline.com/":                    true,
	} {
		r, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if by, err := azurekv.Proxy(r); err != nil || (by != nil) != want {
			t.Errorf("%s goes by %v, %v", url, by, err)
		}
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	t.Run("a herd logs in once", func(t *testing.T) {
		t.Parallel()
		fake := azurefake.New()
		fake.Put("db", "v")
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
	t.Run("one who gives up leaves the login to the others", func(t *testing.T) {
		t.Parallel()
		fake := azurefake.New()
		fake.Put("db", "v")
		reached, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		s := open(t, fake, func(o *azurekv.Options) {
			o.Transport = resolvertest.Direct(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/token") {
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
	t.Run("a certificate of an unknown authority", func(t *testing.T) {
		t.Parallel()
		fake := azurefake.New()
		srv := httptest.NewUnstartedServer(fake)
		srv.Config.ErrorLog = log.New(&strings.Builder{}, "", 0)
		srv.StartTLS()
		t.Cleanup(srv.Close)
		s := open(t, fake, func(o *azurekv.Options) { o.VaultURL, o.Transport = srv.URL, nil })
		e := fails(t, s, resolver.Ref{ID: "db"}, resolver.Unavailable)
		contains(t, e.Error()+" "+e.Hint(), "unknown authority", "trust store")
		if fake.Asked(strings.TrimPrefix(srv.URL, "https://")) != 0 {
			t.Error("it was asked")
		}
	})
}

func TestLoginFailures(t *testing.T) {
	t.Parallel()
	failing := func(f azurefake.Failure) func(*azurefake.Server, *azurekv.Options) {
		return func(fake *azurefake.Server, _ *azurekv.Options) { f.Method = "token"; fake.Fail(f) }
	}
	with := func(change func(*azurekv.Options)) func(*azurefake.Server, *azurekv.Options) {
		return func(_ *azurefake.Server, o *azurekv.Options) { change(o) }
	}
	for name, c := range map[string]struct {
		set  func(*azurefake.Server, *azurekv.Options)
		kind resolver.Kind
		text []string
	}{
		"a wrong secret": {with(func(o *azurekv.Options) { o.ClientSecret = resolver.NewSecret(resolvertest.Canary) }), resolver.AccessDenied,
			[]string{"the client secret is wrong (status 400, InvalidClient)", "az ad app credential reset --id CLIENT_ID"}},
		"an unknown application": {with(func(o *azurekv.Options) { o.ClientID = "other" }), resolver.AccessDenied, []string{"no such application", "client_id"}},
		"another tenant": {with(func(o *azurekv.Options) { o.TenantID = "00000000-0000-0000-0000-000000000001" }), resolver.InvalidReference,
			[]string{"another tenant", "az account show --query tenantId"}},
		"an unknown code":           {failing(azurefake.Failure{HTTP: 401, Body: `{"error":"` + resolvertest.Canary + `","error_description":"$SENT"}`}), resolver.AccessDenied, []string{"(status 401)", "az ad app credential list"}},
		"a login that throttles":    {failing(azurefake.Failure{HTTP: 429, Body: "$SENT"}), resolver.Throttled, []string{"(status 429)"}},
		"a login that fails":        {failing(azurefake.Failure{HTTP: 503, Body: "$SENT"}), resolver.Unavailable, []string{"(status 503)"}},
		"a page":                    {failing(azurefake.Failure{HTTP: 200, Body: "<html>$SENT"}), resolver.AccessDenied, []string{"gives no token"}},
		"a login sending elsewhere": {failing(azurefake.Failure{HTTP: 307, Body: "$SENT"}), resolver.AccessDenied, []string{"gives no token"}},
		"a chain that panics": {with(func(o *azurekv.Options) {
			byChain(o)
			o.Chain = func(*azidentity.DefaultAzureCredentialOptions) (azcore.TokenCredential, error) { return nil, nil }
		}), resolver.AccessDenied, []string{"gives no token"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := azurefake.New()
			fake.Put("db", resolvertest.Canary)
			s := open(t, fake, func(o *azurekv.Options) { c.set(fake, o) })
			e := fails(t, s, resolver.Ref{ID: "db"}, c.kind)
			contains(t, e.Error()+" "+e.Hint(), c.text...)
			if err := s.Check(t.Context()); !errors.Is(err, c.kind) {
				t.Errorf("Check says %v", err)
			}
			staysAtAzure(t, fake)
		})
	}
}

// staysAtAzure checks that nothing followed an answer elsewhere.
func staysAtAzure(t *testing.T, fake *azurefake.Server) {
	t.Helper()
	if fake.Asked(azurefake.Elsewhere) != 0 {
		t.Error("a request goes where an answer sends it")
	}
}

// The SDK decides at the start of a process whether it writes to standard error.
func TestNothingIsLogged(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^(TestReferences|TestPut)$")
	cmd.Env = append(os.Environ(), "AZURE_SDK_GO_LOGGING=all")
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
