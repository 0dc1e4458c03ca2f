package azurekv

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"golang.org/x/sync/singleflight"

	"kz/resolver"
)

// login is a credential of the SDK whose errors are those of this module. One login serves all who wait for it, and goes
// on when one of them gives up.
type login struct {
	opt    *Options
	cred   azcore.TokenCredential
	flight singleflight.Group
}

func (s *Store) newLogin(o azcore.ClientOptions) (*login, error) {
	l := &login{opt: &s.opt}
	var err error
	if s.opt.TenantID != "" {
		l.cred, err = azidentity.NewClientSecretCredential(s.opt.TenantID, s.opt.ClientID, s.opt.ClientSecret.Reveal(), &azidentity.ClientSecretCredentialOptions{ClientOptions: o})
	} else {
		l.cred, err = s.opt.Chain(&azidentity.DefaultAzureCredentialOptions{ClientOptions: o})
	}
	if err != nil {
		e := &resolver.Error{Kind: resolver.InvalidReference, Message: "the Azure login cannot be set up", Advice: "check tenant_id and client_id, and AZURE_AUTHORITY_HOST, which begins with https://"}
		if s.opt.TenantID == "" {
			e.Advice = "check AZURE_TOKEN_CREDENTIALS, and AZURE_AUTHORITY_HOST, which begins with https://"
		}
		return nil, e
	}
	return l, nil
}

// GetToken implements azcore.TokenCredential.
func (l *login) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	key := strings.Join(append(slices.Clone(o.Scopes), o.TenantID, o.Claims), "\n")
	landed := l.flight.DoChan(key, func() (token any, err error) {
		defer func() {
			if recover() != nil { // its text may hold anything
				err = l.refused()
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), l.opt.Timeout)
		defer cancel()
		ctx, note := withNote(ctx)
		t, err := l.cred.GetToken(ctx, o)
		if err != nil {
			return azcore.AccessToken{}, l.explain(ctx, err, o, note.get())
		}
		return t, nil
	})
	select {
	case r := <-landed:
		if r.Err != nil {
			return azcore.AccessToken{}, r.Err
		}
		return r.Val.(azcore.AccessToken), nil
	case <-ctx.Done():
		return azcore.AccessToken{}, ctx.Err()
	}
}

func (l *login) refused() *resolver.Error {
	e := &resolver.Error{Kind: resolver.AccessDenied, Message: "Azure gives no token for these credentials",
		Advice: "see which login is used and what it may do: az account show"}
	if l.opt.TenantID != "" {
		e.Advice = "check tenant_id, client_id and client_secret: az ad app credential list --id " + shellQuote(l.opt.ClientID)
	}
	return e
}

// refusals are OAuth's error codes (RFC 6749, section 5.2), and what Entra ID says beside them.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
var (
	refusals = map[string]string{
		"invalid_grant": "InvalidGrant", "invalid_client": "InvalidClient", "unauthorized_client": "UnauthorizedClient", "invalid_scope": "InvalidScope",
		"invalid_request": "InvalidRequest", "invalid_resource": "InvalidResource", "unsupported_grant_type": "UnsupportedGrantType",
		"invalid_instance": "InvalidInstance",
	}
	details = map[int]struct{ message, advice string }{
		7000215: {"the client secret is wrong", "give its value, not its id; make a new one: az ad app credential reset --id CLIENT_ID"},
		7000222: {"the client secret has expired", "make a new one: az ad app credential reset --id CLIENT_ID"},
		700016:  {"there is no such application in the tenant", "check client_id and tenant_id: az ad app list"},
		90002:   {"there is no such tenant", "check tenant_id: az account show --query tenantId"},
	}
)

// explain says why there is no token. network is why the last request had no answer.
func (l *login) explain(ctx context.Context, err error, o policy.TokenRequestOptions, network error) error {
	if ctx.Err() != nil {
		return resolver.Transport(ctx.Err())
	}
	var failed *azidentity.AuthenticationFailedError
	switch {
	case errors.As(err, &failed) && failed.RawResponse != nil:
		return l.explainAnswer(failed.RawResponse)
	case errors.As(err, &failed) && network != nil, l.opt.TenantID != "" && network != nil:
		e := resolver.Transport(network)
		e.Message = "logging in to Azure: " + e.Message
		return e
	case l.opt.TenantID != "" && o.TenantID != "" && !strings.EqualFold(l.opt.TenantID, o.TenantID):
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "the vault belongs to another tenant than tenant_id",
			Advice: "check vault_url and tenant_id, which is the tenant's id and not its domain: az account show --query tenantId"}
	case errors.As(err, &failed), l.opt.TenantID != "":
		return l.refused()
	}
	return &resolver.Error{Kind: resolver.AccessDenied, Message: "no Azure credentials are found",
		Advice: `log in (az login), give the machine an identity, or write auth = "client_secret" in the backend`}
}

func (l *login) explainAnswer(r *http.Response) *resolver.Error {
	e := l.refused()
	e.Status = r.StatusCode
	switch {
	case r.StatusCode == http.StatusTooManyRequests:
		e.Kind, e.Message, e.Advice = resolver.Throttled, "", "wait a little and try again"
		return e
	case r.StatusCode >= 500:
		e.Kind, e.Message, e.Advice = resolver.Unavailable, "the login of Azure fails", "try again; check any proxy in between"
		return e
	}
	var answer struct {
		Error string
		Codes []int `json:"error_codes"`
	}
	body, _ := runtime.Payload(r) // without it there is no more to say
	if json.Unmarshal(body, &answer) != nil {
		return e
	}
	e.Code = refusals[answer.Error]
	if e.Code == "InvalidInstance" {
		e.Message, e.Advice = "the login is one that Azure does not know", "check AZURE_AUTHORITY_HOST, or unset it for the public cloud"
	}
	for _, n := range answer.Codes {
		if d, ok := details[n]; ok {
			e.Message, e.Advice = d.message, d.advice
		}
	}
	return e
}
