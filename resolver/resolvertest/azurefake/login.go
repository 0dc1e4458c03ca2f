package azurefake

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const resource = "https://vault.azure.net"

// discover is the answer that the login's library asks for to know that a login is one.
func discover(w http.ResponseWriter, r *http.Request, login string) {
	u, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || u.Host != login {
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_instance"})
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": "https://" + login + "/" + Tenant + "/v2.0/.well-known/openid-configuration",
		"metadata":                  []any{map[string]any{"preferred_network": login, "preferred_cache": login, "aliases": []string{login}}},
	})
}

// entra is the login of Entra ID: client credentials with a secret or a federated assertion.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func (s *Server) entra(w http.ResponseWriter, r *http.Request) {
	switch base := "https://" + r.Host + "/" + Tenant; {
	case strings.HasSuffix(r.URL.Path, "/v2.0/.well-known/openid-configuration"):
		if r.URL.Path != "/"+Tenant+"/v2.0/.well-known/openid-configuration" {
			refuse(w, r, "invalid_request", 90002)
			return
		}
		reply(w, http.StatusOK, map[string]string{
			"authorization_endpoint": base + "/oauth2/v2.0/authorize", "token_endpoint": base + "/oauth2/v2.0/token", "issuer": base + "/v2.0",
		})
	case r.URL.Path == "/"+Tenant+"/oauth2/v2.0/token" && r.Method == http.MethodPost:
		s.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil || r.URL.RawQuery != "" {
		refuse(w, r, "invalid_request", 900144)
		return
	}
	if f := s.failure("token", ""); f != nil {
		fail(w, r, f)
		return
	}
	form := r.PostForm
	switch {
	case form.Get("grant_type") != "client_credentials":
		refuse(w, r, "unsupported_grant_type", 70003)
	case form.Get("client_id") != ClientID:
		refuse(w, r, "unauthorized_client", 700016)
	case !hasScope(form.Get("scope")):
		refuse(w, r, "invalid_scope", 70011)
	case form.Has("client_assertion"):
		if form.Get("client_assertion") != Assertion || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			refuse(w, r, "invalid_client", 700211)
			return
		}
		s.give(w, "expires_in", 3600)
	case form.Get("client_secret") != ClientSecret:
		refuse(w, r, "invalid_client", 7000215)
	default:
		s.give(w, "expires_in", 3600)
	}
}

// hasScope: the scope of vaults, and beside it at most the library's own.
func hasScope(text string) bool {
	found := false
	for _, s := range strings.Fields(text) {
		switch s {
		case resource + "/.default":
			found = true
		case "openid", "profile", "offline_access":
		default:
			return false
		}
	}
	return found
}

func (s *Server) give(w http.ResponseWriter, key string, seconds int) {
	token := TokenPrefix + rand.Text()
	s.change(func() { s.tokens[token] = time.Now().Add(time.Hour) })
	answer := map[string]any{"access_token": token, "token_type": "Bearer", "ext_expires_in": seconds}
	if answer[key] = seconds; key == "expires_on" {
		answer[key] = strconv.FormatInt(time.Now().Add(time.Duration(seconds)*time.Second).Unix(), 10)
	}
	reply(w, http.StatusOK, answer)
}

func refuse(w http.ResponseWriter, r *http.Request, code string, number int) {
	reply(w, http.StatusBadRequest, map[string]any{
		"error": code, "error_codes": []int{number}, "error_description": "AADSTS" + strconv.Itoa(number) + ": " + r.PostForm.Encode(),
	})
}

// identity is the identity of a machine: of a virtual one at the link-local address, or of App Service.
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
// https://learn.microsoft.com/azure/app-service/overview-managed-identity
func (s *Server) identity(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if f := s.failure("identity", ""); f != nil {
		fail(w, r, f)
		return
	}
	machine := r.Host == "169.254.169.254" && r.URL.Path == "/metadata/identity/oauth2/token" && r.Header.Get("Metadata") == "true" && q.Get("api-version") == "2018-02-01"
	service := r.Host == "app-service.test" && r.URL.Path == "/msi/token" && r.Header.Get("X-Identity-Header") == IdentityKey && q.Get("api-version") == "2019-08-01" && q.Get("client_id") == ClientID
	if !machine && !service || strings.TrimSuffix(q.Get("resource"), "/") != resource || r.Method != http.MethodGet {
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_request", "error_description": r.URL.RawQuery})
		return
	}
	// The library keeps the tokens of machines for the whole process: one that ends within minutes it does not use again, where
	// there is another fake.
	s.give(w, "expires_on", 60)
}
