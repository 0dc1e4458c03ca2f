package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

const (
	// LeafLifetime is how long a leaf is valid, unless its authority ends before.
	LeafLifetime = 12 * time.Hour
	// leafMargin is what must be left of a leaf that is handed out, so that no connection begins with one about to end.
	leafMargin = time.Hour
	// maxLeaves bounds the cache; a leaf costs about 2 KiB, and minting another one well under a millisecond.
	maxLeaves = 256
	// maxCommonName is ub-common-name of RFC 5280.
	maxCommonName = 64
)

// MinterOptions are the settings of a [Minter]. The zero value is ready for use.
type MinterOptions struct {
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Minter makes leaves under one authority and remembers the last 256. It is safe for concurrent use; concurrent calls
// for one host mint once.
type Minter struct {
	authority *Authority
	key       *ecdsa.PrivateKey // of every leaf; not the authority's
	now       func() time.Time
	leaves    *lru.Cache[string, leaf]
	minting   singleflight.Group
}

// leaf is a certificate and the time it may be handed out in.
type leaf struct {
	cert        *tls.Certificate
	from, until time.Time
}

// NewMinter makes the key that all leaves of the minter share.
func NewMinter(a *Authority, o MinterOptions) (*Minter, error) {
	if a == nil || a.cert == nil || a.key == nil {
		return nil, errors.New("making a minter: no authority")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the leaf key: %w", err)
	}
	leaves, err := lru.New[string, leaf](maxLeaves)
	if err != nil {
		return nil, fmt.Errorf("making the leaf cache: %w", err)
	}
	return &Minter{authority: a, key: key, now: o.Now, leaves: leaves}, nil
}

// Leaf returns the certificate for exactly one host: a DNS name in lower-case ASCII without trailing dot, or an
// address in its canonical form without brackets. It is valid for 12 h or until the authority ends; a cached one is
// replaced when less than an hour of it is left. The chain holds the leaf alone, since clients hold the authority.
//
// Errors: [ErrHost], [ErrNotPermitted], [ErrExpired]. The caller must not change what it gets.
func (m *Minter) Leaf(host string) (*tls.Certificate, error) {
	if c := m.cached(host); c != nil {
		return c, nil
	}
	return m.mintOnce(host)
}

func (m *Minter) cached(host string) *tls.Certificate {
	l, ok := m.leaves.Get(host)
	if !ok {
		return nil
	}
	if now := m.now(); now.Before(l.from) || !now.Before(l.until) {
		return nil
	}
	return l.cert
}

func (m *Minter) mintOnce(host string) (*tls.Certificate, error) {
	addr, err := checkHost(host)
	if err != nil {
		return nil, fmt.Errorf("minting a leaf: %w", err)
	}
	if !Permits(m.authority.cert, host) {
		return nil, fmt.Errorf("minting a leaf for %q: %w", host, ErrNotPermitted)
	}
	minted, err, _ := m.minting.Do(host, func() (any, error) {
		if c := m.cached(host); c != nil { // a flight that ended between our look-up and this call
			return c, nil
		}
		l, err := m.mint(host, addr)
		if err != nil {
			return nil, fmt.Errorf("minting a leaf for %q: %w", host, err)
		}
		m.leaves.Add(host, l)
		return l.cert, nil
	})
	if err != nil {
		return nil, err
	}
	return minted.(*tls.Certificate), nil
}

func (m *Minter) mint(host string, addr netip.Addr) (leaf, error) {
	parent := m.authority.cert
	now := m.now().UTC().Truncate(time.Second)
	if !now.Before(parent.NotAfter) {
		return leaf{}, ErrExpired
	}
	begin, end := now.Add(-backdate), now.Add(LeafLifetime)
	if begin.Before(parent.NotBefore) {
		begin = parent.NotBefore
	}
	until := end.Add(-leafMargin)
	if end.After(parent.NotAfter) {
		end = parent.NotAfter
	}
	if until.After(end) { // near the authority's end a new leaf would live no longer
		until = end
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{Organization: []string{"kz"}},
		NotBefore:             begin,
		NotAfter:              end,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if addr.IsValid() {
		template.IPAddresses = []net.IP{addr.AsSlice()}
	} else {
		template.DNSNames = []string{host}
		if len(host) <= maxCommonName {
			template.Subject.CommonName = host
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &m.key.PublicKey, m.authority.key)
	if err != nil {
		return leaf{}, fmt.Errorf("signing: %w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return leaf{}, fmt.Errorf("reading back: %w", err)
	}
	cert := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: m.key, Leaf: parsed}
	return leaf{cert: cert, from: begin, until: until}, nil
}
