// Package origin is the upstream of the benchmarks: a Go server over TLS that speaks HTTP/1.1 and h2, and refuses what
// does not carry the real value.
package origin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"kz/test/bench/wire"
)

// Files that WriteCerts makes.
const (
	CAFile      = "ca.pem"
	CAKeyFile   = "ca-key.pem"
	LeafFile    = "leaf.pem"
	LeafKeyFile = "leaf-key.pem"
)

// WriteCerts puts a new CA and a leaf for all hosts of the origin into dir.
func WriteCerts(dir string) error {
	caKey, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	leafKey, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	ca := template("kz benchmarks")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	leaf := template(wire.Host)
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.DNSNames = []string{wire.Host, wire.UploadHost, "*." + wire.NewDomain}
	caDER, err1 := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	leafDER, err2 := x509.CreateCertificate(rand.Reader, leaf, ca, leafKey.Public(), caKey)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return errors.Join(
		write(dir, CAFile, "CERTIFICATE", caDER), write(dir, LeafFile, "CERTIFICATE", leafDER),
		writeKey(dir, CAKeyFile, caKey), writeKey(dir, LeafKeyFile, leafKey))
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func writeKey(dir, name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return write(dir, name, "PRIVATE KEY", der)
}

func write(dir, name, kind string, der []byte) error {
	return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
