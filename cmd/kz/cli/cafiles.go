package cli

import (
	"errors"
	"fmt"

	"kz/ca"
)

// caFilesIn writes the public CA files, and those that point clients at them. write tells the path by which a client knows a file.
func (id *identity) caFilesIn(write func(name string, data []byte) (string, error)) (files caFiles, err error) {
	system, err := ca.SystemRoots()
	if err != nil && !errors.Is(err, ca.ErrNoRoots) {
		return caFiles{}, fmt.Errorf("reading the system's roots: %w", err)
	}
	if files.CA, err = write("ca.pem", id.Authority.CertPEM()); err != nil {
		return caFiles{}, err
	}
	bundle := ca.Bundle(system, id.Authority)
	if files.Bundle, err = write("bundle.pem", bundle); err != nil {
		return caFiles{}, err
	}
	store, err := ca.JavaTrustStore(bundle)
	if err != nil {
		return caFiles{}, fmt.Errorf("making the truststore for JVMs: %w", err)
	}
	if files.TrustStore, err = write("truststore.p12", store); err != nil {
		return caFiles{}, err
	}
	if files.NodeProxy, err = write(nodeProxyFile, nodeProxy); err != nil {
		return caFiles{}, err
	}
	if files.Wgetrc, err = write("wgetrc", wgetrc(files.Bundle)); err != nil {
		return caFiles{}, err
	}
	files.PHP, err = write("php.ini", phpINI(files.Bundle))
	return files, err
}
