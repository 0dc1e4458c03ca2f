package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kz/ca"
	"kz/test/bed"
)

// trap counts connections that should never be made.
type trap struct {
	net.Listener
	n atomic.Int64
}

func newTrap(t *testing.T, serve func(net.Conn)) *trap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	tr := &trap{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tr.n.Add(1)
			go func() {
				defer c.Close()
				if serve != nil {
					_ = c.SetDeadline(time.Now().Add(10 * time.Second))
					serve(c)
				}
			}()
		}
	}()
	return tr
}

// answering speaks TLS with the certificate and counts the requests that it was sent.
func answering(config *tls.Config, requests *atomic.Int64) func(net.Conn) {
	return func(c net.Conn) {
		tc := tls.Server(c, config)
		if n, _ := tc.Read(make([]byte, 4096)); n > 0 {
			requests.Add(1)
			_, _ = tc.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
		}
	}
}

// carrying is a request that carries the value, and prints what becomes of it.
func carrying(t *testing.T, b *bed.Bed) bed.Result {
	t.Helper()
	return b.Run(shell(bed.Program(t, "curl") + ` -sS -i -m 30 -H "Authorization: Bearer $API_KEY" https://api.test/echo`)...)
}

func refusedUpstream(t *testing.T, b *bed.Bed, requests *atomic.Int64) {
	t.Helper()
	res := carrying(t, b)
	if !strings.Contains(strings.ToLower(string(res.Stdout)), "kz-error: upstream_") {
		t.Errorf("not refused:\n%s%s", res.Stdout, res.Stderr)
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("the upstream received %d requests", n)
	}
	b.Clean(res)
}

// TestAHostileEnvironmentChangesNothing starts kz with variables that a workspace or a parent may have set.
func TestAHostileEnvironmentChangesNothing(t *testing.T) {
	t.Parallel()
	authority := func(t *testing.T) (*ca.Authority, *tls.Config) {
		t.Helper()
		a, err := ca.New(ca.Options{Name: "stranger", Lifetime: 24 * time.Hour, PermittedHosts: []string{"api.test"}})
		if err != nil {
			t.Fatal(err)
		}
		m, err := ca.NewMinter(a, ca.MinterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := m.Leaf("api.test")
		if err != nil {
			t.Fatal(err)
		}
		return a, &tls.Config{Certificates: []tls.Certificate{*leaf}}
	}
	for _, variable := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		t.Run(variable+" names no authority for upstreams", func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			b := bed.New(t)
			b.Secret("API_KEY", bound)
			a, config := authority(t)
			b.Pin("api.test:443", newTrap(t, answering(config, &requests)).Addr().String())
			path := b.Path("home/certs")
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+"/stranger.pem", a.CertPEM(), 0o600); err != nil {
				t.Fatal(err)
			}
			if variable == "SSL_CERT_FILE" {
				path += "/stranger.pem"
			}
			b.Env = append(b.Env, variable+"="+path)
			refusedUpstream(t, b, &requests)
		})
	}
	t.Run("the authority that kz ca install keeps vouches for no upstream", func(t *testing.T) {
		t.Parallel()
		var requests atomic.Int64
		b := bed.New(t)
		b.Secret("API_KEY", bound)
		a, config := authority(t)
		b.Pin("api.test:443", newTrap(t, answering(config, &requests)).Addr().String())
		if err := ca.Keep(b.Path("home/.local/state/kz/ca"), a); err != nil {
			t.Fatal(err)
		}
		// As if it stood among the system's.
		if err := os.WriteFile(b.Path("etc/ca.pem"), append(b.Origin.CAPEM(), a.CertPEM()...), 0o600); err != nil {
			t.Fatal(err)
		}
		refusedUpstream(t, b, &requests)
	})
	t.Run("GODEBUG makes no weak handshake", func(t *testing.T) {
		t.Parallel()
		var requests atomic.Int64
		b := bed.New(t)
		b.Secret("API_KEY", bound)
		root, leaf := withRSA(t)
		if err := os.WriteFile(b.Path("etc/ca.pem"), root, 0o600); err != nil {
			t.Fatal(err)
		}
		// Without forward secrecy, which tlsrsakex=1 would bring back.
		config := &tls.Config{Certificates: []tls.Certificate{leaf}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}
		upstream := newTrap(t, answering(config, &requests))
		b.Pin("api.test:443", upstream.Addr().String())
		b.Env = append(b.Env, "GODEBUG=tlsrsakex=1,tls3des=1,tls10server=1,tlssha1=1,rsa1024min=0,tlsmaxrsasize=65536,x509negativeserial=1,x509sha1=1,netdns=cgo+2,cryptocustomrand=1")
		refusedUpstream(t, b, &requests)
		if upstream.n.Load() == 0 {
			t.Error("the upstream was not even tried")
		}
	})
	t.Run("GODEBUG has nothing logged", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		b.Secret("API_KEY", bound)
		b.Env = append(b.Env, "GODEBUG=http2debug=2", "GOTRACEBACK=all")
		res := b.Run(shell(bed.Program(t, "curl") + ` -sS --http2 -o /dev/null -H "Authorization: Bearer $API_KEY" https://api.test/echo`)...)
		res.Succeeds(t)
		if r := received(t, b, "/echo"); r[0].Proto != "HTTP/2.0" {
			t.Errorf("the origin was asked over %s", r[0].Proto)
		}
		if strings.Contains(string(res.Stderr), "http2") {
			t.Errorf("logged: %s", res.Stderr)
		}
		b.Clean(res)
	})
	t.Run("no proxy and no key log are taken from it", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		value := b.Secret("API_KEY", bound)
		elsewhere := newTrap(t, nil)
		for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
			b.Env = append(b.Env, name+"=http://"+elsewhere.Addr().String())
		}
		keys := b.Path("home/keys.log")
		b.Env = append(b.Env, "NO_PROXY=nothing.test", "SSLKEYLOGFILE="+keys, "RES_OPTIONS=attempts:1", "LOCALDOMAIN=evil.test", "HOSTALIASES="+b.Path("home/aliases"))
		res := b.Run(shell(`unset SSLKEYLOGFILE; ` + bed.Program(t, "curl") + ` -sS -o /dev/null -H "Authorization: Bearer $API_KEY" https://api.test/echo; ` +
			bed.Program(t, "curl") + ` -sS -o /dev/null http://api.test/plain; ` + bed.Program(t, "curl") + ` -sS -o /dev/null --cacert ` + b.Path("etc/ca.pem") + ` https://other.test/tunnel`)...)
		res.Succeeds(t)
		if r := received(t, b, "/echo"); r[0].Header.Get("Authorization") != "Bearer "+value {
			t.Error("the origin did not receive the value")
		}
		received(t, b, "/plain")
		received(t, b, "/tunnel")
		if n := elsewhere.n.Load(); n != 0 {
			t.Errorf("%d connections went to the environment's proxy", n)
		}
		if _, err := os.Stat(keys); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("keys were logged: %v", err)
		}
		b.Clean(res)
	})
}

// withRSA is a root, as PEM, and a leaf of it for api.test whose key is RSA's.
func withRSA(t *testing.T) ([]byte, tls.Certificate) {
	t.Helper()
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: []string{"api.test"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
