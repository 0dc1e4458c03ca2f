package gcpfake

import (
	"crypto"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	wantScope = "https://www.googleapis.com/auth/cloud-platform"
	jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// token is the token endpoint: RFC 7523 for a service account, a refresh token for a user.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if f := s.failure("token", ""); f != nil {
		fail(w, r, f)
		return
	}
	refuse := func(code, why string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		w.Write(mustJSON(map[string]string{"error": code, "error_description": why + " " + r.PostForm.Encode()}))
	}
	if r.Method != http.MethodPost || r.ParseForm() != nil || len(r.URL.RawQuery) != 0 {
		refuse("invalid_request", "not a form")
		return
	}
	switch r.PostForm.Get("grant_type") {
	case jwtBearer:
		if err := checkAssertion(r.PostForm.Get("assertion"), endpoint(r)); err != nil {
			refuse("invalid_grant", err.Error())
			return
		}
		s.give(w, false)
	case "refresh_token":
		id, password, _ := r.BasicAuth()
		if id == "" {
			id, password = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
		}
		secret, err := url.QueryUnescape(password)
		if err != nil || secret != ClientSecret || !strings.HasSuffix(id, ".apps.googleusercontent.com") {
			refuse("invalid_client", "no such client")
			return
		}
		if r.PostForm.Get("refresh_token") != RefreshToken {
			refuse("invalid_grant", "no such token")
			return
		}
		s.give(w, true)
	default:
		refuse("unsupported_grant_type", "?")
	}
}

// endpoint is the URL that a request came to.
func endpoint(r *http.Request) string {
	scheme := "https"
	if strings.HasPrefix(r.Host, "127.0.0.1:") && r.TLS == nil {
		scheme = "http"
	}
	return scheme + "://" + r.Host + r.URL.Path
}

// checkAssertion checks the JWT as Google does.
// https://developers.google.com/identity/protocols/oauth2/service-account#httprest
func checkAssertion(assertion, audience string) error {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%d parts", len(parts))
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return err
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&key().PublicKey, crypto.SHA256, sum[:], raw[2]); err != nil {
		return err
	}
	var header struct{ Alg, Typ, Kid string }
	var claims struct {
		Iss, Aud, Scope string
		Iat, Exp        int64
	}
	if err := json.Unmarshal(raw[0], &header); err != nil {
		return err
	}
	if err := json.Unmarshal(raw[1], &claims); err != nil {
		return err
	}
	now := time.Now().Unix()
	switch {
	case header.Alg != "RS256" || header.Typ != "JWT" || header.Kid != KeyID:
		return fmt.Errorf("the header %+v", header)
	case claims.Iss != Email:
		return fmt.Errorf("the issuer %q", claims.Iss)
	case claims.Aud != audience:
		return fmt.Errorf("the audience %q, not %q", claims.Aud, audience)
	case claims.Scope != wantScope:
		return fmt.Errorf("the scope %q", claims.Scope)
	case claims.Iat > now+5 || claims.Iat < now-300 || claims.Exp <= now || claims.Exp > claims.Iat+3600:
		return fmt.Errorf("the dates %d to %d", claims.Iat, claims.Exp)
	}
	return nil
}

// give sends a new token.
func (s *Server) give(w http.ResponseWriter, user bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := TokenPrefix + crand.Text()
	s.tokens[token] = grant{ends: time.Now().Add(s.lifetime), quota: user}
	w.Header().Set("Content-Type", "application/json")
	w.Write(mustJSON(map[string]any{"access_token": token, "expires_in": int(s.lifetime / time.Second), "token_type": "Bearer"}))
}

// metadata is the metadata server.
// https://cloud.google.com/compute/docs/metadata/querying-metadata
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Metadata-Flavor", "Google")
	if r.Header.Get("Metadata-Flavor") != "Google" || r.Method != http.MethodGet {
		http.Error(w, "Metadata-Flavor is missing", http.StatusForbidden)
		return
	}
	if f := s.failure("metadata", ""); f != nil {
		fail(w, r, f)
		return
	}
	switch strings.TrimPrefix(r.URL.Path, "/computeMetadata/v1/") {
	case "instance/service-accounts/default/token":
		if r.URL.Query().Get("scopes") != wantScope {
			http.Error(w, "the scopes "+r.URL.RawQuery, http.StatusBadRequest)
			return
		}
		s.give(w, false)
	case "project/project-id":
		w.Write([]byte(Project))
	case "universe/universe-domain":
		w.Write([]byte("googleapis.com"))
	default:
		http.NotFound(w, r)
	}
}
