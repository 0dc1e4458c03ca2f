//go:build unix

package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// plant puts an authority made by hand in the place of the kept one.
func plant(t *testing.T, change func(*x509.Certificate)) (dir string) {
	t.Helper()
	dir, _ = keptIn(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: "kz planted"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	c, err := parseConstraints([]string{"api.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	c.constrain(template)
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthority(cert, key)
	if err := os.WriteFile(filepath.Join(dir, keptFile), append(a.CertPEM(), mustKeyPEM(t, a)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAPlantedAuthorityThatCouldDoMoreIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := LoadKept(plant(t, func(*x509.Certificate) {})); err != nil {
		t.Fatalf("one that could not: %v", err)
	}
	for name, change := range map[string]func(*x509.Certificate){
		"it permits every name": func(c *x509.Certificate) { c.PermittedDNSDomains = []string{""} },
		"it permits a network": func(c *x509.Certificate) {
			c.PermittedIPRanges = c.ExcludedIPRanges[:1]
			c.ExcludedIPRanges = c.ExcludedIPRanges[1:]
		},
		"it excludes no addresses":            func(c *x509.Certificate) { c.ExcludedIPRanges = nil },
		"its constraints need not be obeyed":  func(c *x509.Certificate) { c.PermittedDNSDomainsCritical = false },
		"it may sign authorities":             func(c *x509.Certificate) { c.MaxPathLenZero, c.MaxPathLen = false, -1 },
		"it may sign one more authority":      func(c *x509.Certificate) { c.MaxPathLenZero, c.MaxPathLen = false, 1 },
		"it may certify clients":              func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) },
		"it may certify whatever there is":    func(c *x509.Certificate) { c.ExtKeyUsage = nil },
		"its key may sign more":               func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature },
		"it is valid for longer than 30 days": func(c *x509.Certificate) { c.NotAfter = time.Now().Add(KeptLifetime + 2*backdate) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := LoadKept(plant(t, change)); err == nil {
				t.Error("it is used")
			}
		})
	}
}

func TestAKeptCertificateWithTheKeyOfAnotherIsRefused(t *testing.T) {
	t.Parallel()
	dir, a := keptIn(t)
	if err := os.WriteFile(filepath.Join(dir, keptFile), append(a.CertPEM(), mustKeyPEM(t, keepable(t))...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKept(dir); err == nil {
		t.Error("it is used")
	}
}
