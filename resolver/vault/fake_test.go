package vault_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
	"kz/resolver/vault"
)

const fakeToken = "hvs.canary-31c4d9"

// mute takes requests and never answers.
var mute = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) // only then the server sees the client leave
	<-r.Context().Done()
})

// nobody is an address that refuses connections.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// answer is a Vault that answers everything in the same way, and repeats the
// token and a value in it.
func answer(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(status)
		io.WriteString(w, strings.NewReplacer("$TOKEN", r.Header.Get("X-Vault-Token"), "$VALUE", resolvertest.Canary).Replace(body))
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	echo := `{"errors":["1 error occurred: $TOKEN $VALUE"],"data":{"value":"$VALUE"}}`
	for name, c := range map[string]struct {
		status int
		body   string
		kind   resolver.Kind
		text   []string
	}{
		"sealed":                     {503, `{"errors":["Vault is sealed","$TOKEN"]}`, resolver.Unavailable, []string{"Vault is sealed (status 503, sealed)", "vault operator unseal"}},
		"standby":                    {473, echo, resolver.Unavailable, []string{"status 473", "vault status -address=http://127.0.0.1:"}},
		"failing":                    {500, echo, resolver.Unavailable, []string{"status 500"}},
		"a gateway's page":           {502, "<html>$TOKEN $VALUE", resolver.Unavailable, []string{"status 502"}},
		"behind in replication":      {412, echo, resolver.Unavailable, []string{"status 412"}},
		"throttling":                 {429, echo, resolver.Throttled, []string{"status 429"}},
		"denying":                    {403, `{"errors":["permission denied","$TOKEN"]}`, resolver.AccessDenied, []string{`"secret/data/app"`, "vault token capabilities secret/data/app"}},
		"denying, with a page":       {403, "<html>$TOKEN", resolver.AccessDenied, []string{"status 403"}},
		"knowing nothing":            {404, `{"errors":["$VALUE"]}`, resolver.NotFound, []string{`no secret at "secret/app"`, "vault read secret/app"}},
		"knowing nothing, plainly":   {404, "$TOKEN $VALUE", resolver.NotFound, []string{"status 404"}},
		"refusing":                   {400, echo, resolver.InvalidReference, []string{"status 400"}},
		"sending elsewhere for ever": {307, "", resolver.Unavailable, []string{"elsewhere"}},
		"no Vault":                   {200, "<html>$TOKEN $VALUE", resolver.Unavailable, []string{"not one of Vault"}},
		"an empty answer":            {200, `{}`, resolver.NotFound, []string{"no data"}},
		"an answer cut short":        {200, `{"data":{"value":"$VALUE`, resolver.Unavailable, []string{"not one of Vault"}},
		"an endless answer":          {200, `{"data":{"value":"` + strings.Repeat("x", 5<<20) + `"}}`, resolver.Unavailable, []string{"not one of Vault"}},
		"an endless error":           {500, strings.Repeat("x", 5<<20), resolver.Unavailable, []string{"status 500"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			inner := answer(c.status, c.body)
			addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if c.status == 307 {
					w.Header().Set("Location", "http://"+r.Host+r.URL.Path)
				}
				inner.ServeHTTP(w, r)
			}))
			s := open(t, addr, nil)
			began := time.Now()
			e := fails(t, s, resolver.Ref{ID: "secret/app"}, c.kind)
			contains(t, e.Error()+" "+e.Hint(), c.text...)
			if d := time.Since(began); d > 15*time.Second {
				t.Errorf("it took %v", d)
			}
			if n := asked.Load(); n > 16 {
				t.Errorf("%d requests", n)
			}
			err := s.Check(t.Context())
			if err != nil {
				resolvertest.NoLeak(t, err, fakeToken, resolvertest.Canary)
			}
			if c.status >= 400 && !errors.Is(err, c.kind) {
				t.Errorf("Check says %v", err)
			}
		})
	}
}

// one is a Vault with one secret at any path, for one token.
func one(token func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("X-Vault-Token") != token():
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"errors":["bad token %s"]}`, r.Header.Get("X-Vault-Token"))
		case r.Header.Get("X-Vault-Wrap-Ttl") != "":
			io.WriteString(w, `{"wrap_info":{"token":"hvs.wrapped"}}`)
		case strings.HasPrefix(r.URL.Path, "/v1/sys/internal/ui/mounts/"):
			io.WriteString(w, `{"data":{"path":"secret/","type":"kv","options":{"version":"2"}}}`)
		case strings.HasPrefix(r.URL.Path, "/v1/secret/data/"):
			io.WriteString(w, `{"data":{"data":{"value":"v"},"metadata":{"version":1}}}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

