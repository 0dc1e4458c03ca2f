package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kz/ca"
	"kz/masking"
	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
	"kz/resolver"
	"kz/test/peers"
)

// The two rows of test/e2e's TestProbes that cannot be asked of a whole kz: one needs time to pass, the other a fault.

// pipes is a listener without a network, for tests with a clock of their own.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (l *pipes) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

// serveKZ serves on l what intercepts api.test. It returns the CA.
func serveKZ(t *testing.T, l net.Listener) *x509.Certificate {
	t.Helper()
	authority, err := ca.New(ca.Options{Name: "kz test"})
	if err != nil {
		t.Fatal(err)
	}
	table, err := masking.NewTable(masking.NewKey(), []masking.Entry{{Name: "KEY"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := proxy.New(proxy.Options{
		Authority: authority, Table: table, Credential: credential, Session: "0123456789abcdef", Audit: &audit.Memory{},
		Policy: policy.New([]policy.Secret{{Name: "KEY", Hosts: hosts(t, "api.test"), Places: policy.DefaultPlaces()}}, policy.Egress{}),
		Values: func(context.Context, string) (resolver.Secret, error) { return resolver.Secret{}, errors.New("none") },
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.Serve(l) }()
	t.Cleanup(func() { _ = p.Close() })
	return authority.Certificate()
}

// serveGoproxy is serveKZ for goproxy's own interception, which answers 407 inside the tunnel.
func serveGoproxy(t *testing.T, l net.Listener) *x509.Certificate {
	t.Helper()
	g, err := peers.StartGoproxy(peers.Goproxy{Listener: l, Password: credential})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g.CA
}

func TestIdleClients(t *testing.T) {
	t.Parallel()
	// Both answer h1 without an upstream: kz refuses the mask, goproxy asks for the credential again.
	const h1, h2 = "GET / HTTP/1.1\r\nHost: api.test\r\nX-Key: kz_masked_00000000000000000000000000000000\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	for name, c := range map[string]struct {
		serve func(*testing.T, net.Listener) *x509.Certificate
		alpn  string
		say   string
		limit time.Duration // 0: none
	}{
		"kz lets an HTTP/1.1 client go that says nothing for two minutes": {serveKZ, "http/1.1", h1, 120 * time.Second},
		"kz lets an h2 client go that says nothing for two minutes":       {serveKZ, "h2", h2, 120 * time.Second},
		"goproxy keeps it for ever":                                       {serveGoproxy, "http/1.1", h1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				roots := x509.NewCertPool()
				roots.AddCert(c.serve(t, l))
				raw := l.dial()
				defer raw.Close()
				_, err := io.WriteString(raw, "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\nProxy-Authorization: Basic "+basic("kz", credential)+"\r\n\r\n")
				if err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(bufio.NewReader(oneByte{raw}), &http.Request{Method: http.MethodConnect})
				if err != nil || resp.StatusCode != 200 {
					t.Fatal(resp, err)
				}
				conn := tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: "api.test", NextProtos: []string{c.alpn}})
				if _, err := io.WriteString(conn, c.say); err != nil {
					t.Fatal(err)
				}
				if got := conn.ConnectionState().NegotiatedProtocol; got != c.alpn {
					t.Fatalf("the protocol is %q", got)
				}
				var took int64
				ended := make(chan struct{})
				go func() {
					took, _ = io.Copy(io.Discard, conn)
					close(ended)
				}()
				open := func() bool {
					synctest.Wait()
					select {
					case <-ended:
						return false
					default:
						return true
					}
				}
				if c.limit == 0 {
					time.Sleep(24 * time.Hour)
					if !open() {
						t.Errorf("it ended after %d bytes", took)
					}
					return
				}
				time.Sleep(c.limit - time.Second)
				if !open() {
					t.Fatalf("it ended too early, after %d bytes", took)
				}
				time.Sleep(3 * time.Second)
				if open() {
					t.Fatal("it is still open")
				}
				if took == 0 {
					t.Error("nothing was ever said")
				}
			})
		})
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		name := "a fault in one request ends no other, over HTTP/1.1"
		if h2 {
			name = "a fault in one request ends no other, over h2"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
				values := o.Values
				o.Values = func(ctx context.Context, name string) (resolver.Secret, error) {
					if name == "PEM" {
						panic("as a defect would, with " + keyValue)
					}
					return values(ctx, name)
				}
			})
			b.client = b.newClient(h2)
			resp, err := b.client.Do(b.request("GET", "https://api.test/", "", "X-Key: "+b.mask("PEM")))
			if err == nil {
				_ = resp.Body.Close()
				t.Errorf("the answer is %s", resp.Status)
			}
			b.nothingSent()
			a := b.do(b.request("GET", "https://api.test/", "", "Authorization: Bearer "+b.mask("KEY")))
			if got := b.upstreamGot().r.Header.Get("Authorization"); a.StatusCode != 200 || got != "Bearer "+keyValue {
				t.Errorf("the next request: %s, and the upstream got %q", a.Status, got)
			}
			b.event(func(e audit.Event) bool { return len(e.Swapped) == 0 && e.Status == 0 && e.Host == "api.test" })
		})
	}
}
