// Package gcpfake is Google as the Secret Manager store meets it: the token endpoint, the metadata server and Secret
// Manager's REST interface, in one handler. It checks what Google checks: the signature, issuer, audience, scope and
// dates of an assertion; the bearer token, the path, the host, the method and the body of every call; checksums.
//
//	fake := gcpfake.New()
//	fake.Put("my-project", "db", "hunter2")
//	file := fake.KeyFile(gcpfake.TokenURL) // for credentials_file
//	client.Transport = fake.Transport()    // every host leads to the fake
package gcpfake

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"sync"
	"time"

	"kz/resolver/resolvertest"
)

// What the fake knows.
const (
	TokenURL     = "https://oauth2.googleapis.com/token"
	Email        = "kz@my-project.iam.gserviceaccount.com"
	KeyID        = "4f1e8a"
	Project      = "my-project" // of the service account and of the machine
	RefreshToken = "1//canary-refresh-8c2f"
	ClientSecret = "GOCSPX-canary-77aa"
	QuotaProject = "quota-project"
	Elsewhere    = "elsewhere.test" // where an answer with 307 sends one, with all that was sent
)

// TokenPrefix begins every access token.
const TokenPrefix = "ya29.canary-"

// key is made once: it takes a while.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// Server is the handler. It is safe for concurrent use.
type Server struct {
	mu       sync.Mutex
	secrets  map[string]*secret // by projects/P[/locations/L]/secrets/S
	tokens   map[string]grant
	failures []*Failure
	calls    map[string]int
	lifetime time.Duration
	requests []*http.Request
}

type secret struct{ versions []version }

type version struct {
	data  []byte
	state string // "ENABLED", "DISABLED" or "DESTROYED"
}

// grant is what an access token was given for.
type grant struct {
	ends  time.Time
	quota bool // it is a user's, whose calls must name a quota project
}

// Failure is an answer in place of the right one.
type Failure struct {
	// Secret limits it to one, by its id; "": any. Method limits it: "AccessSecretVersion", "AddSecretVersion",
	// "CreateSecret", "ListSecrets", "token", "metadata". "": any but the last two.
	Secret, Method string
	HTTP           int
	Status         string // as in "PERMISSION_DENIED"; "": Body is the whole answer
	Message        string
	Reason         string // of an ErrorInfo
	Body           string
	Damage         bool // the answer is right, but for one byte of the payload
	Times          int  // how often; 0: always
}

// New makes a Server without secrets.
func New() *Server {
	return &Server{secrets: map[string]*secret{}, tokens: map[string]grant{}, calls: map[string]int{}, lifetime: time.Hour}
}

// Put adds a version to a secret of a project, or of "project/location", and makes it when there is none.
func (s *Server) Put(project, id, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := parent(project) + "/secrets/" + id
	if s.secrets[path] == nil {
		s.secrets[path] = &secret{}
	}
	s.secrets[path].versions = append(s.secrets[path].versions, version{[]byte(value), "ENABLED"})
}

func parent(project string) string {
	project, location, regional := strings.Cut(project, "/")
	if regional {
		return "projects/" + project + "/locations/" + location
	}
	return "projects/" + project
}

// Version changes the state of a version, counted from 1.
func (s *Server) Version(project, id string, number int, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[parent(project)+"/secrets/"+id].versions[number-1].state = state
}

// Values returns the values of a secret, oldest first; nil when there is no such secret.
func (s *Server) Values(project, id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	if found := s.secrets[parent(project)+"/secrets/"+id]; found != nil {
		out = []string{}
		for _, v := range found.versions {
			out = append(out, string(v.data))
		}
	}
	return out
}

// Fail adds a failure; the first that fits is what happens.
func (s *Server) Fail(f Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, &f)
}

// Recover drops the failures.
func (s *Server) Recover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = nil
}

// Revoke makes every token given so far invalid.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Lifetime is how long tokens live from now on.
func (s *Server) Lifetime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime = d
}

// Count returns how often a method was called; see Failure.Method.
func (s *Server) Count(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// Requests returns the requests so far, without their bodies.
func (s *Server) Requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.requests...)
}

// KeyFile is the key file of the service account.
func (s *Server) KeyFile(tokenURL string) []byte { return keyFile(key(), tokenURL) }

// ForeignKeyFile is the same with a key that the account does not have.
func (s *Server) ForeignKeyFile(tokenURL string) []byte {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return keyFile(k, tokenURL)
}

func keyFile(k *rsa.PrivateKey, tokenURL string) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		panic(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return mustJSON(map[string]string{
		"type": "service_account", "project_id": Project, "private_key_id": KeyID, "private_key": string(text),
		"client_email": Email, "client_id": "1", "token_uri": tokenURL,
	})
}

// UserFile is what `gcloud auth application-default login` leaves.
func (s *Server) UserFile() []byte {
	return mustJSON(map[string]string{
		"type": "authorized_user", "client_id": "764086051850.apps.googleusercontent.com", "client_secret": ClientSecret,
		"refresh_token": RefreshToken, "quota_project_id": QuotaProject,
	})
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// Transport carries requests to any host to the fake, without a network.
func (s *Server) Transport() http.RoundTripper { return resolvertest.Direct(s) }
