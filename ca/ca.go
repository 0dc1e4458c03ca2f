// Package ca makes the certificate authority behind which kz intercepts TLS, and the leaves it shows.
//
// An authority of a run lives in memory only; its key leaves through [Authority.KeyPEM] and no other way. A kept
// authority (see [Keep]) is the one that `kz ca install` puts into trust stores: it is bound by critical name
// constraints to the hosts it was made for and ends after 30 days.
//
//	a, err := ca.New(ca.Options{})
//	m, err := ca.NewMinter(a, ca.MinterOptions{})
//	leaf, err := m.Leaf("api.example.com") // for tls.Config.GetCertificate
//	roots, err := ca.SystemRoots()
//	pem := ca.Bundle(roots, a) // what SSL_CERT_FILE of a client may name
//
// Every key is ECDSA P-256, every serial number 128 bits of crypto/rand. A leaf matches exactly one host.
package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// DefaultName begins the common name of an authority that is not named otherwise.
const DefaultName = "kz local authority"

// DefaultLifetime is how long an authority of a run is valid. Strict clients refuse a CA that ends while they run,
// and its key dies with the process anyway.
const DefaultLifetime = 365 * 24 * time.Hour

// backdate is how far certificates begin in the past, for clients (containers, virtual machines) with a slow clock.
const backdate = time.Hour

// maxName keeps the common name, with its identifier, under the 64 bytes of RFC 5280 (ub-common-name).
const maxName = 48

var (
	// ErrExpired is returned for an authority past its end date.
	ErrExpired = errors.New("ca: authority has expired")
	// ErrHost is returned for a host no leaf or constraint can be made for.
	ErrHost = errors.New("ca: not a canonical host name or address")
	// ErrNotPermitted is returned for a host outside an authority's name constraints.
	ErrNotPermitted = errors.New("ca: host is outside the authority's name constraints")
)

// Options says what authority [New] makes. The zero value is an unconstrained authority for one year.
type Options struct {
	// Name begins the common name; a short random identifier is added. Empty means [DefaultName].
	Name string
	// Lifetime counts from now. Zero means [DefaultLifetime].
	Lifetime time.Duration
	// PermittedHosts are canonical host names, "*.example.com" patterns (any number of labels below, never the
	// apex) and addresses. When there are any, the authority carries critical name constraints: nothing but these
	// (and names below them, which a constraint always covers) can be certified with its key. Empty means
	// unconstrained.
	PermittedHosts []string
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Authority is a certificate and its key. It never changes and is safe for concurrent use. No fmt verb, logger or
// encoder prints it.
type Authority struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	certPEM []byte
}

// New makes an authority with a fresh key. It reports every problem of its options at once.
func New(o Options) (*Authority, error) {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Lifetime == 0 {
		o.Lifetime = DefaultLifetime
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	var problems []error
	if len(o.Name) > maxName || strings.ContainsFunc(o.Name, notPrintable) {
		problems = append(problems, fmt.Errorf("naming the authority: want at most %d printable ASCII bytes", maxName))
	}
	if o.Lifetime < 0 {
		problems = append(problems, errors.New("dating the authority: negative lifetime"))
	}
	allowed, err := parseConstraints(o.PermittedHosts)
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the authority's key: %w", err)
	}
	now := o.Now().UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{Organization: []string{"kz"}, CommonName: o.Name + " " + shortID()},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(o.Lifetime),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	allowed.constrain(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("signing the authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading back the authority: %w", err)
	}
	return newAuthority(cert, key), nil
}

func newAuthority(cert *x509.Certificate, key *ecdsa.PrivateKey) *Authority {
	return &Authority{
		cert:    cert,
		key:     key,
		certPEM: pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: cert.Raw}),
	}
}

// Certificate returns the public certificate. The caller must not change it.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// CertPEM returns a copy of the public certificate as one PEM block.
func (a *Authority) CertPEM() []byte { return append([]byte(nil), a.certPEM...) }

// KeyPEM returns the private key as one PKCS #8 PEM block. It is the one way the key leaves an Authority.
func (a *Authority) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("encoding the authority's key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: der}), nil
}

// Fingerprint returns the SHA-256 of the certificate as upper-case hex pairs joined by colons, the form that openssl
// and browsers show.
func (a *Authority) Fingerprint() string { return Fingerprint(a.cert) }

// Fingerprint returns the SHA-256 of any certificate in the form of [Authority.Fingerprint].
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	var b strings.Builder
	b.Grow(len(sum) * 3)
	for i, c := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", c)
	}
	return b.String()
}

// newSerial returns 128 random bits, never zero (RFC 5280, section 4.1.2.2: positive, at most 20 octets).
func newSerial() *big.Int {
	var b [16]byte
	for {
		rand.Read(b[:])
		if n := new(big.Int).SetBytes(b[:]); n.Sign() > 0 {
			return n
		}
	}
}

// shortID tells apart the authorities of several runs, which a client may see side by side.
func shortID() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func notPrintable(r rune) bool { return r < 0x20 || r > 0x7e }
