package ca

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// SystemRoots reads the roots that this user trusts, as PEM. Windows fetches some of its roots only when a site needs them:
// those are not among them. [ErrNoRoots] when there are none.
func SystemRoots() ([]byte, error) {
	name, err := windows.UTF16PtrFromString("ROOT")
	if err != nil {
		return nil, err
	}
	store, err := windows.CertOpenSystemStore(0, name)
	if err != nil {
		return nil, fmt.Errorf("opening the store of roots: %w", err)
	}
	defer func() { _ = windows.CertCloseStore(store, 0) }()
	var out bytes.Buffer
	var at *windows.CertContext
	for {
		at, err = windows.CertEnumCertificatesInStore(store, at) // which frees the one before
		if errors.Is(err, windows.Errno(windows.CRYPT_E_NOT_FOUND)) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the store of roots: %w", err)
		}
		if at.EncodingType&windows.X509_ASN_ENCODING == 0 {
			continue
		}
		der := unsafe.Slice(at.EncodedCert, at.Length)
		_ = pem.Encode(&out, &pem.Block{Type: certificateType, Bytes: der}) // a buffer takes everything
	}
	if out.Len() == 0 {
		return nil, ErrNoRoots
	}
	return out.Bytes(), nil
}
