package truststore

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	library "github.com/smallstep/truststore"
)

// nss stands for the databases of this user's Firefox profiles, and the one that Chromium reads.
type nss struct {
	certutil string // "" without the tool
	trust    *library.NSSTrust
}

func newNSS() store {
	path, err := exec.LookPath("certutil")
	if err != nil {
		return nss{}
	}
	trust, err := library.NewNSSTrust()
	if err != nil {
		return nss{}
	}
	return nss{certutil: path, trust: trust}
}

func (nss) name() string { return "nss" }

func (n nss) available() (string, bool) {
	if n.trust == nil {
		return "no certutil (Debian: libnss3-tools, macOS: nss)", false
	}
	databases := nssDatabases()
	if len(databases) == 0 {
		return "no Firefox or Chromium database", false
	}
	return fmt.Sprintf("%d of Firefox and Chromium", len(databases)), true
}

// nssDatabases finds the same ones as the library, in certutil's notation.
func nssDatabases() []string {
	dirs, _ := filepath.Glob(library.NSSProfile) // a directory with odd characters is the library's to miss
	if home := os.Getenv("HOME"); home != "" {
		dirs = append(dirs, filepath.Join(home, ".pki", "nssdb"))
	}
	var found []string
	for _, dir := range dirs {
		for file, kind := range map[string]string{"cert9.db": "sql:", "cert8.db": "dbm:"} {
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
				found = append(found, kind+dir)
			}
		}
	}
	return found
}

// holds compares the certificate itself. (certutil -V, which the library asks, denies one that has ended.)
func (n nss) holds(database string, cert *x509.Certificate) bool {
	der, err := exec.Command(n.certutil, "-L", "-d", database, "-n", uniqueName(cert), "-r").Output()
	return err == nil && bytes.Equal(der, cert.Raw)
}

func (n nss) find(cert *x509.Certificate) (State, error) {
	with, all := 0, nssDatabases()
	for _, d := range all {
		if n.holds(d, cert) {
			with++
		}
	}
	switch with {
	case 0:
		return Absent, nil
	case len(all):
		return Trusted, nil
	}
	return Partial, nil
}

func (n nss) add(cert *x509.Certificate) error {
	if err := library.Install(cert, options(library.WithNoSystem(), library.WithTrust(n.trust))...); err != nil {
		return fmt.Errorf("installing the certificate: %w", explain(err))
	}
	return nil
}

func (n nss) remove(cert *x509.Certificate) error {
	if err := library.Uninstall(cert, options(library.WithNoSystem(), library.WithTrust(n.trust))...); err != nil {
		return fmt.Errorf("removing the certificate: %w", explain(err))
	}
	var problems []error
	for _, d := range nssDatabases() {
		if !n.holds(d, cert) {
			continue
		}
		cmd := exec.Command(n.certutil, "-D", "-d", d, "-n", uniqueName(cert))
		if out, err := cmd.CombinedOutput(); err != nil {
			problems = append(problems, toolError(cmd.Args, err, out))
		}
	}
	return errors.Join(problems...)
}
