package ca

import (
	"bytes"
	"encoding/pem"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func TestJavaTrustStore(t *testing.T) {
	t.Parallel()
	a, root, twin := newTestAuthority(t, Options{}), newTestAuthority(t, Options{}), newTestAuthority(t, Options{})
	key := mustKeyPEM(t, root)
	system := bytes.Join([][]byte{root.CertPEM(), key, twin.CertPEM()}, nil)
	store, err := JavaTrustStore(system, a)
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
	t.Run("it holds no key", func(t *testing.T) {
		t.Parallel()
		block, _ := pem.Decode(key)
		if bytes.Contains(store, block.Bytes) {
			t.Error("the key of a root is in it")
		}
	})
	t.Run("it holds the authority where the system has no roots", func(t *testing.T) {
		t.Parallel()
		store, err := JavaTrustStore(nil, a)
		if err != nil {
			t.Fatal(err)
		}
		if certs, err := pkcs12.DecodeTrustStore(store, ""); err != nil || len(certs) != 1 {
			t.Errorf("%d certificates, %v", len(certs), err)
		}
	})
}

func BenchmarkJavaTrustStore(b *testing.B) {
	system, err := SystemRoots()
	if err != nil {
		b.Skip(err)
	}
	a := newTestAuthority(b, Options{})
	for b.Loop() {
		if _, err := JavaTrustStore(system, a); err != nil {
			b.Fatal(err)
		}
	}
}
