package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"

	"kz/ca"
)

// distrusted are the authorities of kz that the system's store may hold beside this session's own: the kept one of
// `kz ca install`, also when it has ended. It is there for clients of kz; for upstreams it vouches for none.
func (a *app) distrusted() ([]*x509.Certificate, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	cert, err := ca.KeptCertificate(filepath.Join(dir, "ca"))
	switch {
	case errors.Is(err, ca.ErrNotKept):
		return nil, nil
	case err != nil:
		return nil, withHint(fmt.Errorf("telling upstreams from kz's own authority: %w", err), "`kz ca uninstall` and `kz ca install` make it anew")
	}
	return []*x509.Certificate{cert}, nil
}
