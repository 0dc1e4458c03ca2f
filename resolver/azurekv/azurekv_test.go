package azurekv_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/azurekv"
	"kz/resolver/resolvertest"
	"kz/resolver/resolvertest/azurefake"
)

// TestMain gives the default chain an application in the environment, and nothing else of this machine.
func TestMain(m *testing.M) {
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "AZURE_") && name != "AZURE_SDK_GO_LOGGING" || strings.HasPrefix(name, "IDENTITY_") || strings.HasPrefix(name, "MSI_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("AZURE_TENANT_ID", azurefake.Tenant)
	os.Setenv("AZURE_CLIENT_ID", azurefake.ClientID)
	os.Setenv("AZURE_CLIENT_SECRET", azurefake.ClientSecret)
	// Read once in a process. What is on this machine is reached without it.
	os.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	os.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	os.Exit(m.Run())
}

// credentialTexts are what no error may show.
var credentialTexts = []string{azurefake.TokenPrefix, azurefake.ClientSecret, azurefake.Assertion, azurefake.IdentityKey, "Bearer", "eyJ"}

// open makes a store whose every host is the fake, with the secret of an application.
func open(t *testing.T, fake *azurefake.Server, change func(*azurekv.Options)) *azurekv.Store {
	t.Helper()
	o := azurekv.Options{VaultURL: azurefake.VaultURL, Transport: fake.Transport(),
		TenantID: azurefake.Tenant, ClientID: azurefake.ClientID, ClientSecret: resolver.NewSecret(azurefake.ClientSecret)}
	if change != nil {
		change(&o)
	}
	s, err := azurekv.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// byChain makes a store log in by the default chain.
func byChain(o *azurekv.Options) {
	o.TenantID, o.ClientID, o.ClientSecret = "", "", resolver.Secret{}
}

// mute takes requests and never answers.
var mute = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
})

// broken is a network that leads nowhere.
type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("dialing: " + azurefake.TokenPrefix)
}

// harness is a store as Run wants it; login makes it log in in one way.
func harness(t *testing.T, login func(*azurekv.Options)) resolvertest.Harness {
	fake := azurefake.New()
	make := func(more func(*azurekv.Options)) resolver.Resolver {
		return open(t, fake, func(o *azurekv.Options) {
			login(o)
			if more != nil {
				more(o)
			}
		})
	}
	return resolvertest.Harness{
		Resolver:    make(nil),
		Credentials: credentialTexts,
		Put:         func(_ *testing.T, id, value string) { fake.Put(id, value) },
		Deny: func(_ *testing.T, id string) {
			fake.Fail(azurefake.Failure{Secret: id, HTTP: 403, Code: "Forbidden", Inner: "ForbiddenByRbac", Message: resolvertest.Canary})
		},
		Down: func(*testing.T) resolver.Resolver {
			return make(func(o *azurekv.Options) { o.Transport = broken{} })
		},
		Silent: func(_ *testing.T, limit time.Duration) resolver.Resolver {
			return make(func(o *azurekv.Options) { o.Transport, o.Timeout = resolvertest.Direct(mute), limit })
		},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("with the secret of an application", func(t *testing.T) {
		t.Parallel()
		resolvertest.Shown(t, "azure_key_vault", "client_secret", "a fake that checks the login of Entra ID, the vault's challenge, tokens, paths and bodies")
		resolvertest.Run(t, func(t *testing.T) resolvertest.Harness { return harness(t, func(*azurekv.Options) {}) })
	})
	t.Run("with the default chain", func(t *testing.T) {
		t.Parallel()
		resolvertest.Shown(t, "azure_key_vault", "default", "the same fake: the environment; by one read each workload identity, managed identity and the Azure CLI")
		resolvertest.Run(t, func(t *testing.T) resolvertest.Harness { return harness(t, byChain) })
	})
}

func get(t *testing.T, s *azurekv.Store, ref resolver.Ref, want string) {
	t.Helper()
	r, err := s.Resolve(t.Context(), ref)
	if err != nil || r.Secret.Reveal() != want || !r.RefreshAt.IsZero() {
		t.Errorf("%+v: %q %v", ref, r.Secret.Reveal(), err)
	}
}

// fails resolves and returns the error, which shows no credential and no value.
func fails(t *testing.T, s *azurekv.Store, ref resolver.Ref, kind resolver.Kind) *resolver.Error {
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
	fake := azurefake.New()
	first := fake.Put("db", `{"password":"one"}`)
	fake.Put("db", `{"password":"two"}`)
	fake.Put("empty", "")
	fake.PutVersion("pem", azurefake.Version{Value: "-----BEGIN-----\n", ContentType: "application/x-pem-file", Tags: map[string]string{"a": "b"}})
	s := open(t, fake, nil)
	for name, c := range map[string]struct {
		ref  resolver.Ref
		want string
	}{
		"a name":                    {resolver.Ref{ID: "db", Field: "password"}, "two"},
		"a version":                 {resolver.Ref{ID: "db", VersionID: first, Field: "password"}, "one"},
		"an empty value":            {resolver.Ref{ID: "empty"}, ""},
		"a value of a content type": {resolver.Ref{ID: "pem"}, "-----BEGIN-----\n"},
		"what is not of Azure":      {resolver.Ref{ID: "empty", Mount: "m", VersionStage: "s"}, ""},
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); get(t, s, c.ref, c.want) })
	}
	for name, c := range map[string]struct {
		ref  resolver.Ref
		text string
	}{
		"a name with a slash":         {resolver.Ref{ID: "prod/openai_key"}, `perhaps "prod-openai-key"`},
		"a name with an underscore":   {resolver.Ref{ID: "API_KEY"}, `perhaps "API-KEY"`},
		"a template's default":        {resolver.Ref{ID: "acme/jira"}, `secret_name_template = "{orgId}-{kind}"`},
		"a way out of the path":       {resolver.Ref{ID: "../keys/x"}, "cannot be a name"},
		"a name that is too long":     {resolver.Ref{ID: strings.Repeat("x", 128)}, "longer than 127"},
		"a version with other things": {resolver.Ref{ID: "db", VersionID: "../x"}, "version_id"},
		"a number as a version":       {resolver.Ref{ID: "db", Version: 1}, "no numbered versions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := fails(t, s, c.ref, resolver.InvalidReference)
			contains(t, e.Error()+" "+e.Hint(), c.text)
		})
	}
	t.Run("a version that is not there", func(t *testing.T) {
		t.Parallel()
		e := fails(t, s, resolver.Ref{ID: "db", VersionID: strings.Repeat("0", 32)}, resolver.NotFound)
		contains(t, e.Error()+" "+e.Hint(), "with that version", "az keyvault secret list-versions --vault-name my-vault --name db")
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, o := range []azurekv.Options{
		{}, {VaultURL: "http://my-vault.vault.azure.net"}, {VaultURL: "https://user:pw@host"}, {VaultURL: "https://host/path"}, {VaultURL: "my-vault"},
		{VaultURL: azurefake.VaultURL, TenantID: "t", ClientID: "c"}, {VaultURL: azurefake.VaultURL, ClientSecret: resolver.NewSecret("pw")},
	} {
		if _, err := azurekv.New(o); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := azurekv.New(azurekv.Options{VaultURL: azurefake.VaultURL + "/"}); err != nil {
		t.Error(err)
	}
}
