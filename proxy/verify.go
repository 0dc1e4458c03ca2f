package proxy

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// minRSA is the shortest RSA key that an upstream or an authority below its root may have (CA/Browser Forum, Baseline
// Requirements, section 6.1.5). crypto/tls takes half of that.
const minRSA = 2048

// verifier holds what is asked of an upstream's certificate beyond what crypto/tls asks. It never changes.
type verifier struct {
	distrusted map[string]bool // public keys of authorities that vouch for no upstream
}

// newVerifier makes a verifier that does not believe kz's own authority, nor others. It may be in the system's store, where
// `kz ca install` puts it, and whoever holds a leaf of it could pose as an upstream.
func newVerifier(own *x509.Certificate, others []*x509.Certificate) verifier {
	v := verifier{map[string]bool{string(own.RawSubjectPublicKeyInfo): true}}
	for _, a := range others {
		v.distrusted[string(a.RawSubjectPublicKeyInfo)] = true
	}
	return v
}

// config is how a TLS connection to host is made. roots are who may vouch for it.
func (v verifier) config(host string, roots *x509.CertPool) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12, VerifyConnection: v.verify}
}

// verify wants at least one chain that holds no distrusted authority and no short key. It is asked on resumption too.
func (v verifier) verify(state tls.ConnectionState) error {
	for _, chain := range state.VerifiedChains {
		if v.believes(chain) {
			return nil
		}
	}
	return &verifyError{errors.New("no chain of certificates that may vouch for an upstream")}
}

func (v verifier) believes(chain []*x509.Certificate) bool {
	for i, c := range chain {
		if v.distrusted[string(c.RawSubjectPublicKeyInfo)] {
			return false
		}
		// The last one is in the roots, as it is.
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && i < len(chain)-1 && key.N.BitLen() < minRSA {
			return false
		}
	}
	return true
}
