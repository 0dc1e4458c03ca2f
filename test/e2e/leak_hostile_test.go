package e2e_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/canary"
	"kz/test/origin"
)

// sayings are answers that hold v wherever an answer can hold something, and where it cannot. Many are no HTTP.
func sayings(v string) map[string]string {
	const ok, rest = "HTTP/1.1 200 OK\r\n", "Content-Length: 2\r\n\r\nok"
	escaped := url.PathEscape(v)
	says := map[string]string{
		"reason": "HTTP/1.1 200 " + v + "\r\n" + rest, "reason-of-an-error": "HTTP/1.1 500 " + v + "\r\n" + rest, "version": "HTTP/" + v + " 200 OK\r\n" + rest,
		"status": "HTTP/1.1 " + v + " OK\r\n" + rest, "status-and-more": "HTTP/1.1 200" + v + "\r\n" + rest, "no-http": v + "\r\n\r\n", "one-line": v,
		"name": ok + "X-" + canaryName(v) + ": 1\r\n" + rest, "odd-name": ok + v + ": 1\r\n" + rest, "no-colon": ok + v + "\r\n" + rest, "space-in-name": ok + "X " + v + " : 1\r\n" + rest,
		"folded": ok + "X-A: a\r\n " + v + "\r\n" + rest, "nul": ok + "X-A: " + v + "\x00\r\n" + rest, "bare-cr": ok + "X-A: " + v + "\rx\r\n" + rest,
		"length": ok + "Content-Length: " + v + "\r\n\r\nok", "two-of-them": ok + "Content-Length: 2\r\nContent-Length: " + v + "\r\n\r\nok",
		"framing": ok + "Transfer-Encoding: " + v + "\r\n\r\nok", "chunk": ok + "Transfer-Encoding: chunked\r\n\r\n" + v + "\r\nok\r\n0\r\n\r\n",
		"extension": ok + "Transfer-Encoding: chunked\r\n\r\n2;a=" + v + "\r\nok\r\n0;b=" + v + "\r\n\r\n", "no-end-of-chunk": ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok" + v + "\r\n0\r\n\r\n",
		"trailer": ok + "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: " + v + "\r\nX-U: " + v + "\r\n\r\n", "odd-trailer": ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + v + "\r\n\r\n",
		"announced": ok + "Transfer-Encoding: chunked\r\nTrailer: " + v + "\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"early":     "HTTP/1.1 102 " + v + "\r\nX-A: " + v + "\r\n\r\nHTTP/1.1 103 " + v + "\r\nLink: <" + v + ">\r\n\r\nHTTP/1.1 199 " + v + "\r\n\r\n" + ok + rest,
		"switch":    "HTTP/1.1 101 " + v + "\r\nConnection: Upgrade\r\nUpgrade: " + v + "\r\n\r\n" + v,
		"coding":    ok + "Content-Encoding: " + v + "\r\n" + rest, "not-gzip": ok + "Content-Encoding: gzip\r\n\r\n" + v, "not-zstd": ok + "Content-Encoding: zstd\r\n\r\n" + v,
		"too-long": ok + "Content-Length: 2\r\n\r\nok" + v, "too-short": ok + "Content-Length: 9999\r\n\r\nok" + v, "until-the-end": ok + "\r\n" + v,
		"no-body": "HTTP/1.1 204 No Content\r\n\r\n" + v, "not-modified": "HTTP/1.1 304 " + v + "\r\nETag: \"" + escaped + "\"\r\n\r\n" + v,
		"slice":  "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/" + v + "\r\n" + rest,
		"http10": "HTTP/1.0 200 " + v + "\r\nX-A: " + v + "\r\n\r\n" + v,
	}
	for _, name := range []string{"Location", "Link", "Set-Cookie", "Set-Cookie2", "WWW-Authenticate", "Proxy-Authenticate", "Content-Type", "Content-Disposition", "Alt-Svc", "Refresh", "Server",
		"Via", "Connection", "Keep-Alive", "Upgrade", "ETag", "Last-Modified", "Warning", "Retry-After", "Content-Security-Policy", "X-Request-Id", "Kz-Error", "Digest", "Content-Location"} {
		for status, form := range map[string]string{"200 OK": v, "302 Found": "https://a.wild.test/?a=" + escaped, "401 No": "Basic realm=\"" + v + "\"", "502 Bad": "x=" + url.QueryEscape(v) + "; Path=/"} {
			says["header-"+name+"-"+status[:3]] = "HTTP/1.1 " + status + "\r\n" + name + ": " + form + "\r\n" + rest
		}
	}
	return says
}

// canaryName is v as the name of a header can hold it.
func canaryName(v string) string {
	return strings.NewReplacer("=", "", "+", "", "/", "").Replace(base64.RawURLEncoding.EncodeToString([]byte(v)))
}

