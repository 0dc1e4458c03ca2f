//go:build !linux && !darwin && !windows

package truststore

import "crypto/x509"

// system is a store that this package could not look into.
type system struct{}

func newSystem() store { return system{} }

func (system) name() string { return "system" }

func (system) available() (string, bool) { return "not supported on this system", false }

func (system) find(*x509.Certificate) (State, error) { return Unavailable, ErrUnsupported }

func (system) add(*x509.Certificate) error { return ErrUnsupported }

func (system) remove(*x509.Certificate) error { return ErrUnsupported }

// Strays is not known on this system.
func Strays(*x509.Certificate) []string { return nil }
