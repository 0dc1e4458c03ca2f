package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func newTestAuthority(t testing.TB, o Options) *Authority {
	t.Helper()
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustKeyPEM(t testing.TB, a *Authority) []byte {
	t.Helper()
	key, err := a.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestNew(t *testing.T) {
	t.Parallel()
	t.Run("the authority of a run is valid for a year from an hour ago and may sign leaves only", func(t *testing.T) {
		t.Parallel()
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		c := newTestAuthority(t, Options{Now: func() time.Time { return now }}).Certificate()
		if want := now.Add(-time.Hour); !c.NotBefore.Equal(want) {
			t.Errorf("begins %s, want %s", c.NotBefore, want)
		}
		if want := now.Add(365 * 24 * time.Hour); !c.NotAfter.Equal(want) {
			t.Errorf("ends %s, want %s", c.NotAfter, want)
		}
		if !c.IsCA || !c.BasicConstraintsValid || c.MaxPathLen != 0 || !c.MaxPathLenZero {
			t.Errorf("IsCA %v, valid %v, path length %d/%v", c.IsCA, c.BasicConstraintsValid, c.MaxPathLen, c.MaxPathLenZero)
		}
		if c.KeyUsage != x509.KeyUsageCertSign {
			t.Errorf("key usage %b, want certSign alone", c.KeyUsage)
		}
		if len(c.SubjectKeyId) == 0 {
			t.Error("no subject key id")
		}
		if key, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
			t.Errorf("key %T, want P-256", c.PublicKey)
		}
		for _, ext := range c.Extensions {
			if ext.Id.String() == "2.5.29.19" && !ext.Critical {
				t.Error("basic constraints are not critical")
			}
		}
	})
	t.Run("two authorities differ in name, key and a serial number of up to 128 bits", func(t *testing.T) {
		t.Parallel()
		a, b := newTestAuthority(t, Options{}).cert, newTestAuthority(t, Options{}).cert
		if a.Subject.CommonName == b.Subject.CommonName || !strings.HasPrefix(a.Subject.CommonName, "kz local authority ") {
			t.Errorf("names %q and %q", a.Subject.CommonName, b.Subject.CommonName)
		}
		if a.SerialNumber.Cmp(b.SerialNumber) == 0 || a.SerialNumber.Sign() <= 0 || a.SerialNumber.BitLen() > 128 || a.SerialNumber.BitLen() < 90 {
			t.Errorf("serial numbers %x and %x", a.SerialNumber, b.SerialNumber)
		}
		if bytes.Equal(a.SubjectKeyId, b.SubjectKeyId) {
			t.Error("same key")
		}
	})
	t.Run("every problem of the options is reported at once", func(t *testing.T) {
		t.Parallel()
		_, err := New(Options{Name: "a\nb", Lifetime: -1, PermittedHosts: []string{"UPPER.example", "*.10.0.0.1"}})
		for _, want := range []string{"naming the authority", "negative lifetime", `"UPPER.example"`, `"*.10.0.0.1"`} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v does not mention %s", err, want)
			}
		}
		if !errors.Is(err, ErrHost) {
			t.Errorf("error %v is not ErrHost", err)
		}
	})
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	a := newTestAuthority(t, Options{})
	if got := a.Fingerprint(); !regexp.MustCompile(`^([0-9A-F]{2}:){31}[0-9A-F]{2}$`).MatchString(got) {
		t.Errorf("fingerprint %q", got)
	}
	if out, ok := openssl(t, a.CertPEM(), "x509", "-noout", "-fingerprint", "-sha256"); ok && !strings.Contains(out, a.Fingerprint()) {
		t.Errorf("openssl says %s, we say %s", out, a.Fingerprint())
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	a := newTestAuthority(t, Options{})
	key := mustKeyPEM(t, a)

	t.Run("what was written is read back and signs", func(t *testing.T) {
		t.Parallel()
		b, err := Load(a.CertPEM(), key)
		if err != nil {
			t.Fatal(err)
		}
		if b.Fingerprint() != a.Fingerprint() {
			t.Error("another certificate came back")
		}
		m, err := NewMinter(b, MinterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := m.Leaf("api.example.com")
		if err != nil {
			t.Fatal(err)
		}
		verify(t, a.cert, leaf.Leaf, "api.example.com")
	})

	other := mustKeyPEM(t, newTestAuthority(t, Options{}))
	m, err := NewMinter(a, MinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := m.Leaf("api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	leafPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]})
	leafDER, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	leafKey := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: leafDER})
	p384 := foreignAuthority(t, elliptic.P384(), x509.KeyUsageCertSign, nil)
	noUsage := foreignAuthority(t, elliptic.P256(), 0, nil)
	intermediate := foreignAuthority(t, elliptic.P256(), x509.KeyUsageCertSign, a)

	for name, tt := range map[string]struct{ cert, key []byte }{
		"the key of another authority":        {a.CertPEM(), other},
		"a leaf in the authority's place":     {leafPEM, leafKey},
		"a key of another curve":              {p384[0], p384[1]},
		"an authority that states no purpose": {noUsage[0], noUsage[1]},
		"an intermediate":                     {intermediate[0], intermediate[1]},
		"no certificate":                      {nil, key},
		"no key":                              {a.CertPEM(), nil},
		"key and certificate swapped":         {key, a.CertPEM()},
		"a second block after the key":        {a.CertPEM(), append(append([]byte(nil), key...), key...)},
		"a key that is cut short":             {a.CertPEM(), cut(key)},
		"a certificate with trailing garbage": {append(a.CertPEM(), "x"...), key},
	} {
		t.Run(name+" is refused without quoting it", func(t *testing.T) {
			t.Parallel()
			b, err := Load(tt.cert, tt.key)
			if err == nil || b != nil {
				t.Fatalf("got %v, %v", b, err)
			}
			for line := range strings.Lines(string(key)) {
				if strings.Contains(err.Error(), strings.TrimSpace(line)) {
					t.Errorf("error quotes the input: %v", err)
				}
			}
		})
	}
}

func TestLoadRefusesAnAuthorityThatHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newTestAuthority(t, Options{Lifetime: time.Hour})
		key := mustKeyPEM(t, a)
		time.Sleep(time.Hour - time.Second)
		if _, err := Load(a.CertPEM(), key); err != nil {
			t.Errorf("a second before the end: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := Load(a.CertPEM(), key); !errors.Is(err, ErrExpired) {
			t.Errorf("at the end: %v, want ErrExpired", err)
		}
	})
}

// cut damages the base64 of a PEM block's last line but keeps its frame.
func cut(block []byte) []byte {
	b, _ := pem.Decode(block)
	b.Bytes = b.Bytes[:len(b.Bytes)-20]
	return pem.EncodeToMemory(b)
}

// foreignAuthority makes a certificate that this package would not, self-signed unless a parent is given.
func foreignAuthority(t *testing.T, curve elliptic.Curve, usage x509.KeyUsage, parent *Authority) [2][]byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: newSerial(), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: usage}
	issuer, signer := template, key
	if parent != nil {
		issuer, signer = parent.cert, parent.key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return [2][]byte{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}
