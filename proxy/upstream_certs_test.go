package proxy_test

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/ca"
	"kz/proxy"
	"kz/proxy/policy"
)

// shower is an upstream for api.test that shows one certificate after the other and keeps what it is sent.
type shower struct {
	mu   sync.Mutex
	show *tls.Config
	sent int
}

func (s *shower) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			s.mu.Lock()
			config := s.show
			s.mu.Unlock()
			tc := tls.Server(conn, config)
			buf := make([]byte, 4096)
			n, err := tc.Read(buf)
			s.mu.Lock()
			s.sent += n
			s.mu.Unlock()
			if err == nil {
				_, _ = io.WriteString(tc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
		}()
	}
}

// TestUpstreamCertificates sends a request that carries a value to upstreams with good and bad certificates. A bad one
// receives not a byte of it.
func TestUpstreamCertificates(t *testing.T) {
	t.Parallel()
	root := issue(t, nil, authorityTemplate("root", 2), ecKey(t))
	strangers := issue(t, nil, authorityTemplate("strangers", 2), ecKey(t))
	rsaRoot := issue(t, nil, authorityTemplate("RSA root", 2), rsaKey(t, 2048))
	small := rsaKey(t, 1024)
	middle := issue(t, root, authorityTemplate("middle", 0), ecKey(t))
	leaf := ecKey(t)
	with := func(change func(*x509.Certificate)) *x509.Certificate {
		c := template()
		change(c)
		return c
	}
	middleWith := func(change func(*x509.Certificate)) *issuer {
		c := authorityTemplate("middle of its own", 0)
		change(c)
		return issue(t, root, c, ecKey(t))
	}
	direct := func(change func(*x509.Certificate)) tls.Certificate {
		return chainOf(issue(t, root, with(change), leaf))
	}
	through := func(m *issuer, below ...*issuer) tls.Certificate {
		return chainOf(issue(t, m, template(), leaf), append([]*issuer{m}, below...)...)
	}
	var own *ca.Authority
	s := &shower{}
	b := newBed(t, func(b *bed, o *proxy.Options, secrets *[]policy.Secret, _ *policy.Egress) {
		own = o.Authority
		roots := x509.NewCertPool()
		for _, c := range []*x509.Certificate{root.cert, rsaRoot.cert, own.Certificate(), strangers.cert} {
			roots.AddCert(c) // kz's own and another, as they stand in a system's store
		}
		o.Roots = func() (*x509.CertPool, error) { return roots, nil }
		o.Distrust = []*x509.Certificate{strangers.cert}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go s.serve(l)
		for _, host := range []string{"api.test:443", "192.0.2.7:443"} {
			b.pinTo(o, host, l.Addr().String())
		}
		(*secrets)[0].Hosts = hosts(t, "api.test", "192.0.2.7")
	})
	ownMinter, err := ca.NewMinter(own, ca.MinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ownLeaf, err := ownMinter.Leaf("api.test")
	if err != nil {
		t.Fatal(err)
	}
	unknown := issue(t, nil, authorityTemplate("unknown", 2), ecKey(t))
	selfSigned := with(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, c.KeyUsage|x509.KeyUsageCertSign })
	none := func(*x509.Certificate) {}
	pathed := issue(t, middle, authorityTemplate("below a path length of 0", 0), ecKey(t))
	constrained := func(permit, exclude []string) *issuer {
		return middleWith(func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.ExcludedDNSDomains, c.PermittedDNSDomainsCritical = permit, exclude, true
		})
	}
	shows := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	for _, c := range []struct {
		name string
		host string
		show *tls.Config
		good bool
	}{
		{"a good one passes", "", shows(direct(none)), true},
		{"one with an authority between passes", "", shows(through(middle)), true},
		{"one for a wildcard just above passes", "", shows(direct(func(c *x509.Certificate) { c.DNSNames = []string{"*.test"} })), true},
		{"one for several names passes", "", shows(direct(func(c *x509.Certificate) { c.DNSNames = []string{"x.test", "API.test"} })), true},
		{"one for the address passes", "192.0.2.7", shows(direct(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, ips("192.0.2.7") })), true},
		{"one of RSA with 2048 bits passes", "", shows(chainOf(issue(t, rsaRoot, template(), rsaKey(t, 2048)))), true},
		{"one of Ed25519 passes", "", shows(chainOf(issue(t, root, template(), ed25519Key(t)))), true},
		{"one whose authority is permitted the name passes", "", shows(through(constrained([]string{"test"}, nil))), true},
		{"TLS 1.2 passes", "", &tls.Config{Certificates: []tls.Certificate{direct(none)}, MaxVersion: tls.VersionTLS12}, true},

		{"expired", "", shows(direct(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })), false},
		{"not yet valid", "", shows(direct(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })), false},
		{"for another name", "", shows(direct(func(c *x509.Certificate) { c.DNSNames = []string{"evil.test"} })), false},
		{"for a name that ends alike", "", shows(direct(func(c *x509.Certificate) { c.DNSNames = []string{"xapi.test", "test", "api.test.evil.test"} })), false},
		{"for a wildcard below", "", shows(direct(func(c *x509.Certificate) { c.DNSNames = []string{"*.api.test"} })), false},
		{"for a wildcard two labels above", "", shows(direct(func(c *x509.Certificate) { c.DNSNames = []string{"*"} })), false},
		{"for a wildcard within a label", "", shows(direct(func(c *x509.Certificate) { c.DNSNames = []string{"a*.test", "*pi.test"} })), false},
		{"with its name as common name alone", "", shows(direct(func(c *x509.Certificate) { c.DNSNames = nil })), false},
		{"for an address where a name was asked for", "", shows(direct(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, ips("192.0.2.7", "127.0.0.1") })), false},
		{"for another address", "192.0.2.7", shows(direct(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, ips("192.0.2.8", "127.0.0.1") })), false},
		{"with an address spelled as a name", "192.0.2.7", shows(direct(func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = "192.0.2.7", []string{"192.0.2.7"} })), false},
		{"self-signed", "", shows(chainOf(issue(t, nil, selfSigned, leaf))), false},
		{"of an unknown authority", "", shows(chainOf(issue(t, unknown, template(), leaf), unknown)), false},
		{"of an unknown authority with the name of a known one", "", shows(chainOf(issue(t, issue(t, nil, authorityTemplate("root", 2), ecKey(t)), template(), leaf))), false},
		{"of kz's own authority", "", shows(*ownLeaf), false},
		{"of an authority that is distrusted", "", shows(chainOf(issue(t, strangers, template(), leaf))), false},
		{"below an authority that is distrusted", "", shows(through(issue(t, strangers, authorityTemplate("x", 0), ecKey(t)))), false},
		{"without the authority between", "", shows(chainOf(issue(t, middle, template(), leaf))), false},
		{"signed by a leaf", "", shows(through(issue(t, root, template(), ecKey(t)))), false},
		{"signed by what is no authority", "", shows(through(middleWith(func(c *x509.Certificate) { c.IsCA, c.MaxPathLen, c.MaxPathLenZero = false, -1, false }))), false},
		{"signed by an authority without the use to sign", "", shows(through(middleWith(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }))), false},
		{"below an expired authority", "", shows(through(middleWith(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))), false},
		{"below more authorities than may be", "", shows(through(pathed, middle)), false},
		{"of an authority that is permitted other names", "", shows(through(constrained([]string{"evil.test"}, nil))), false},
		{"of an authority that is excluded the name", "", shows(through(constrained(nil, []string{"api.test"}))), false},
		{"of an authority for clients", "", shows(through(middleWith(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))), false},
		{"for a client", "", shows(direct(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })), false},
		{"for signing code", "", shows(direct(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} })), false},
		{"of RSA with 1024 bits", "", shows(chainOf(issue(t, root, template(), small))), false},
		{"below an authority of RSA with 1024 bits", "", shows(through(issue(t, root, authorityTemplate("small", 0), small))), false},
		{"signed with SHA-1", "", shows(weakly(t, rsaRoot, leaf, crypto.SHA1, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5})), false},
		{"signed with MD5", "", shows(weakly(t, rsaRoot, leaf, crypto.MD5, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4})), false},
		{"TLS 1.1", "", &tls.Config{Certificates: []tls.Certificate{direct(none)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"a key exchange without forward secrecy", "", &tls.Config{Certificates: []tls.Certificate{chainOf(issue(t, rsaRoot, template(), rsaKey(t, 2048)))}, MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.mu.Lock()
			s.show, s.sent = c.show, 0
			s.mu.Unlock()
			host := c.host
			if host == "" {
				host = "api.test"
			}
			a := b.do(b.request("GET", "https://"+host+"/", "", "Authorization: Bearer "+b.mask("KEY")))
			s.mu.Lock()
			defer s.mu.Unlock()
			if c.good {
				if a.StatusCode != 200 || s.sent == 0 {
					t.Errorf("status %d, %s", a.StatusCode, a.body)
				}
				return
			}
			if s.sent > 0 {
				t.Errorf("the upstream received %d bytes", s.sent)
			}
			code := "upstream_unverified"
			if c.show.MaxVersion != 0 {
				code = "upstream_unreachable" // the upstream is the one that refuses
			}
			if a.StatusCode != 502 || a.Header.Get("Kz-Error") != code || !strings.Contains(a.body, host) {
				t.Errorf("answered with %d %s", a.StatusCode, a.body)
			}
		})
	}
}
