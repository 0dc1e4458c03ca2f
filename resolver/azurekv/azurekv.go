// Package azurekv reads and writes secrets of Azure Key Vault.
//
// A reference's ID is the name of a secret in the store's vault; VersionID picks
// a version, the newest being the default. The value is the secret as it is,
// whatever its content type says.
//
// Credentials are an application's client secret, or the SDK's default chain:
// the environment (AZURE_CLIENT_SECRET and the like), workload identity, managed
// identity, the login of the Azure CLI and its relatives. No browser is started.
// AZURE_AUTHORITY_HOST names the login of another cloud, AZURE_TOKEN_CREDENTIALS
// a part of the chain.
package azurekv

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"kz/resolver"
)

// Options sets up a Store.
type Options struct {
	VaultURL string        // as in "https://my-vault.vault.azure.net"
	Timeout  time.Duration // of one call with its login and retries; 0 is resolver.DefaultTimeout

	// An application and its secret: all three, or none for the default chain.
	TenantID, ClientID string
	ClientSecret       resolver.Secret

	// Chain makes the default chain. Nil: azidentity.NewDefaultAzureCredential.
	Chain func(*azidentity.DefaultAzureCredentialOptions) (azcore.TokenCredential, error)
	// Transport carries every request. Nil: one that obeys HTTPS_PROXY.
	Transport http.RoundTripper
}

// Store is one vault as seen with one set of credentials. It is safe for concurrent use.
type Store struct {
	opt Options

	mu     sync.Mutex
	client *azsecrets.Client
}

// New makes a Store. It does no I/O and makes no client. All problems with the options are reported together.
func New(o Options) (*Store, error) {
	var problems []error
	o.VaultURL = strings.TrimSuffix(o.VaultURL, "/")
	if u, err := url.Parse(o.VaultURL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		problems = append(problems, errors.New("azurekv: vault_url is not of the form https://NAME.vault.azure.net"))
	}
	given := o.TenantID != "" || o.ClientID != "" || !o.ClientSecret.IsZero()
	if given && (o.TenantID == "" || o.ClientID == "" || o.ClientSecret.IsZero()) {
		problems = append(problems, errors.New("azurekv: tenant_id, client_id and client_secret belong together"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = resolver.DefaultTimeout
	}
	if o.Chain == nil {
		o.Chain = func(c *azidentity.DefaultAzureCredentialOptions) (azcore.TokenCredential, error) {
			return azidentity.NewDefaultAzureCredential(c)
		}
	}
	return &Store{opt: o}, nil
}

// Resolve fetches one value.
func (s *Store) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	r, err := s.fetch(ctx, ref)
	if err != nil {
		return resolver.Result{}, err
	}
	return resolver.PickField(r, ref.Field, resolver.Field)
}

// ResolveBatch fetches each version once, eight at the same time.
func (s *Store) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	return resolver.Wave(ctx, refs, resolver.DefaultLimit, s.fetch, resolver.Field)
}

// fetch gets the whole value of a version.
func (s *Store) fetch(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	if err := s.validate(ref); err != nil {
		return resolver.Result{}, err
	}
	answer, err := s.get(ctx, ref)
	if err != nil {
		return resolver.Result{}, err
	}
	if answer.Value == nil {
		return resolver.Result{}, notKeyVault(http.StatusOK)
	}
	return resolver.Result{Secret: resolver.NewSecret(*answer.Value)}, nil
}

func (s *Store) get(ctx context.Context, ref resolver.Ref) (azsecrets.GetSecretResponse, error) {
	return call(ctx, s, reading, ref, func(ctx context.Context, c *azsecrets.Client) (azsecrets.GetSecretResponse, error) {
		return c.GetSecret(ctx, ref.ID, ref.VersionID, nil)
	})
}

// Check asks for the names of secrets. That the account may not list them is no failure: the answer shows that the vault
// knows the credentials.
func (s *Store) Check(ctx context.Context) error {
	_, err := call(ctx, s, listing, resolver.Ref{}, func(ctx context.Context, c *azsecrets.Client) (azsecrets.ListSecretPropertiesResponse, error) {
		return c.NewListSecretPropertiesPager(nil).NextPage(ctx)
	})
	var e *resolver.Error
	if errors.As(err, &e) && e.Message == mayNotList {
		return nil
	}
	return err
}

// call makes one call with the client, which is made at the first use. The SDK waits for others' logins without heeding
// the context, and panics at some answers: here the caller leaves in time, and a panic is an error.
func call[T any](ctx context.Context, s *Store, what operation, ref resolver.Ref, do func(context.Context, *azsecrets.Client) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	type outcome struct {
		answer T
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		var out outcome
		defer func() {
			if recover() != nil { // its text may hold anything
				out.err = notKeyVault(0)
			}
			done <- out
		}()
		if out.err = ctx.Err(); out.err != nil {
			return
		}
		client, err := s.open()
		if err != nil {
			out.err = err
			return
		}
		out.answer, out.err = do(ctx, client)
	}()
	var none T
	select {
	case out := <-done:
		if out.err != nil {
			return none, s.explain(ctx, out.err, what, ref)
		}
		return out.answer, nil
	case <-ctx.Done():
		return none, resolver.Transport(ctx.Err())
	}
}