// namesInCertificate is an upstream whose certificate names v, and no host that anyone asked for.
func namesInCertificate(t *testing.T, v string) (address string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: v, Organization: []string{v}}, DNSNames: []string{v + ".test"}, EmailAddresses: []string{v + "@a.test"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake()
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// opener opens a tunnel through the proxy, under TLS.
func opener(t *testing.T, p *bed.Proxy) func(host string) *tls.Conn {
	t.Helper()
	u, err := url.Parse(p.Get("HTTPS_PROXY"))
	if err != nil || u.User == nil {
		t.Fatalf("HTTPS_PROXY: %v", err)
	}
	auth := base64.StdEncoding.EncodeToString([]byte(u.User.String()))
	pem, err := os.ReadFile(p.Get("NODE_EXTRA_CA_CERTS"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return func(host string) *tls.Conn {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "CONNECT %s:443 HTTP/1.1\r\nHost: %[1]s:443\r\nProxy-Authorization: Basic %s\r\n\r\n", host, auth)
		if resp, err := http.ReadResponse(bufio.NewReader(onlyByte{conn}), &http.Request{Method: "CONNECT"}); err != nil || resp.StatusCode != 200 {
			t.Fatalf("CONNECT %s: %v %v", host, resp, err)
		}
		return tls.Client(conn, &tls.Config{ServerName: host, RootCAs: roots, NextProtos: []string{"http/1.1"}})
	}
}

// onlyByte keeps a buffered reader from reading past a head.
type onlyByte struct{ io.Reader }

func (o onlyByte) Read(p []byte) (int, error) { return o.Reader.Read(p[:1]) }

// unasked has the upstream say v when it has answered and nobody asked, on a connection that kz keeps for its client, who stays.
func unasked(t *testing.T, b *bed.Bed, c *tls.Conn, look *canary.Canary, auth, v string) {
	t.Helper()
	defer c.Close()
	first := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	b.Origin.SetRaw("unasked", origin.Script{Answer: []byte(first + "HTTP/1.1 200 " + v), Split: len(first), Pause: 300 * time.Millisecond, End: origin.EndFIN})
	fmt.Fprintf(c, "GET /unasked HTTP/1.1\r\nHost: git.test\r\n%s\r\n", auth)
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(resp.Body)
	bed.Eventually(t, "the upstream has said what nobody asked for", func() bool {
		return b.Origin.Stats().Open == 0
	})
	// The next request does not meet it.
	fmt.Fprintf(c, "GET /ok HTTP/1.1\r\nHost: git.test\r\nConnection: close\r\n%s\r\n", auth)
	answer, _ := io.ReadAll(in)
	for _, hit := range look.In("the answer after one that nobody asked for", answer) {
		t.Error(hit)
	}
	if !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("the next request was answered with %q", answer)
	}
}

// TestLeakByAnswers has a bound upstream that says its value in every odd way it can: on the wire, in certificates, and when
// nobody asked. No client gets it, and it is in no log.
func TestLeakByAnswers(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	values := map[string]string{"API_KEY": awkward(), "PLAIN_KEY": canary.Value("k-")}
	for name, v := range values {
		b.SecretValue(name, v, `hosts = ["git.test", "other.test"]`)
	}
	b.Pin("git.test:443", "raw")
	b.Pin("other.test:443", namesInCertificate(t, values["PLAIN_KEY"]))
	p := b.StartProxy("--log-level", "debug")
	open := opener(t, p)
	// ask sends one request in a tunnel of its own and gives every byte that comes back.
	ask := func(host, path, header string) []byte {
		c := open(host)
		defer c.Close()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", path, host, header)
		answer, _ := io.ReadAll(c)
		return answer
	}
	for name, v := range values {
		look, auth := canary.New(v), "Authorization: Bearer "+p.Get(name)+"\r\n"
		says := sayings(v)
		for what, text := range says {
			b.Origin.SetRaw(what, origin.Script{Answer: []byte(text), End: origin.EndClose})
		}
		answered := 0
		for what := range says {
			got := ask("git.test", "/"+what, auth)
			for _, hit := range look.In("the answer to "+what, got) {
				t.Error(hit)
			}
			if strings.HasPrefix(string(got), "HTTP/1.1 ") {
				answered++
			}
		}
		if answered < len(says)*3/4 {
			t.Errorf("%d of %d requests were answered: is this a test?", answered, len(says))
		}
		unasked(t, b, open("git.test"), look, auth, v)
		got := ask("other.test", "/", auth)
		for _, hit := range look.In("the answer for a certificate", got) {
			t.Error(hit)
		}
		if !strings.Contains(string(got), "upstream_unverified") {
			t.Errorf("the certificate was believed: %s", got)
		}
		seen := map[string]bool{}
		for _, r := range b.Origin.Requests() {
			if len(look.Find(r.All())) > 0 {
				seen[r.Path] = true
			}
		}
		// An upstream that closes after each answer may close before the next request has come to it.
		if len(seen) < len(says)*9/10 {
			t.Errorf("%d of %d requests came with the value: is this a test?", len(seen), len(says))
		}
	}
	res := p.Stop()
	res.Exits(t, 0)
	b.Clean(res)
	for _, said := range []string{"goroutine ", "Unsolicited", "http: ", "http2: ", "x509: "} {
		if strings.Contains(string(res.Stderr), said) {
			t.Errorf("a library speaks (%q):\n%s", said, res.Stderr)
		}
	}
	verified := b.KZ("audit", "--verify", b.AuditFile())
	verified.Succeeds(t)
	b.Clean(verified)
}
