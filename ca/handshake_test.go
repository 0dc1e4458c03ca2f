package ca

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// canonical undoes what a TLS client does to a host before it looks for it in a certificate.
func canonical(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		host = strings.TrimSuffix(inner, "]")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run("a client that trusts the bundle connects and resumes over "+name, func(t *testing.T) {
			t.Parallel()
			a := newTestAuthority(t, Options{PermittedHosts: []string{"api.example.com"}})
			m := newTestMinter(t, a)
			server := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return m.Leaf(hello.ServerName)
			}}
			roots := x509.NewCertPool()
			if !roots.AppendCertsFromPEM(Bundle(nil, a)) {
				t.Fatal("bundle has no certificate")
			}
			client := &tls.Config{RootCAs: roots, ServerName: "api.example.com", MinVersion: version, MaxVersion: version,
				ClientSessionCache: tls.NewLRUClientSessionCache(4)}
			if state := handshake(t, server, client); state.DidResume || len(state.PeerCertificates) != 1 {
				t.Errorf("first: resumed %v, chain of %d", state.DidResume, len(state.PeerCertificates))
			}
			if state := handshake(t, server, client); !state.DidResume {
				t.Error("second: not resumed")
			}
		})
	}
}

func handshake(t *testing.T, server, client *tls.Config) tls.ConnectionState {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		s := tls.Server(conn, server)
		_, err = s.Write([]byte("hello")) // a client reads its TLS 1.3 tickets with the first data
		if err == nil {
			err = s.CloseWrite()
		}
		served <- err
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), client)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if b, err := io.ReadAll(conn); string(b) != "hello" {
		t.Fatalf("read %q, %v", b, err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState()
}
