// Package truststore puts one authority's certificate into the trust stores of this machine and takes it out again.
//
//	reports, err := truststore.Install(cert)
//	reports, err = truststore.Uninstall(cert) // also after an Install that was interrupted
//	ok, err := truststore.Installed(cert)
//
// Three stores are known: the system's, the NSS databases of Firefox and Chromium (where certutil is installed), and
// the keystore of the JDK that JAVA_HOME names. Only authorities that are bound by critical name constraints are let
// in. The work is done by github.com/smallstep/truststore, which calls the system's own tools, through sudo where there
// is one. After each step this package looks into the store itself, and it removes what the tools leave behind. What is
// here for macOS and Windows is compiled and vetted with the tests, and was never run by them.
//
// Limits: Firefox from a snap or flatpak has its profiles elsewhere; Java does not check the name constraints of an
// authority it trusts. Linux, macOS and Windows are known; nothing is installed where it could not be found again.
//
// The library keeps settings in globals, so nothing here is safe for concurrent use.
package truststore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	library "github.com/smallstep/truststore"

	"kz/ca"
)

// prefix begins the file name, nickname or alias of everything this package installs; the serial number follows.
const prefix = "kz-local-ca-"

var (
	// ErrUnsupported is returned where the system's store is not known.
	ErrUnsupported = errors.New("truststore: this system's trust store is not supported")
	// ErrUnfit is returned by Install for a certificate that must not be trusted by a whole machine.
	ErrUnfit = errors.New("truststore: not a name-constrained authority")
)

// State says what a store holds of a certificate.
type State int

const (
	// Unavailable: this machine has no such store, or no tool for it.
	Unavailable State = iota
	// Absent: nothing of the certificate is there.
	Absent
	// Partial: an interrupted install or removal left something.
	Partial
	// Trusted: programs that read the store trust the certificate.
	Trusted
)

// String is one word.
func (s State) String() string {
	return [...]string{"unavailable", "absent", "partial", "trusted"}[s]
}

// Report is what was found, or done, in one store.
type Report struct {
	Store   string // "system", "nss" or "java"
	State   State  // at the end
	Changed bool   // by this call
	Note    string // where the store is, or why it is unavailable
	Err     error
}

// store is one kind of trust store. nil from newX means that it does not exist here.
type store interface {
	name() string
	// available says where the store is; ok is false, and note the reason, when it is not to be used.
	available() (note string, ok bool)
	// find looks into the real store.
	find(cert *x509.Certificate) (State, error)
	// add and remove may assume that the store is available. remove succeeds when there is nothing to remove.
	add(cert *x509.Certificate) error
	remove(cert *x509.Certificate) error
}

func stores() []store { return []store{newSystem(), newNSS(), newJava()} }

// Install makes every available store trust cert, an authority with critical name constraints ([ErrUnfit] otherwise).
// A store in which that does not work is put back. The error joins those of the reports.
func Install(cert *x509.Certificate) ([]Report, error) {
	if err := fit(cert); err != nil {
		return nil, err
	}
	return each(stores(), func(s store, r *Report) error { return install(s, r, cert) }, cert)
}

// Uninstall removes cert, and whatever an interrupted Install left of it, from every available store. It asks for no
// privilege where there is nothing to remove. The error joins those of the reports.
func Uninstall(cert *x509.Certificate) ([]Report, error) {
	return each(stores(), func(s store, r *Report) error { return uninstall(s, r, cert) }, cert)
}

// Status looks without changing anything.
func Status(cert *x509.Certificate) ([]Report, error) {
	return each(stores(), func(store, *Report) error { return nil }, cert)
}

// Installed reports whether the system's store trusts cert.
func Installed(cert *x509.Certificate) (bool, error) {
	s := newSystem()
	if note, ok := s.available(); !ok {
		return false, fmt.Errorf("%s: %w", note, ErrUnsupported)
	}
	state, err := s.find(cert)
	return state == Trusted, err
}

func each(all []store, do func(store, *Report) error, cert *x509.Certificate) ([]Report, error) {
	reports := make([]Report, len(all))
	var problems []error
	for i, s := range all {
		r := &reports[i]
		r.Store = s.name()
		var ok bool
		if r.Note, ok = s.available(); !ok {
			continue
		}
		if r.State, r.Err = s.find(cert); r.Err == nil {
			r.Err = do(s, r)
		}
		if r.Err != nil {
			r.Err = fmt.Errorf("%s store: %w", r.Store, r.Err)
		}
		problems = append(problems, r.Err)
	}
	return reports, errors.Join(problems...)
}

func install(s store, r *Report, cert *x509.Certificate) error {
	if r.State == Trusted {
		return nil
	}
	err := s.add(cert)
	if err == nil {
		r.State, err = s.find(cert)
		if err == nil && r.State != Trusted {
			err = errors.New("installing the certificate: the store does not list it afterwards")
		}
	}
	if err == nil {
		r.Changed = true
		return nil
	}
	// Put back what there was; a store that cannot be changed at all has nothing to put back.
	var findErr error
	if r.State, findErr = s.find(cert); findErr == nil && r.State == Absent {
		return err
	}
	undoErr := s.remove(cert)
	r.State, findErr = s.find(cert)
	return errors.Join(err, undoErr, findErr)
}

func uninstall(s store, r *Report, cert *x509.Certificate) error {
	if r.State == Absent {
		return nil
	}
	if err := s.remove(cert); err != nil {
		return err
	}
	var err error
	if r.State, err = s.find(cert); err == nil && r.State != Absent {
		err = errors.New("removing the certificate: something of it is still there")
	}
	r.Changed = err == nil
	return err
}

// fit keeps out what would put the machine at risk if its key were lost.
func fit(cert *x509.Certificate) error {
	switch {
	case !cert.IsCA || !cert.BasicConstraintsValid || !cert.MaxPathLenZero:
		return fmt.Errorf("checking the certificate: it is no authority for leaves only: %w", ErrUnfit)
	case !ca.Constrained(cert):
		return fmt.Errorf("checking the certificate: it is constrained to no host: %w", ErrUnfit)
	case !time.Now().Before(cert.NotAfter):
		return fmt.Errorf("checking the certificate: it ended %s: %w", cert.NotAfter.Format(time.DateOnly), ErrUnfit)
	}
	return nil
}

// uniqueName is what the library calls the certificate, given options().
func uniqueName(cert *x509.Certificate) string { return prefix + cert.SerialNumber.String() }

func options(more ...library.Option) []library.Option {
	return append([]library.Option{library.WithPrefix(prefix)}, more...)
}
