package ca

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os/exec"
	"time"
)

const (
	systemRootKeychain = "/System/Library/Keychains/SystemRootCertificates.keychain"
	adminKeychain      = "/Library/Keychains/System.keychain"
)

// SystemRoots returns Apple's roots and the authorities an administrator added to the System keychain, as PEM and
// nothing else. Other certificates of that keychain (the machine's own identities) are left out.
func SystemRoots() ([]byte, error) {
	roots, err := keychain(systemRootKeychain)
	if err != nil {
		return nil, err
	}
	added, err := keychain(adminKeychain)
	if err != nil {
		return nil, err
	}
	out := appendCertificates(nil, roots)
	if len(out) == 0 {
		return nil, ErrNoRoots
	}
	for block, rest := pem.Decode(added); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && cert.BasicConstraintsValid && cert.IsCA {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: block.Bytes})...)
		}
	}
	return out, nil
}

func keychain(path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/usr/bin/security", "find-certificate", "-a", "-p", path).Output()
	if err != nil {
		return nil, fmt.Errorf("reading keychain %s: %w", path, err)
	}
	return out, nil
}
