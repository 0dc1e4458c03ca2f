package truststore

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
)

// contains looks for exactly this certificate among PEM blocks.
func contains(roots []byte, cert *x509.Certificate) bool {
	for block, rest := pem.Decode(roots); block != nil; block, rest = pem.Decode(rest) {
		if bytes.Equal(block.Bytes, cert.Raw) {
			return true
		}
	}
	return false
}
