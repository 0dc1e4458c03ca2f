package truststore

import (
	"crypto/x509"
	"errors"
	"fmt"

	library "github.com/smallstep/truststore"

	"kz/ca"
)

// system is the user's store of trusted roots. Windows itself asks the person before a root is added or removed.
type system struct{}

func newSystem() store { return system{} }

func (system) name() string { return "system" }

func (system) available() (string, bool) { return "the user's trusted roots", true }

func (system) find(cert *x509.Certificate) (State, error) {
	roots, err := ca.SystemRoots()
	if err != nil && !errors.Is(err, ca.ErrNoRoots) {
		return Unavailable, err
	}
	if contains(roots, cert) {
		return Trusted, nil
	}
	return Absent, nil
}

func (system) add(cert *x509.Certificate) error {
	if err := library.Install(cert, options()...); err != nil {
		return fmt.Errorf("installing the certificate: %w", err)
	}
	return nil
}

// remove goes by the serial number, which is 128 random bits.
func (system) remove(cert *x509.Certificate) error {
	if err := library.Uninstall(cert, options()...); err != nil {
		return fmt.Errorf("removing the certificate: %w", err)
	}
	return nil
}

// Strays is not known on Windows.
func Strays(*x509.Certificate) []string { return nil }
