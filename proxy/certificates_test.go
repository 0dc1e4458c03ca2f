package proxy_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	_ "crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"testing"
	"time"
)

// issuer makes certificates: a root, an authority below it or a leaf, depending on what a template says.
type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// template is a leaf for api.test, valid now.
func template() *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: "api.test"}, DNSNames: []string{"api.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
}

// authorityTemplate is an authority that may sign leaves and, pathLen allowing it, authorities.
func authorityTemplate(name string, pathLen int) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLen: pathLen, MaxPathLenZero: pathLen == 0,
	}
}

// issue signs c for key; a nil by signs it with its own.
func issue(t *testing.T, by *issuer, c *x509.Certificate, key crypto.Signer) *issuer {
	t.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{cert, key}
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// chainOf is what a server shows: the leaf first, no root.
func chainOf(leaf *issuer, below ...*issuer) tls.Certificate {
	c := tls.Certificate{PrivateKey: leaf.key, Certificate: [][]byte{leaf.cert.Raw}}
	for _, i := range below {
		c.Certificate = append(c.Certificate, i.cert.Raw)
	}
	return c
}

// weakly is a certificate for key that is signed correctly with RSA and a hash that Go itself no longer signs with.
func weakly(t *testing.T, by *issuer, key crypto.Signer, hash crypto.Hash, algorithm asn1.ObjectIdentifier) tls.Certificate {
	t.Helper()
	oid := func(o asn1.ObjectIdentifier) []byte {
		der, err := asn1.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	strong := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	tbs := bytes.Replace(issue(t, by, template(), key).cert.RawTBSCertificate, oid(strong), oid(algorithm), 1)
	h := hash.New()
	h.Write(tbs)
	signature, err := by.key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, pkix.AlgorithmIdentifier{Algorithm: algorithm, Parameters: asn1.NullRawValue}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := x509.ParseCertificate(der); err != nil || c.SignatureAlgorithm == x509.SHA256WithRSA || c.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		t.Fatalf("not the certificate that was meant: %v", err)
	}
	return tls.Certificate{PrivateKey: key, Certificate: [][]byte{der}}
}

func ed25519Key(t *testing.T) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ips(ss ...string) (out []net.IP) {
	for _, s := range ss {
		out = append(out, net.ParseIP(s))
	}
	return out
}
