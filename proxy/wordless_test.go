package proxy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/proxy/audit"
)

const wordlessReason = "the client went away after the TLS handshake without a request; it may not trust the authority of kz"

// greet does the handshake of a client that looks at no certificate until it is complete, as GnuTLS leaves it to its programs.
func (b *bed) greet(version uint16) *tls.Conn {
	b.t.Helper()
	conn := tls.Client(b.connect("api.test:443"), &tls.Config{ServerName: "api.test", InsecureSkipVerify: true, MaxVersion: version, NextProtos: []string{"http/1.1"}})
	if err := conn.Handshake(); err != nil {
		b.t.Fatal(err)
	}
	return conn
}

func (b *bed) shutdown() {
	b.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	if err := b.proxy.Shutdown(ctx); err != nil {
		b.t.Error(err)
	}
}

// TestAClientThatGoesInTheHandshake: it may not trust the authority, and its user wants to know.
func TestAClientThatGoesInTheHandshake(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		client func(b *bed)
		want   string // the reason; "" for no line
	}{
		"one that judges after the handshake of TLS 1.3": {func(b *bed) { _ = b.greet(tls.VersionTLS13).NetConn().Close() }, wordlessReason},
		"one that judges after the handshake of TLS 1.2": {func(b *bed) { _ = b.greet(tls.VersionTLS12).NetConn().Close() }, wordlessReason},
		"one that says goodbye after it":                 {func(b *bed) { _ = b.greet(tls.VersionTLS13).Close() }, wordlessReason},
		"several at the same moment are one line":        {func(b *bed) { _, _ = b.greet(tls.VersionTLS13).Close(), b.greet(tls.VersionTLS13).Close() }, wordlessReason},
		"one that judges within it, without an alert": {func(b *bed) {
			conn := b.connect("api.test:443")
			_ = tls.Client(conn, &tls.Config{ServerName: "api.test", InsecureSkipVerify: true, VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error {
				_ = conn.Close() // before the alert
				return io.EOF
			}}).Handshake()
		}, "the client went away during the TLS handshake; it may not trust the authority of kz"},
		"one that sends an alert": {func(b *bed) {
			_ = tls.Client(b.connect("api.test:443"), &tls.Config{ServerName: "api.test", RootCAs: x509.NewCertPool()}).Handshake()
		}, "the client ended the TLS handshake; it may not trust the authority of kz"},
		"one that only looks for an open tunnel": {func(b *bed) { _ = b.connect("api.test:443").Close() }, ""},
		"one that says too little": {func(b *bed) {
			conn := b.connect("api.test:443")
			_, _ = conn.Write([]byte{22, 3, 1, 0, 100, 1})
			_ = conn.Close()
		}, ""},
		"one that is still there when kz ends": {func(b *bed) {
			conn := tls.Client(b.connect("api.test:443"), &tls.Config{ServerName: "api.test", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			if _, err := conn.Read(make([]byte, 1)); err != nil { // an h2 server begins
				b.t.Error(err)
			}
			_ = b.proxy.Close()
		}, ""},
		"one that begins a request": {func(b *bed) {
			conn := b.greet(tls.VersionTLS13)
			_, _ = io.WriteString(conn, "GET / ")
			_ = conn.Close()
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.proxy.TakeTime()
			c.client(b)
			b.shutdown()
			var reasons []string
			for _, e := range b.audit.Events() {
				reasons = append(reasons, e.Reason)
				if e.Kind != audit.Refusal || e.Code != "" || e.Method != http.MethodConnect || e.Host != "api.test" || e.Port != 443 || e.Request == "" || e.Time.IsZero() {
					t.Errorf("the line is %+v", e)
				}
			}
			if got := strings.Join(reasons, "; "); got != c.want {
				t.Errorf("it says %q, not %q", got, c.want)
			}
			b.nothingSent()
		})
	}
}

// TestAConnectionTooMany is what clients that trust open beside the one that they use.
func TestAConnectionTooMany(t *testing.T) {
	t.Parallel()
	t.Run("that is closed before the first request comes is not recorded", func(t *testing.T) {
		t.Parallel()
		b := newBed(t)
		b.proxy.TakeTime()
		_ = b.greet(tls.VersionTLS13).Close()
		b.do(b.request("GET", "https://api.test/x", ""))
		b.upstreamGot()
		b.shutdown()
		if events := b.audit.Events(); len(events) != 1 || events[0].Kind != audit.Request {
			t.Errorf("the audit has %+v", events)
		}
	})
	t.Run("that is closed after the first request is not recorded", func(t *testing.T) {
		t.Parallel()
		b := newBed(t)
		b.proxy.TakeTime()
		b.do(b.request("GET", "https://api.test/x", ""))
		b.upstreamGot()
		_ = b.greet(tls.VersionTLS13).Close()
		b.shutdown()
		if events := b.audit.Events(); len(events) != 1 || events[0].Kind != audit.Request {
			t.Errorf("the audit has %+v", events)
		}
	})
	t.Run("as net/http opens them for its first requests is not recorded", func(t *testing.T) {
		t.Parallel()
		b := newBed(t)
		b.proxy.TakeTime()
		client := b.newClient(true)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				resp, err := client.Get("https://api.test/x")
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			})
		}
		all.Wait()
		client.CloseIdleConnections()
		b.shutdown()
		for _, e := range b.audit.Events() {
			if e.Kind != audit.Request {
				t.Errorf("the audit has %+v", e)
			}
		}
	})
}
