package truststore

import (
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	library "github.com/smallstep/truststore"
)

// java is the keystore of the JDK in JAVA_HOME. (Debian's own JDK takes the system's certificates; there this store
// trusts what the system does, and has nothing to add.)
type java struct {
	trust *library.JavaTrust
}

func newJava() store {
	trust, err := library.NewJavaTrust()
	if err != nil {
		return java{}
	}
	return java{trust: trust}
}

func (java) name() string { return "java" }

func (j java) available() (string, bool) {
	home := os.Getenv("JAVA_HOME")
	keystore := javaKeystore(home)
	switch {
	case home == "":
		return "JAVA_HOME is not set", false
	case j.trust == nil:
		return "no keytool in " + home, false
	case keystore == "":
		return "no cacerts in " + home, false
	}
	return keystore, true
}

// javaKeystore finds the same one as the library; "" if there is none.
func javaKeystore(home string) string {
	for _, dir := range []string{"jre", ""} {
		path := filepath.Join(home, dir, "lib", "security", "cacerts")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// find looks through all of the keystore: Debian's hook installs under an alias of its own. (The library's Exists takes
// a keystore that it cannot read for one without the certificate.)
func (j java) find(cert *x509.Certificate) (State, error) {
	home := os.Getenv("JAVA_HOME")
	cmd := exec.Command(filepath.Join(home, "bin", "keytool"), "-list", "-rfc",
		"-keystore", javaKeystore(home), "-storepass", library.JavaStorePass)
	out, err := cmd.Output()
	if err != nil {
		return Unavailable, fmt.Errorf("reading the keystore: %w", toolError(cmd.Args, err, out))
	}
	if contains(out, cert) {
		return Trusted, nil
	}
	return Absent, nil
}

func (j java) add(cert *x509.Certificate) error {
	if err := library.Install(cert, options(library.WithNoSystem(), library.WithTrust(j.trust))...); err != nil {
		return fmt.Errorf("installing the certificate: %w", explain(err))
	}
	return nil
}

func (j java) remove(cert *x509.Certificate) error {
	if err := library.Uninstall(cert, options(library.WithNoSystem(), library.WithTrust(j.trust))...); err != nil {
		return fmt.Errorf("removing the certificate: %w", explain(err))
	}
	return nil
}
