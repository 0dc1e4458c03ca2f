package truststore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	library "github.com/smallstep/truststore"

	"kz/ca"
)

// system is the store of the distribution: a directory of anchors, from which a tool builds bundles and links.
type system struct {
	roots    func() ([]byte, error) // the bundle that programs read
	certsDir string                 // where Debian's tool makes its links
	conf     string                 // Debian's list of certificates
}

func newSystem() store {
	return system{roots: ca.SystemRoots, certsDir: "/etc/ssl/certs", conf: "/etc/ca-certificates.conf"}
}

func (system) name() string { return "system" }

func (system) available() (string, bool) {
	if len(library.SystemTrustCommand) == 0 {
		return "no known directory for trust anchors; is ca-certificates installed?", false
	}
	return filepath.Dir(library.SystemTrustFilename), true
}

// anchor is the file that the library writes for cert.
func anchor(cert *x509.Certificate) string {
	return fmt.Sprintf(library.SystemTrustFilename, uniqueName(cert))
}

func (s system) find(cert *x509.Certificate) (State, error) {
	roots, err := s.roots()
	if err != nil && !errors.Is(err, ca.ErrNoRoots) {
		return Unavailable, fmt.Errorf("reading the system's roots: %w", err)
	}
	if contains(roots, cert) {
		return Trusted, nil
	}
	if _, err := os.Lstat(anchor(cert)); err == nil || len(s.links(cert)) > 0 {
		return Partial, nil
	}
	return Absent, nil
}

func (s system) add(cert *x509.Certificate) error {
	if err := prepare(); err != nil {
		return err
	}
	if err := library.Install(cert, options()...); err != nil {
		return fmt.Errorf("installing the certificate: %w", explain(err))
	}
	// Under a strict umask only root could read the anchor, and with it the links in certsDir.
	if info, err := os.Stat(anchor(cert)); err == nil && info.Mode().Perm()&0o444 != 0o444 {
		return run("chmod", "644", anchor(cert))
	}
	return nil
}

func (s system) remove(cert *x509.Certificate) error {
	if err := prepare(); err != nil {
		return err
	}
	if err := library.Uninstall(cert, options()...); err != nil {
		return fmt.Errorf("removing the certificate: %w", explain(err))
	}
	return s.sweep(cert)
}

// sweep removes what Debian's update-ca-certificates leaves: it takes an anchor that is gone for one it never saw, so
// the links stay, now broken, and its hooks (Java's keystore among them) are not told. Named in the list as removed,
// the certificate goes the regular way. Nothing of the list itself is changed.
func (s system) sweep(cert *x509.Certificate) error {
	if len(s.links(cert)) == 0 {
		return nil
	}
	if filepath.Base(library.SystemTrustCommand[0]) == "update-ca-certificates" {
		if conf, err := os.ReadFile(s.conf); err == nil {
			if err := rebuildWithout(conf, filepath.Base(anchor(cert))); err != nil {
				return fmt.Errorf("removing the certificate: %w", err)
			}
		}
	}
	if links := s.links(cert); len(links) > 0 {
		return run(append([]string{"rm", "-f", "--"}, links...)...)
	}
	return nil
}

// rebuildWithout runs the tool with one more line before conf, which says that a certificate is not wanted. (Not after
// it: the tool ignores a last line without a newline, and must go on doing so.)
func rebuildWithout(conf []byte, name string) error {
	f, err := os.CreateTemp("", "kz-ca-certificates-*.conf")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString("!" + name + "\n" + string(conf))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return run(append(append([]string(nil), library.SystemTrustCommand...), "--certsconf", f.Name())...)
}

// links lists the symbolic links in certsDir that lead to cert's anchor: the one with its name, and those with the hash
// of its subject that lead to that one.
func (s system) links(cert *x509.Certificate) []string {
	file := anchor(cert)
	entries, err := os.ReadDir(s.certsDir)
	if err != nil {
		return nil
	}
	named := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)) + ".pem"
	var links []string
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		path := filepath.Join(s.certsDir, e.Name())
		if target, err := os.Readlink(path); err == nil && (target == file || filepath.Base(target) == named) {
			links = append(links, path)
		}
	}
	return links
}

// prepare checks for privilege, and finds the tool also where the user's PATH has no directory for root's tools (after
// a plain su, say). sudo has a path of its own.
func prepare() error {
	if err := mayBecomeRoot(os.Geteuid()); err != nil {
		return err
	}
	tool := library.SystemTrustCommand[0]
	if _, err := exec.LookPath("sudo"); err == nil {
		return nil
	}
	if _, err := exec.LookPath(tool); err == nil {
		return nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, tool)); err == nil {
			library.SystemTrustCommand = append([]string{path}, library.SystemTrustCommand[1:]...)
			return nil
		}
	}
	return fmt.Errorf("looking for %s: %w", tool, exec.ErrNotFound)
}

// Strays lists the anchors of other kz authorities in the system's store: of other users, or of a state directory that
// was lost. cert may be nil.
func Strays(cert *x509.Certificate) []string {
	if len(library.SystemTrustCommand) == 0 {
		return nil
	}
	pattern := fmt.Sprintf(library.SystemTrustFilename, prefix+"*")
	files, _ := filepath.Glob(pattern) // the pattern is our own
	var strays []string
	for _, f := range files {
		if cert == nil || f != anchor(cert) {
			strays = append(strays, f)
		}
	}
	return strays
}
