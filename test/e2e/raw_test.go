package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"kz/test/bed"
)

// child is a blind child that waits. Its environment, and nothing else, is used from this process, to say what no
// client of the machine would say.
type child struct {
	*bed.Process
	env map[string]string
}

func waiting(t *testing.T, b *bed.Bed) *child {
	t.Helper()
	p := b.Start(shell("env; echo ready:; read line")...)
	p.Await("ready:")
	return &child{Process: p, env: variables(strings.Split(p.Stdout(), "\n"))}
}

func variables(list []string) map[string]string {
	env := map[string]string{}
	for _, kv := range list {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	return env
}

// wayOut is the proxy that the environment names.
func (c *child) wayOut(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(c.env["HTTPS_PROXY"])
	if err != nil || u.User == nil {
		t.Fatalf("HTTPS_PROXY has no credential: %v", err)
	}
	return u
}

// credential is the header that the environment's proxy URL stands for.
func (c *child) credential(t *testing.T) string {
	t.Helper()
	u := c.wayOut(t)
	password, _ := u.User.Password()
	return "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)) + "\r\n"
}

func (c *child) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	file, err := os.ReadFile(c.env["SSL_CERT_FILE"])
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(file) {
		t.Fatalf("reading SSL_CERT_FILE: %v", err)
	}
	return pool
}

// say sends text to the proxy and reads one answer. method says what kind of request it answers.
func (c *child) say(t *testing.T, method, text string) (*http.Response, []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", c.wayOut(t).Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return say(t, conn, method, text)
}

func say(t *testing.T, conn net.Conn, method, text string) (*http.Response, []byte) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

// tunnel opens a tunnel.
func (c *child) tunnel(t *testing.T, hostport string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", c.wayOut(t).Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", hostport, hostport, c.credential(t))
	var head bytes.Buffer
	for one := make([]byte, 1); !bytes.HasSuffix(head.Bytes(), []byte("\r\n\r\n")); head.Write(one) {
		if _, err := conn.Read(one); err != nil {
			t.Fatalf("opening the tunnel: %v", err)
		}
	}
	if !strings.HasPrefix(head.String(), "HTTP/1.1 200 ") {
		t.Fatalf("no tunnel to %s: %s", hostport, head.String())
	}
	return conn
}

// inside opens a tunnel to host and speaks TLS in it, as a client of name would.
func (c *child) inside(t *testing.T, hostport, name string, alpn ...string) (*tls.Conn, error) {
	t.Helper()
	conn := tls.Client(c.tunnel(t, hostport), &tls.Config{ServerName: name, RootCAs: c.roots(t), NextProtos: alpn})
	return conn, conn.Handshake()
}

// client is a Go client with what the environment says.
func (c *child) client(t *testing.T, h2 bool) *http.Client {
	t.Helper()
	tr := &http.Transport{Proxy: http.ProxyURL(c.wayOut(t)), TLSClientConfig: &tls.Config{RootCAs: c.roots(t)}, ForceAttemptHTTP2: h2}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

// text writes an answer's head as it came.
func text(resp *http.Response) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", resp.Proto, resp.Status)
	_ = resp.Header.Write(&b)
	return b.String()
}
