//go:build unix && !darwin

package ca

// SystemRoots returns the root certificates that this system trusts, as PEM and nothing else. It reads the well-known
// files (the ones crypto/x509 reads) and never what SSL_CERT_FILE names, which may be another proxy's bundle.
func SystemRoots() ([]byte, error) {
	return readRoots([]string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Arch, Gentoo
		"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL 6
		"/etc/ssl/ca-bundle.pem",                            // openSUSE
		"/etc/pki/tls/cacert.pem",                           // OpenELEC
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, RHEL 7
		"/etc/ssl/cert.pem",                                 // Alpine, the BSDs
		"/usr/local/etc/ssl/cert.pem",                       // FreeBSD
		"/usr/local/share/certs/ca-root-nss.crt",            // FreeBSD, older
	}, []string{
		"/etc/ssl/certs",
		"/etc/pki/tls/certs",
	})
}
