package truststore

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"

	library "github.com/smallstep/truststore"

	"kz/ca"
)

const adminKeychain = "/Library/Keychains/System.keychain"

// system is the administrator's keychain, with its trust settings.
type system struct{}

func newSystem() store { return system{} }

func (system) name() string { return "system" }

func (system) available() (string, bool) { return adminKeychain, true }

func (system) find(cert *x509.Certificate) (State, error) {
	roots, err := ca.SystemRoots()
	if err != nil {
		return Unavailable, err
	}
	if contains(roots, cert) {
		return Trusted, nil
	}
	return Absent, nil
}

func (system) add(cert *x509.Certificate) error {
	if err := mayBecomeRoot(os.Geteuid()); err != nil {
		return err
	}
	if err := library.Install(cert, options()...); err != nil {
		return fmt.Errorf("installing the certificate: %w", explain(err))
	}
	return nil
}

// remove takes the trust settings away through the library, and then the certificate itself, which that leaves in the
// keychain. When only the certificate is there, the first step fails and the second one is what counts.
func (system) remove(cert *x509.Certificate) error {
	if err := mayBecomeRoot(os.Geteuid()); err != nil {
		return err
	}
	settings := explain(library.Uninstall(cert, options()...))
	sum := sha1.Sum(cert.Raw) // what the tool finds certificates by
	if err := run("security", "delete-certificate", "-Z", hex.EncodeToString(sum[:]), adminKeychain); err != nil {
		return fmt.Errorf("removing the certificate: %w", err)
	}
	if settings != nil {
		return fmt.Errorf("removing the trust settings: %w", settings)
	}
	return nil
}

// Strays is not known on macOS.
func Strays(*x509.Certificate) []string { return nil }
