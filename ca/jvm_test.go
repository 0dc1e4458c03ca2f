package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func TestJavaTrustStore(t *testing.T) {
	t.Parallel()
	a, root, twin := newTestAuthority(t, Options{}), newTestAuthority(t, Options{}), newTestAuthority(t, Options{})
	key := mustKeyPEM(t, root)
	system := bytes.Join([][]byte{root.CertPEM(), key, twin.CertPEM()}, nil)
	store, err := JavaTrustStore(Bundle(system, a))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("it holds every root and the authority, without a password", func(t *testing.T) {
		t.Parallel()
		certs, err := pkcs12.DecodeTrustStore(store, "")
		if err != nil || len(certs) != 3 {
			t.Fatalf("%d certificates, %v", len(certs), err)
		}
		for i, want := range []*Authority{root, twin, a} {
			if !certs[i].Equal(want.Certificate()) {
				t.Errorf("certificate %d is another", i)
			}
		}
	})
	t.Run("it is what a library for PKCS#12 makes of them", func(t *testing.T) {
		t.Parallel()
		for name, system := range map[string][]byte{"three certificates": system, "the system's": systemRoots(t)} {
			var entries []pkcs12.TrustStoreEntry
			for rest := Bundle(system, a); ; {
				var block *pem.Block
				if block, rest = pem.Decode(rest); block == nil {
					break
				}
				entries = append(entries, pkcs12.TrustStoreEntry{
					Cert: &x509.Certificate{Raw: block.Bytes}, FriendlyName: fmt.Sprintf("kz-%d", len(entries)+1),
				})
			}
			want, err := pkcs12.Passwordless.EncodeTrustStoreEntries(entries, "")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := JavaTrustStore(Bundle(system, a)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes instead of %d, or others: %v", name, len(got), len(want), err)
			}
		}
	})
	t.Run("a block that is not base64 is left out", func(t *testing.T) {
		t.Parallel()
		broken := "-----BEGIN CERTIFICATE-----\nMIIB=x\n-----END CERTIFICATE-----\n"
		got, err := JavaTrustStore(Bundle(append([]byte(broken), system...), a))
		if err != nil || !bytes.Equal(got, store) {
			t.Errorf("it makes a difference: %v", err)
		}
	})
	t.Run("it holds no key", func(t *testing.T) {
		t.Parallel()
		block, _ := pem.Decode(key)
		if bytes.Contains(store, block.Bytes) {
			t.Error("the key of a root is in it")
		}
	})
	t.Run("it holds the authority where the system has no roots", func(t *testing.T) {
		t.Parallel()
		store, err := JavaTrustStore(Bundle(nil, a))
		if err != nil {
			t.Fatal(err)
		}
		if certs, err := pkcs12.DecodeTrustStore(store, ""); err != nil || len(certs) != 1 {
			t.Errorf("%d certificates, %v", len(certs), err)
		}
	})
}

// systemRoots are this machine's, or none.
func systemRoots(t *testing.T) []byte {
	t.Helper()
	roots, err := SystemRoots()
	if err != nil && !errors.Is(err, ErrNoRoots) {
		t.Fatal(err)
	}
	return roots
}

func BenchmarkJavaTrustStore(b *testing.B) {
	system, err := SystemRoots()
	if err != nil {
		b.Skip(err)
	}
	bundle := Bundle(system, newTestAuthority(b, Options{}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := JavaTrustStore(bundle); err != nil {
			b.Fatal(err)
		}
	}
}
