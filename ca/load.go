package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

const (
	certificateType = "CERTIFICATE"
	keyType         = "PRIVATE KEY" // PKCS #8
)

// Load reads back an authority from what CertPEM and KeyPEM gave: one block each, nothing after it. It refuses a
// certificate that is not a self-signed P-256 authority or has ended ([ErrExpired]), and a key that is not the
// certificate's. Its errors never quote the input.
func Load(certPEM, keyPEM []byte) (*Authority, error) {
	cert, err := parseAuthority(certPEM)
	if err != nil {
		return nil, err
	}
	if end := cert.NotAfter; !time.Now().Before(end) {
		return nil, fmt.Errorf("loading the authority: ended %s: %w", end.Format(time.RFC3339), ErrExpired)
	}
	der, err := onlyBlock(keyPEM, keyType)
	if err != nil {
		return nil, fmt.Errorf("loading the authority's key: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("loading the authority's key: not a PKCS #8 key")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("loading the authority: the key is not the certificate's")
	}
	return newAuthority(cert, key), nil
}

// parseAuthority reads one certificate and checks all but its dates.
func parseAuthority(certPEM []byte) (*x509.Certificate, error) {
	der, err := onlyBlock(certPEM, certificateType)
	if err != nil {
		return nil, fmt.Errorf("loading the authority's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("loading the authority's certificate: %w", err)
	}
	public, ok := cert.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !ok || public.Curve != elliptic.P256():
		return nil, errors.New("loading the authority's certificate: not an ECDSA P-256 key")
	case !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, errors.New("loading the authority's certificate: it may not sign certificates")
	case cert.CheckSignatureFrom(cert) != nil:
		return nil, errors.New("loading the authority's certificate: not signed by its own key")
	}
	return cert, nil
}

func onlyBlock(data []byte, kind string) ([]byte, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != kind || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("want exactly one %s block", kind)
	}
	return block.Bytes, nil
}
