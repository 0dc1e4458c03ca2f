package vault_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/vault"
)

// role is an AppRole on a mount of the test's own.
type role struct {
	s                         *server
	mount, path, id, secretID string
}

// appRole makes a role with a secret ID. more are settings of the role.
func (s *server) appRole(t *testing.T, policy string, more map[string]any) *role {
	t.Helper()
	r := &role{s: s, mount: fmt.Sprintf("approle%d", s.serial.Add(1))}
	r.path = "auth/" + r.mount + "/role/app"
	s.do(t, "POST", "sys/auth/"+r.mount, map[string]string{"type": "approle"})
	body := map[string]any{"token_policies": policy, "token_ttl": "10m"}
	maps.Copy(body, more)
	s.do(t, "POST", r.path, body)
	r.id = s.do(t, "GET", r.path+"/role-id", nil)["data"].(map[string]any)["role_id"].(string)
	r.secretID = s.do(t, "POST", r.path+"/secret-id", nil)["data"].(map[string]any)["secret_id"].(string)
	return r
}

func (r *role) set(o *vault.Options) {
	o.Auth, o.AuthMount, o.RoleID, o.SecretID, o.Token = "approle", r.mount, r.id, resolver.NewSecret(r.secretID), resolver.Secret{}
}

// wrapped makes another secret ID, in a wrapping token.
func (r *role) wrapped(t *testing.T) string {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.s.addr+"/v1/"+r.path+"/secret-id", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.s.wrapRequest(t, q)
}

// wrapRequest has the answer to a request put into a wrapping token.
func (s *server) wrapRequest(t *testing.T, q *http.Request) string {
	t.Helper()
	q.Header.Set("X-Vault-Token", rootToken)
	q.Header.Set("X-Vault-Wrap-Ttl", "5m")
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Wrap struct{ Token string } `json:"wrap_info"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Wrap.Token == "" {
		t.Fatalf("wrapping: %d %v", resp.StatusCode, err)
	}
	return answer.Wrap.Token
}

// cluster is a role of the Kubernetes method, with a fake of the cluster's API: it knows service accounts by the
// signature of their tokens, and takes a review from Vault's own account alone.
type cluster struct {
	key             *ecdsa.PrivateKey
	mount, jwt, own string
	file            string // that holds jwt
}

func (s *server) kubernetes(t *testing.T, policy string, more map[string]any) *cluster {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k := &cluster{key: key, mount: fmt.Sprintf("kubernetes%d", s.serial.Add(1)), file: filepath.Join(t.TempDir(), "token")}
	k.jwt, k.own = k.token("kz", "proxy", "vault"), k.token("vault", "reviewer", "kubernetes")
	k.mountToken(t, k.jwt)
	s.do(t, "POST", "sys/auth/"+k.mount, map[string]string{"type": "kubernetes"})
	s.do(t, "POST", "auth/"+k.mount+"/config", map[string]any{
		"kubernetes_host": serve(t, http.HandlerFunc(k.review)), "token_reviewer_jwt": k.own, "disable_local_ca_jwt": true,
	})
	body := map[string]any{"bound_service_account_names": "proxy", "bound_service_account_namespaces": "kz", "audience": "vault",
		"token_policies": policy, "token_ttl": "10m"}
	maps.Copy(body, more)
	s.do(t, "POST", "auth/"+k.mount+"/role/app", body)
	return k
}

func (k *cluster) set(o *vault.Options) {
	o.Auth, o.AuthMount, o.Role, o.JWTPath, o.Token = "kubernetes", k.mount, "app", k.file, resolver.Secret{}
}

// mountToken puts a token where the pod has its own.
func (k *cluster) mountToken(t *testing.T, jwt string) {
	t.Helper()
	if err := os.WriteFile(k.file, []byte(jwt+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// token signs a token of a service account.
func (k *cluster) token(namespace, name, audience string) string {
	now := time.Now()
	part := func(v any) string {
		text, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := part(map[string]string{"alg": "ES256", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:" + namespace + ":" + name, "aud": []string{audience},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": rand.Text(),
		"kubernetes.io": map[string]any{"namespace": namespace, "serviceaccount": map[string]string{"name": name, "uid": "uid-" + name}},
	})
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k.key, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// verify returns what a token says, if this cluster signed it.
func (k *cluster) verify(jwt string) (subject string, audience []string, ok bool) {
	text, signature, _ := strings.Cut(jwt, ".")
	payload, signature, _ := strings.Cut(signature, ".")
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || len(raw) != 64 {
		return "", nil, false
	}
	sum := sha256.Sum256([]byte(text + "." + payload))
	if !ecdsa.Verify(&k.key.PublicKey, sum[:], new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])) {
		return "", nil, false
	}
	var claims struct {
		Sub string
		Aud []string
	}
	body, err := base64.RawURLEncoding.DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(body, &claims)
	}
	return claims.Sub, claims.Aud, err == nil
}

// review is TokenReview (kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1).
func (k *cluster) review(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Kind string
		Spec struct {
			Token     string
			Audiences []string
		}
	}
	if r.Method != http.MethodPost || r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || json.NewDecoder(r.Body).Decode(&q) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if who, _, ok := k.verify(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); !ok || who != "system:serviceaccount:vault:reviewer" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	status := map[string]any{"authenticated": false, "error": "the token is not valid"}
	if who, audience, ok := k.verify(q.Spec.Token); ok {
		if slices.ContainsFunc(q.Spec.Audiences, func(a string) bool { return slices.Contains(audience, a) }) {
			status = map[string]any{"authenticated": true, "audiences": audience, "user": map[string]any{"username": who, "uid": "uid-proxy"}}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status})
}

// wire is a proxy before the server that writes down what passes.
type wire struct {
	mu    sync.Mutex
	calls []passed
}

type passed struct {
	method, path string
	header       http.Header
	at           time.Time
}

func front(t *testing.T, s *server) (addr string, w *wire) {
	t.Helper()
	w = &wire{}
	return serve(t, through(t, s, func(_ http.ResponseWriter, r *http.Request) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls = append(w.calls, passed{r.Method, strings.TrimPrefix(r.URL.Path, "/v1/"), r.Header.Clone(), time.Now()})
		return false
	})), w
}

// through passes on to the server what first does not answer.
func through(t *testing.T, s *server, first func(http.ResponseWriter, *http.Request) (done bool)) http.HandlerFunc {
	t.Helper()
	target, err := url.Parse(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // clients that give up are part of the tests
	return func(w http.ResponseWriter, r *http.Request) {
		if first == nil || !first(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}
}

// of are the calls to a path.
func (w *wire) of(path string) (found []passed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c.path == path {
			found = append(found, c)
		}
	}
	return found
}

// clock is a time that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
