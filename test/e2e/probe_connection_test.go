package e2e_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"kz/test/peers"
)

// oneSegment writes head together with the first bytes of what is said in the tunnel, and takes the answer to it before
// the first that it reads.
type oneSegment struct {
	net.Conn
	head string
	took bool
}

func (c *oneSegment) Write(p []byte) (int, error) {
	if c.head == "" {
		return c.Conn.Write(p)
	}
	n := len(c.head)
	m, err := c.Conn.Write(append([]byte(c.head), p...))
	c.head = ""
	return max(0, m-n), err
}

func (c *oneSegment) Read(p []byte) (int, error) {
	if !c.took {
		c.took = true
		if err := readEstablished(c.Conn); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

func helloBehindConnect(host string) func(*testing.T, *entry) string {
	return func(t *testing.T, e *entry) string {
		raw, err := e.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(8 * time.Second))
		config := e.trust(host, "http/1.1")
		config.RootCAs.AppendCertsFromPEM(e.b.Origin.CAPEM()) // in a tunnel it is the origin that answers
		conn := tls.Client(&oneSegment{Conn: raw, head: e.head(host + ":443")}, config)
		resp, _, err := exchange(conn, "GET", "GET /ok HTTP/1.1\r\nHost: "+host+"\r\nAuthorization: Basic a3o6\r\n\r\n")
		if err != nil {
			return err.Error()
		}
		if resp.StatusCode >= 500 {
			return resp.Status
		}
		return ""
	}
}

// patience is past the limits that kz has for a client's handshake and head, 10 s.
const patience = 12 * time.Second

// stays reads what comes until the proxy ends the connection, or patience does.
func stays(conn net.Conn) string {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Sprintf("still open after %v", patience)
	}
	return ""
}

// silentClient says text in its tunnel, and nothing more.
func silentClient(text string) func(*testing.T, *entry) string {
	return func(t *testing.T, e *entry) string {
		conn, err := e.connect("api.test:443")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		return stays(conn)
	}
}

func slowHead(t *testing.T, e *entry) string {
	conn := e.inside(t, "api.test", time.Minute)
	if _, err := io.WriteString(conn, "GET /ok HTTP/1.1\r\nHost: api.test\r\nX-More: "); err != nil {
		t.Fatal(err)
	}
	return stays(conn)
}

func largeHead(t *testing.T, e *entry) string {
	conn := e.inside(t, "api.test", time.Minute)
	// What is refused may be refused while it is still being written.
	_, _ = io.WriteString(conn, "GET /ok HTTP/1.1\r\nHost: api.test\r\nX-Large: "+strings.Repeat("a", 1<<20)+"\r\n\r\n")
	resp, _, err := exchange(conn, "GET", "")
	if err == nil && resp.StatusCode == http.StatusOK {
		return "took it, and sent it on"
	}
	return ""
}

func resumption(t *testing.T, e *entry) string {
	cache := tls.NewLRUClientSessionCache(8)
	for range 3 {
		raw, err := e.connect("api.test:443")
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
		config := e.trust("api.test", "http/1.1")
		config.ClientSessionCache = cache
		conn := tls.Client(raw, config)
		// The tickets come behind the handshake, with the first answer.
		if _, _, err := exchange(conn, "GET", "GET /ok HTTP/1.1\r\nHost: api.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if conn.ConnectionState().DidResume {
			return ""
		}
	}
	return "a full handshake each of three times"
}

// leaf is the certificate that a client of host is shown. The handshake must be whole.
func (e *entry) leaf(t *testing.T, host string) *x509.Certificate {
	t.Helper()
	conn := e.inside(t, host, 20*time.Second)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

func otherName(t *testing.T, e *entry) string {
	raw, err := e.connect("api.test:443")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
	err = tls.Client(raw, e.trust("other.test")).Handshake()
	var name x509.HostnameError
	switch {
	case err == nil:
		return "a certificate for other.test"
	case errors.As(err, &name):
		return "a certificate for " + strings.Join(name.Certificate.DNSNames, ", ")
	case !strings.Contains(err.Error(), "unrecognized name"):
		return err.Error()
	}
	return ""
}

func leafKeys(t *testing.T, e *entry) string {
	const hosts = 6
	var first *x509.Certificate
	own := ""
	began := time.Now()
	for i := range hosts {
		leaf := e.leaf(t, fmt.Sprintf("host-%d.wild.test", i))
		if first == nil {
			first = leaf
		} else if !leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(first.PublicKey) {
			own = "a key of its own"
			if k, ok := leaf.PublicKey.(*rsa.PublicKey); ok {
				own = fmt.Sprintf("an RSA-%d key of its own", k.N.BitLen())
			}
		}
	}
	rate := float64(hosts) / time.Since(began).Seconds()
	t.Logf("%s: %.0f new hosts a second", e.url.Host, rate)
	if own != "" {
		return fmt.Sprintf("each host has %s (%.0f new hosts a second)", own, rate)
	}
	if k, ok := first.PublicKey.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		return fmt.Sprintf("the key is a %T", first.PublicKey)
	}
	return ""
}

func sameLeaf(t *testing.T, e *entry) string {
	if a, b := e.leaf(t, "api.test"), e.leaf(t, "api.test"); !a.Equal(b) {
		return "another leaf for each connection"
	}
	return ""
}

func ownKey(_ *testing.T, e *entry) string {
	if e.ca.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(peers.PublicKey()) {
		return "the CA's key is public: it is in the source of goproxy"
	}
	return ""
}
