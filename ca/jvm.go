package ca

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// JavaTrustStore returns the certificates of system, then the authority's, as a PKCS#12 file that a JVM takes for
// javax.net.ssl.trustStore. It has no password: what it holds is public, a JVM without one asks for none, and the key
// derivation of an encrypted store would cost every JVM its time. JDKs since 8u301, 11.0.12 and 17 make and read such files
// (JDK-8076190). A block of system that is not base64 is left out.
func JavaTrustStore(system []byte, a *Authority) ([]byte, error) {
	var entries []pkcs12.TrustStoreEntry
	for rest := Bundle(system, a); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		// Only the bytes are written, so that none of them is parsed here. Names must differ, or one entry would take the place of
		// another; subjects do not always.
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: &x509.Certificate{Raw: block.Bytes}, FriendlyName: fmt.Sprintf("kz-%d", len(entries)+1)})
	}
	return pkcs12.Passwordless.EncodeTrustStoreEntries(entries, "")
}
