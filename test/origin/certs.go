package origin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"
)

// authority signs the origin's certificates; one leaf key serves them all.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	leaf *ecdsa.PrivateKey
	pem  []byte

	mu    sync.Mutex
	cache map[string]*tls.Certificate
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{
		cert: cert, key: key, leaf: leaf,
		pem:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		cache: map[string]*tls.Certificate{},
	}, nil
}

// leafFault says what is wrong with a certificate.
type leafFault int

const (
	good leafFault = iota
	expired
	selfSigned
)

// issue returns the certificate for one name, made on first use.
func (a *authority) issue(name string, fault leafFault) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := fmt.Sprint(name, fault)
	if c := a.cache[id]; c != nil {
		return c, nil
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-2 * time.Hour),
		NotAfter:     time.Now().Add(12 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{name}
	}
	parent, signer := a.cert, a.key
	switch fault {
	case expired:
		tmpl.NotAfter = time.Now().Add(-time.Hour)
	case selfSigned:
		parent, signer = tmpl, a.leaf
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &a.leaf.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.leaf}
	a.cache[id] = c
	return c, nil
}

// tlsConfigs has one configuration per TLS listener that speaks HTTP.
func (o *Origin) tlsConfigs() map[string]*tls.Config {
	config := func(get func(sni string) (*tls.Certificate, error), alpn ...string) *tls.Config {
		return &tls.Config{
			NextProtos: alpn,
			GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return get(strings.ToLower(h.ServerName))
			},
		}
	}
	faulty := func(f leafFault) func(string) (*tls.Certificate, error) {
		return func(sni string) (*tls.Certificate, error) { return o.ca.issue(orLoopback(sni), f) }
	}
	stranger := sync.OnceValues(func() (*authority, error) { return newAuthority("kz test stranger CA") })
	old := config(o.certificate, "http/1.1")
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	return map[string]*tls.Config{
		"tls":         config(o.certificate, "h2", "http/1.1"),
		"h1":          config(o.certificate, "http/1.1"),
		"self-signed": config(faulty(selfSigned), "h2", "http/1.1"),
		"expired":     config(faulty(expired), "h2", "http/1.1"),
		"old-tls":     old,
		"wrong-name": config(func(string) (*tls.Certificate, error) {
			return o.ca.issue("wrong-name.test", good)
		}, "h2", "http/1.1"),
		"untrusted": config(func(sni string) (*tls.Certificate, error) {
			a, err := stranger()
			if err != nil {
				return nil, err
			}
			return a.issue(orLoopback(sni), good)
		}, "h2", "http/1.1"),
	}
}

// certificate picks the good certificate for a name: that of the host or of the
// wildcard that covers it. An unknown name gets the first host's, which a client
// that verifies must refuse.
func (o *Origin) certificate(sni string) (*tls.Certificate, error) {
	for _, h := range o.opts.Hosts {
		suffix, wild := strings.CutPrefix(h, "*")
		if sni == h || wild && strings.HasSuffix(sni, suffix) && !strings.Contains(strings.TrimSuffix(sni, suffix), ".") {
			return o.ca.issue(h, good)
		}
	}
	return o.ca.issue(o.opts.Hosts[0], good)
}

func orLoopback(sni string) string {
	if sni == "" {
		return "127.0.0.1"
	}
	return sni
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return n
}