func TestWhereTheTokenComesFrom(t *testing.T) {
	t.Parallel()
	addr := serve(t, one(func() string { return "right" }))
	home := func(text string) string {
		dir := t.TempDir()
		if text != "" {
			if err := os.WriteFile(filepath.Join(dir, ".vault-token"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for name, c := range map[string]struct{ option, variable, file, text string }{
		"the option":                         {"right", "wrong", "wrong", ""},
		"else VAULT_TOKEN":                   {"", "right", "wrong", ""},
		"else the file":                      {"", "", "right", ""},
		"a line end is no part of it":        {"", "", "right\n", ""},
		"nor is one of a chained secret":     {"right\n", "", "", ""},
		"without any the hint is to log in":  {"", "", "", "no Vault token is found"},
		"an empty file is none":              {"", "", "\n", "no Vault token is found"},
		"a wrong one is denied":              {"wrong-canary", "", "", "not valid"},
		"what cannot be a token is not sent": {"wrong\x00canary", "", "", "characters that no token has"},
		"nor is one of two lines":            {"", "", "wrong\ncanary", "characters that no token has"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := home(c.file)
			s := open(t, addr, func(o *vault.Options) {
				o.Token = resolver.Secret{}
				if c.option != "" {
					o.Token = resolver.NewSecret(c.option)
				}
				o.Getenv = func(name string) string { return map[string]string{"VAULT_TOKEN": c.variable}[name] }
				o.Home = func() (string, error) { return dir, nil }
			})
			if c.text == "" {
				get(t, s, resolver.Ref{ID: "secret/app"}, "v")
				return
			}
			e := fails(t, s, resolver.Ref{ID: "secret/app"}, resolver.AccessDenied)
			contains(t, e.Error(), c.text)
			resolvertest.NoLeak(t, e, "canary")
		})
	}
}

func TestAPanicIsAnErrorWithoutItsText(t *testing.T) {
	t.Parallel()
	s := open(t, nobody(t), func(o *vault.Options) {
		o.Token = resolver.Secret{}
		o.Home = func() (string, error) { panic(resolvertest.Canary) }
	})
	for range 2 {
		contains(t, fails(t, s, resolver.Ref{ID: "secret/app"}, resolver.Unavailable).Error(), "broke off")
	}
}

func TestANewTokenIsTakenUpAfterARefusal(t *testing.T) {
	t.Parallel()
	var valid atomic.Value
	valid.Store("first")
	addr := serve(t, one(func() string { return valid.Load().(string) }))
	dir := t.TempDir()
	file := filepath.Join(dir, ".vault-token")
	os.WriteFile(file, []byte("first"), 0o600)
	s := open(t, addr, func(o *vault.Options) {
		o.Token = resolver.Secret{}
		o.Home = func() (string, error) { return dir, nil }
	})
	get(t, s, resolver.Ref{ID: "secret/app"}, "v")
	valid.Store("second")
	fails(t, s, resolver.Ref{ID: "secret/app"}, resolver.AccessDenied)
	os.WriteFile(file, []byte("second"), 0o600) // vault login
	get(t, s, resolver.Ref{ID: "secret/app"}, "v")
}

func TestABatchReadsEachPathOnce(t *testing.T) {
	t.Parallel()
	var reads atomic.Int32
	inner := one(func() string { return fakeToken })
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/secret/data/") {
			reads.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	var refs []resolver.Ref
	for i := range 30 {
		refs = append(refs, resolver.Ref{ID: fmt.Sprintf("secret/app%d", i%3), Field: "value"})
	}
	for _, o := range open(t, addr, nil).ResolveBatch(t.Context(), refs) {
		if o.Err != nil || o.Result.Secret.Reveal() != "v" {
			t.Error(o.Err)
		}
	}
	if n := reads.Load(); n != 3 {
		t.Errorf("%d reads", n)
	}
}

func TestAFailureThatPassesIsTriedAgain(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	inner := one(func() string { return fakeToken })
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/secret/data/") && n.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	get(t, open(t, addr, nil), resolver.Ref{ID: "secret/app"}, "v")
}

func TestTheTokensLifeHoldsNoValueUp(t *testing.T) {
	t.Parallel()
	inner := one(func() string { return fakeToken })
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "lookup-self") {
			mute(w, r)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	began := time.Now()
	get(t, open(t, addr, func(o *vault.Options) { o.Timeout = 30 * time.Second }), resolver.Ref{ID: "secret/app"}, "v")
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("it took %v", d)
	}
}

// pemFile is a file with the certificate of a server.
func pemFile(t *testing.T, srv *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTLS(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(one(func() string { return fakeToken }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := pemFile(t, srv)
	ref := resolver.Ref{ID: "secret/app"}

	t.Run("ca_cert is trusted", func(t *testing.T) {
		t.Parallel()
		get(t, open(t, srv.URL, func(o *vault.Options) { o.CACert = ca }), ref, "v")
	})
	t.Run("without it the certificate is refused", func(t *testing.T) {
		t.Parallel()
		e := fails(t, open(t, srv.URL, nil), ref, resolver.Unavailable)
		contains(t, e.Error()+" "+e.Hint(), "unknown authority", "ca_cert")
	})
	t.Run("a ca_cert that is not there is named", func(t *testing.T) {
		t.Parallel()
		e := fails(t, open(t, srv.URL, func(o *vault.Options) { o.CACert = ca + ".no" }), ref, resolver.InvalidReference)
		contains(t, e.Error(), ca+".no")
	})
	t.Run("another host's certificate is refused", func(t *testing.T) {
		t.Parallel()
		e := fails(t, open(t, strings.Replace(srv.URL, "127.0.0.1", "localhost", 1), func(o *vault.Options) { o.CACert = ca }), ref, resolver.Unavailable)
		contains(t, e.Error(), "another host name")
	})
	t.Run("https to a server that speaks http", func(t *testing.T) {
		t.Parallel()
		addr := strings.Replace(serve(t, mute), "http:", "https:", 1)
		e := fails(t, open(t, addr, nil), ref, resolver.Unavailable)
		contains(t, e.Error(), "does not speak TLS")
	})
}

func TestEnvironment(t *testing.T) {
	srv := httptest.NewUnstartedServer(one(func() string { return fakeToken }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	ref := resolver.Ref{ID: "secret/app"}
	plain := serve(t, one(func() string { return fakeToken }))
	standard := func(t *testing.T, o vault.Options) *vault.Store {
		s, err := vault.New(o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("VAULT_TOKEN", fakeToken)
	t.Run("the address and the token may be variables", func(t *testing.T) {
		t.Setenv("VAULT_ADDR", plain)
		t.Setenv("VAULT_AGENT_ADDR", nobody(t))
		t.Setenv("VAULT_WRAP_TTL", "5m")
		get(t, standard(t, vault.Options{}), ref, "v")
	})
	t.Run("the backend's address goes before the variable", func(t *testing.T) {
		t.Setenv("VAULT_ADDR", nobody(t))
		get(t, standard(t, vault.Options{Address: plain}), ref, "v")
	})
	t.Run("without an address the hint says what to write", func(t *testing.T) {
		contains(t, fails(t, standard(t, vault.Options{}), ref, resolver.InvalidReference).Hint(), "address =", "VAULT_ADDR")
	})
	t.Run("an address with a password in it is refused, unseen", func(t *testing.T) {
		t.Setenv("VAULT_ADDR", "https://u:"+resolvertest.Canary+"@host")
		fails(t, standard(t, vault.Options{}), ref, resolver.InvalidReference)
	})
	t.Run("VAULT_SKIP_VERIFY has no effect", func(t *testing.T) {
		t.Setenv("VAULT_SKIP_VERIFY", "true")
		fails(t, standard(t, vault.Options{Address: srv.URL}), ref, resolver.Unavailable)
	})
	t.Run("a variable that cannot be used is an error without its value", func(t *testing.T) {
		t.Setenv("VAULT_CACERT", "/nowhere/"+resolvertest.Canary)
		fails(t, standard(t, vault.Options{Address: srv.URL}), ref, resolver.InvalidReference)
	})
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for addr, warned := range map[string]bool{
		"https://vault.test": false, "http://127.0.0.1:8200": false, "http://localhost:8200": false, "http://[::1]:8200": false,
		"http://vault.internal:8200": true, "http://10.0.0.1": true, "unix:///run/vault.sock": false,
	} {
		if w := open(t, addr, nil).Warnings(); (len(w) > 0) != warned {
			t.Errorf("%s: %q", addr, w)
		}
	}
}

func TestNewMakesNoRequest(t *testing.T) {
	t.Parallel()
	addr := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request") }))
	open(t, addr, func(o *vault.Options) {
		o.CACert = "/nowhere"
		o.Home = func() (string, error) { t.Error("the home directory is looked at"); return "", nil }
	})
}

func TestTheUsersProxyIsUsed(t *testing.T) {
	// net/http reads the proxy variables once in a process, so this takes a new one.
	if os.Getenv("KZ_TEST_PROXY_CHILD") != "" {
		get(t, open(t, "http://vault.test:8200", nil), resolver.Ref{ID: "secret/app"}, "v")
		return
	}
	t.Parallel()
	var asked atomic.Value
	inner := one(func() string { return fakeToken })
	proxy := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.Host)
		inner.ServeHTTP(w, r)
	}))
	child := exec.Command(os.Args[0], "-test.run=^TestTheUsersProxyIsUsed$")
	child.Env = []string{"KZ_TEST_PROXY_CHILD=1", "HTTP_PROXY=" + proxy, "HOME=" + t.TempDir()}
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, _ := asked.Load().(string); got != "vault.test:8200" {
		t.Errorf("the proxy was asked for %q", got)
	}
}
