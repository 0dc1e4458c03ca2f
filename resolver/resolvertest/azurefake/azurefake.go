// Package azurefake is Azure as the Key Vault store meets it: the login of Entra ID, the identity of a machine, and one
// vault, in one handler. It checks what Azure checks: the application's secret or assertion, the tenant, the scope, the
// vault's challenge before a token, the token on every call, hosts, TLS, methods, versions of the interface and bodies.
//
// The SDK's own fake server is not enough for that: it is told by the client, beside the request, what is called.
//
//	fake := azurefake.New()
//	fake.Put("db", "hunter2")
//	client.Transport = fake.Transport() // every host leads to the fake
package azurefake

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"kz/resolver/resolvertest"
)

// What the fake knows.
const (
	VaultURL     = "https://my-vault.vault.azure.net"
	Tenant       = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	ClientID     = "0b1c2d3e-0000-4000-8000-1234567890ab"
	ClientSecret = "canary~client~secret~31d7"
	Assertion    = "eyJhbGciOiJSUzI1NiJ9.canary-federated-token.sig" // of workload identity
	IdentityKey  = "canary-identity-header-8d1c"                     // of App Service
	Elsewhere    = "elsewhere.test"                                  // where an answer with 307 sends one, with all that was sent
)

// TokenPrefix begins every access token.
const TokenPrefix = "eyJ0eXAi.canary-"

// Server is the handler. It is safe for concurrent use.
type Server struct {
	mu       sync.Mutex
	secrets  map[string]*secret
	tokens   map[string]time.Time
	failures []*Failure
	calls    map[string]int
	hosts    map[string]int
	login    string // the host of the login
}

type secret struct {
	versions []Version
	deleted  bool
}

// Version is one version of a secret.
type Version struct {
	ID, Value, ContentType string
	Tags                   map[string]string
	Disabled               bool
}

// Failure is an answer in place of the right one.
type Failure struct {
	// Secret limits it to one; "": any. Method limits it: "GetSecret", "SetSecret", "ListSecrets", "token", "identity".
	// "": any but the last two.
	Secret, Method string
	HTTP           int
	Code, Inner    string // as in "Forbidden" and "ForbiddenByRbac"; Code "": Body is the whole answer
	Message        string
	Body           string
	Challenge      string // the WWW-Authenticate header
	Times          int    // how often; 0: always
}

// New makes a Server with an empty vault.
func New() *Server {
	return &Server{secrets: map[string]*secret{}, tokens: map[string]time.Time{}, calls: map[string]int{}, hosts: map[string]int{}, login: "login.microsoftonline.com"}
}

// Login changes the host that the login has.
func (s *Server) Login(host string) { s.change(func() { s.login = host }) }

// Put adds a version to a secret, and returns its id.
func (s *Server) Put(name, value string) (version string) {
	s.change(func() { version = s.put(name, Version{Value: value}).ID })
	return version
}

// PutVersion is Put for a version with more than a value.
func (s *Server) PutVersion(name string, v Version) { s.change(func() { s.put(name, v) }) }

func (s *Server) put(name string, v Version) Version {
	id := make([]byte, 16)
	rand.Read(id)
	v.ID = hex.EncodeToString(id)
	if s.secrets[name] == nil {
		s.secrets[name] = &secret{}
	}
	s.secrets[name].versions = append(s.secrets[name].versions, v)
	return v
}

// Delete deletes a secret, softly.
func (s *Server) Delete(name string) { s.change(func() { s.secrets[name].deleted = true }) }

// Versions returns the versions of a secret, oldest first.
func (s *Server) Versions(name string) (out []Version) {
	s.change(func() {
		if found := s.secrets[name]; found != nil {
			out = append(out, found.versions...)
		}
	})
	return out
}

// Fail adds a failure; the first that fits is what happens.
func (s *Server) Fail(f Failure) { s.change(func() { s.failures = append(s.failures, &f) }) }

// Recover drops the failures.
func (s *Server) Recover() { s.change(func() { s.failures = nil }) }

// Revoke makes every token given so far invalid.
func (s *Server) Revoke() { s.change(func() { clear(s.tokens) }) }

// Count returns how often a method was called; see Failure.Method. "challenge" is a call without a token.
func (s *Server) Count(method string) (n int) {
	s.change(func() { n = s.calls[method] })
	return n
}

// Asked returns how often a host was.
func (s *Server) Asked(host string) (n int) {
	s.change(func() { n = s.hosts[host] })
	return n
}

// Token gives a token, as the Azure CLI prints one.
func (s *Server) Token() string {
	token := TokenPrefix + rand.Text()
	s.change(func() { s.tokens[token] = time.Now().Add(time.Hour) })
	return token
}

func (s *Server) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// Transport carries requests to any host to the fake, without a network.
func (s *Server) Transport() http.RoundTripper { return resolvertest.Direct(s) }

// ServeHTTP plays all of them; the host tells which.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var login string
	s.change(func() {
		s.hosts[r.Host]++
		login = s.login
	})
	switch {
	case r.Host == "169.254.169.254" || r.Host == "app-service.test":
		s.identity(w, r)
	case r.TLS == nil:
		http.Error(w, "https only", http.StatusForbidden)
	case r.URL.Path == "/common/discovery/instance":
		discover(w, r, login)
	case r.Host == login:
		s.entra(w, r)
	case "https://"+r.Host == VaultURL:
		s.vault(w, r)
	default:
		http.NotFound(w, r)
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(text)
}

// failure counts a call and finds its failure.
func (s *Server) failure(method, name string) (found *Failure) {
	s.change(func() {
		s.calls[method]++
		login := method == "token" || method == "identity"
		for i, f := range s.failures {
			if f.Method != method && (f.Method != "" || login) || f.Secret != "" && f.Secret != name {
				continue
			}
			if f.Times > 0 {
				if f.Times--; f.Times == 0 {
					s.failures = append(s.failures[:i:i], s.failures[i+1:]...)
				}
			}
			found = f
			return
		}
	})
	return found
}

// fail sends a failure, which repeats what was sent as no error of ours may.
func fail(w http.ResponseWriter, r *http.Request, f *Failure) {
	if f.HTTP == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "3600")
	}
	if f.HTTP == http.StatusTemporaryRedirect {
		w.Header().Set("Location", "https://"+Elsewhere+"/")
	}
	if f.Challenge != "" {
		w.Header().Set("WWW-Authenticate", f.Challenge)
	}
	sent := r.Header.Get("Authorization") + r.PostForm.Encode()
	if f.Code != "" {
		body := map[string]any{"code": f.Code, "message": f.Message + " " + sent}
		if f.Inner != "" {
			body["innererror"] = map[string]string{"code": f.Inner}
		}
		reply(w, f.HTTP, map[string]any{"error": body})
		return
	}
	w.WriteHeader(f.HTTP)
	io.WriteString(w, strings.ReplaceAll(f.Body, "$SENT", sent))
}
