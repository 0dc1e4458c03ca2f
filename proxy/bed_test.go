package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/ca"
	"kz/masking"
	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
	"kz/resolver"
)

// The values of the test secrets. None of them may be seen by a client.
const (
	keyValue   = "real-key-5f3c0b1e9a7d"
	otherValue = "other-secret-value-42"
	pemValue   = "-----BEGIN KEY-----\nMIIBVQIBADANBgkqh\n-----END KEY-----\n"
)

// bed is a proxy with its upstreams and a client.
type bed struct {
	t       testing.TB
	proxy   *proxy.Proxy
	table   *masking.Table
	address string
	audit   *audit.Memory
	client  *http.Client
	pool    *x509.CertPool // what a client of the proxy trusts
	origins *ca.Authority
	minter  *ca.Minter
	got     chan received // what the upstream of api.test received
	origin  string        // the address of that upstream
	handler http.Handler  // replaces the echo of api.test
	values  sync.Map      // name -> string
}

// received is one request as an upstream saw it.
type received struct {
	r    *http.Request
	body string
}

const credential = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

type bedOption func(*bed, *proxy.Options, *[]policy.Secret, *policy.Egress)

// newBed starts a proxy whose secrets KEY (default places) and PEM are bound to api.test and OTHER to other.test. Both
// are the same upstream, which answers with what it received.
func newBed(t testing.TB, options ...bedOption) *bed {
	t.Helper()
	b := &bed{t: t, audit: &audit.Memory{}, got: make(chan received, 100)}
	b.values.Store("KEY", keyValue)
	b.values.Store("OTHER", otherValue)
	b.values.Store("PEM", pemValue)
	var err error
	if b.origins, err = ca.New(ca.Options{Name: "origins"}); err != nil {
		t.Fatal(err)
	}
	if b.minter, err = ca.NewMinter(b.origins, ca.MinterOptions{}); err != nil {
		t.Fatal(err)
	}
	upstream := b.upstream("", http.HandlerFunc(b.serveUpstream))
	b.origin = upstream.Listener.Addr().String()
	secrets := []policy.Secret{
		{Name: "KEY", Hosts: hosts(t, "api.test"), Places: policy.DefaultPlaces()},
		{Name: "PEM", Hosts: hosts(t, "api.test"), Places: places(t, "header", "body")},
		{Name: "OTHER", Hosts: hosts(t, "other.test"), Places: policy.DefaultPlaces()},
	}
	egress := policy.Egress{}
	authority, err := ca.New(ca.Options{Name: "kz test"})
	if err != nil {
		t.Fatal(err)
	}
	o := proxy.Options{
		Authority: authority, Credential: credential, Session: "0123456789abcdef", Audit: b.audit,
		AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Roots: func() (*x509.CertPool, error) {
			pool := x509.NewCertPool()
			pool.AddCert(b.origins.Certificate())
			return pool, nil
		},
		Values: func(_ context.Context, name string) (resolver.Secret, error) {
			v, ok := b.values.Load(name)
			if !ok {
				return resolver.Secret{}, fmt.Errorf("the store says: %s", keyValue)
			}
			return resolver.NewSecret(v.(string)), nil
		},
	}
	for _, host := range []string{"api.test:443", "other.test:443", "tunnel.test:443", "evil.test:443", "api.test:80", "tunnel.test:80"} {
		b.pin(&o, host, upstream)
	}
	for _, option := range options {
		option(b, &o, &secrets, &egress)
	}
	entries := make([]masking.Entry, len(secrets))
	for i, s := range secrets {
		entries[i].Name = s.Name
	}
	if b.table, err = masking.NewTable(masking.NewKey(), entries); err != nil {
		t.Fatal(err)
	}
	o.Table, o.Policy = b.table, policy.New(secrets, egress)
	if b.proxy, err = proxy.New(o); err != nil {
		t.Fatal(err)
	}
	b.values.Range(func(k, v any) bool {
		if b.table.Token(k.(string)) != "" {
			if err := b.proxy.Learn(k.(string), resolver.NewSecret(v.(string))); err != nil {
				t.Fatal(err)
			}
		}
		return true
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = l.Addr().String()
	go func() { _ = b.proxy.Serve(l) }()
	t.Cleanup(func() { _ = b.proxy.Close() })
	b.pool = x509.NewCertPool()
	b.pool.AddCert(authority.Certificate())
	b.client = b.newClient(false)
	return b
}

func hosts(t testing.TB, ss ...string) []policy.HostPattern {
	t.Helper()
	var hs []policy.HostPattern
	for _, s := range ss {
		h, err := policy.ParseHostPattern(s)
		if err != nil {
			t.Fatal(err)
		}
		hs = append(hs, h)
	}
	return hs
}

func places(t testing.TB, ss ...string) []policy.Place {
	t.Helper()
	var ps []policy.Place
	for _, s := range ss {
		p, err := policy.ParsePlace(s)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

// keyPlaces gives KEY these places.
func keyPlaces(ss ...string) bedOption {
	return func(b *bed, _ *proxy.Options, secrets *[]policy.Secret, _ *policy.Egress) {
		(*secrets)[0].Places = places(b.t, ss...)
	}
}

// upstream starts a TLS server of the test origins; name "" lets it be whatever the client asks for.
func (b *bed) upstream(name string, h http.Handler) *httptest.Server {
	b.t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = nil
	s.TLS = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if name != "" {
			return b.minter.Leaf(name)
		}
		return b.minter.Leaf(hello.ServerName)
	}}
	s.StartTLS()
	b.t.Cleanup(s.Close)
	return s
}

// pin makes the proxy dial s for host.
func (b *bed) pin(o *proxy.Options, host string, s *httptest.Server) {
	b.t.Helper()
	b.pinTo(o, host, s.Listener.Addr().String())
}

func (b *bed) pinTo(o *proxy.Options, host, address string) {
	b.t.Helper()
	p, err := policy.ParsePin(host, address)
	if err != nil {
		b.t.Fatal(err)
	}
	o.Resolve = append([]policy.Pin{p}, o.Resolve...)
}

// serveUpstream notes what it receives and echoes it.
func (b *bed) serveUpstream(w http.ResponseWriter, r *http.Request) {
	if b.handler != nil {
		b.handler.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	b.got <- received{r, string(body)}
	w.Header().Set("X-Echo-Authorization", r.Header.Get("Authorization"))
	fmt.Fprintf(w, "%s %s %s\n", r.Method, r.RequestURI, r.Proto)
	_ = r.Header.Write(w)
	_, _ = w.Write(body)
}

func (b *bed) newClient(h2 bool) *http.Client {
	u := &url.URL{Scheme: "http", User: url.UserPassword("kz", credential), Host: b.address}
	tr := &http.Transport{Proxy: http.ProxyURL(u), TLSClientConfig: &tls.Config{RootCAs: b.pool}, ForceAttemptHTTP2: h2, DisableCompression: true}
	b.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 2 * time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (b *bed) mask(name string) string { return b.table.Token(name) }

// request makes one; header is "Name: value" lines.
func (b *bed) request(method, u, body string, header ...string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequest(method, u, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if body == "" {
		r.Body = nil
	}
	for _, h := range header {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Add(k, v)
	}
	return r
}

type answer struct {
	*http.Response
	body string
}

// do sends r and reads the answer, in which no value may stand.
func (b *bed) do(r *http.Request) answer {
	b.t.Helper()
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	var dump bytes.Buffer
	_ = resp.Write(&dump)
	for name, v := range map[string]string{"KEY": keyValue, "OTHER": otherValue, "PEM": "MIIBVQIBADANBgkqh"} {
		if strings.Contains(dump.String()+string(body)+fmt.Sprint(resp.Trailer), v) {
			b.t.Errorf("the client received the value of %s: %s%s", name, dump.String(), body)
		}
	}
	return answer{resp, string(body)}
}

// upstreamGot is the request that the upstream received.
func (b *bed) upstreamGot() received {
	b.t.Helper()
	select {
	case g := <-b.got:
		return g
	case <-time.After(30 * time.Second):
		b.t.Fatal("the upstream received nothing")
		panic("unreachable")
	}
}

// nothingSent holds that no request reached the upstream.
func (b *bed) nothingSent() {
	b.t.Helper()
	select {
	case g := <-b.got:
		b.t.Errorf("the upstream received %s %s", g.r.Method, g.r.URL)
	case <-time.After(20 * time.Millisecond):
	}
}

type refusalError struct {
	Code, Message, Hint, Secret, Host, Request string
}

// refused checks that a is a refusal in the contract's form, and returns it.
func (b *bed) refused(a answer, status int, code string) refusalError {
	b.t.Helper()
	var body struct{ Error refusalError }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		b.t.Fatalf("status %d, not a refusal: %v: %s", a.StatusCode, err, a.body)
	}
	e := body.Error
	if a.StatusCode != status || e.Code != code || a.Header.Get("Kz-Error") != code {
		b.t.Errorf("got %d %s %q, want %d %s", a.StatusCode, e.Code, a.Header.Get("Kz-Error"), status, code)
	}
	if e.Message == "" || e.Hint == "" || e.Request == "" {
		b.t.Errorf("incomplete refusal: %+v", e)
	}
	return e
}

// event waits for the one event that f accepts.
func (b *bed) event(f func(audit.Event) bool) audit.Event {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for _, e := range b.audit.Events() {
			if f(e) {
				return e
			}
		}
	}
	b.t.Fatalf("no such event in %+v", b.audit.Events())
	panic("unreachable")
}

// raw opens a tunnel to target by hand and ends its TLS as serverName; alpn "" offers none.
func (b *bed) raw(target, serverName string) *tls.Conn {
	b.t.Helper()
	conn := b.connect(target)
	tc := tls.Client(conn, &tls.Config{RootCAs: b.pool, ServerName: serverName})
	if err := tc.Handshake(); err != nil {
		b.t.Fatal(err)
	}
	return tc
}

// connect sends a CONNECT by hand and expects 200.
func (b *bed) connect(target string) net.Conn {
	b.t.Helper()
	conn, status := b.tryConnect(target, "Proxy-Authorization: Basic "+basic("kz", credential)+"\r\n")
	if status != 200 {
		b.t.Fatalf("CONNECT %s: %d", target, status)
	}
	return conn
}

func (b *bed) tryConnect(target, header string) (net.Conn, int) {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, target, header)
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(oneByte{conn})), &http.Request{Method: http.MethodConnect})
	if err != nil {
		b.t.Fatal(err)
	}
	return conn, resp.StatusCode
}

// oneByte keeps a buffered reader from reading past the answer.
type oneByte struct{ net.Conn }

func (o oneByte) Read(p []byte) (int, error) { return o.Conn.Read(p[:1]) }

// speak writes raw bytes on a connection and reads one answer.
func (b *bed) speak(conn net.Conn, raw string) answer {
	b.t.Helper()
	if _, err := io.WriteString(conn, raw); err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	return answer{resp, string(body)}
}
