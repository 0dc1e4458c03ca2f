package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// KeptLifetime is how long a kept authority is valid at most.
const KeptLifetime = 30 * 24 * time.Hour

const (
	// keptFile holds certificate and key together, so that one rename-like step makes both appear.
	keptFile = "authority.pem"
	// keptDraft begins the name of the file that a Keep writes before that step.
	keptDraft = ".authority-"
	// maxKept bounds what is read back; a kept authority with many hosts is a few KiB.
	maxKept = 1 << 20
)

var (
	// ErrNotKept is returned when the directory holds no authority.
	ErrNotKept = errors.New("ca: no kept authority")
	// ErrKept is returned by Keep when the directory holds one already.
	ErrKept = errors.New("ca: an authority is kept there already")
	// ErrUnsafeFile is returned for a key file or directory that others could read or replace.
	ErrUnsafeFile = errors.New("ca: unsafe permissions or kind of file")
)

// Keep writes an authority, key included, into dir: a directory of the user's own with mode 0700 (made if missing), a
// file with mode 0600. It appears whole or not at all, and never replaces or follows what is there ([ErrKept],
// [ErrUnsafeFile]). Only an authority bound by name constraints and valid for at most [KeptLifetime] may be kept.
func Keep(dir string, a *Authority) error {
	if err := mayKeep(a.cert); err != nil {
		return err
	}
	key, err := a.KeyPEM()
	if err != nil {
		return err
	}
	if err := makeOwn(dir); err != nil {
		return fmt.Errorf("keeping the authority: %w", err)
	}
	if err := checkKeptDir(dir); err != nil {
		return fmt.Errorf("keeping the authority: %w", err)
	}
	if err := writeNew(dir, append(a.CertPEM(), key...)); err != nil {
		return fmt.Errorf("keeping the authority: %w", err)
	}
	return nil
}

// LoadKept reads the authority back, with the checks of [Load]. It refuses a file that is a symbolic link, is not the
// user's own or can be read by others ([ErrUnsafeFile]). Without one it returns [ErrNotKept].
func LoadKept(dir string) (*Authority, error) {
	certPEM, keyPEM, err := readKept(dir)
	if err != nil {
		return nil, err
	}
	a, err := Load(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	if err := mayKeep(a.cert); err != nil {
		return nil, err
	}
	return a, nil
}

// KeptCertificate reads the public certificate alone, also when it has ended: what is in the trust stores must be
// found again to be removed.
func KeptCertificate(dir string) (*x509.Certificate, error) {
	certPEM, _, err := readKept(dir)
	if err != nil {
		return nil, err
	}
	return parseAuthority(certPEM)
}

// RemoveKept deletes the authority, what an interrupted Keep left, and the directory if it is then empty. It does
// nothing when there is none.
func RemoveKept(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing the kept authority: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("removing the kept authority: %s is not a directory: %w", dir, ErrUnsafeFile)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("removing the kept authority: %w", err)
	}
	var problems []error
	for _, e := range entries {
		if e.Name() != keptFile && !strings.HasPrefix(e.Name(), keptDraft) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			problems = append(problems, fmt.Errorf("removing the kept authority: %w", err))
		}
	}
	_ = os.Remove(dir) // stays when something else is in it
	return errors.Join(problems...)
}

// mayKeep wants an authority of the kind that New makes for hosts. One that was put in its place by hand, and could do
// more, is refused.
func mayKeep(cert *x509.Certificate) error {
	allowed, err := parseConstraints(PermittedHosts(cert))
	wanted := &x509.Certificate{}
	allowed.constrain(wanted)
	switch {
	case !Constrained(cert):
		return errors.New("keeping the authority: it is not constrained to any host")
	case err != nil, !slices.Equal(cert.ExcludedDNSDomains, wanted.ExcludedDNSDomains), !sameNetworks(cert.ExcludedIPRanges, wanted.ExcludedIPRanges):
		return errors.New("keeping the authority: its constraints are not on single hosts")
	case !cert.MaxPathLenZero || cert.MaxPathLen != 0 || cert.KeyUsage != x509.KeyUsageCertSign || !slices.Equal(cert.ExtKeyUsage, wanted.ExtKeyUsage):
		return errors.New("keeping the authority: it could certify more than servers")
	case cert.NotAfter.Sub(cert.NotBefore) > KeptLifetime+backdate:
		return fmt.Errorf("keeping the authority: valid for more than %d days", KeptLifetime/(24*time.Hour))
	}
	return nil
}

func sameNetworks(a, b []*net.IPNet) bool {
	return slices.EqualFunc(a, b, func(x, y *net.IPNet) bool { return x.String() == y.String() })
}

// writeNew makes dir/keptFile in one step. A hard link fails when the name is taken, by a symbolic link too, where a
// rename would replace it.
func writeNew(dir string, data []byte) (err error) {
	draft, err := os.CreateTemp(dir, keptDraft+"*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(draft.Name())) }()
	_, err = draft.Write(data)
	if err == nil {
		err = draft.Sync()
	}
	if err := errors.Join(err, draft.Close()); err != nil {
		return err
	}
	target := filepath.Join(dir, keptFile)
	if info, err := os.Lstat(target); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file: %w", target, ErrUnsafeFile)
	}
	if err := os.Link(draft.Name(), target); errors.Is(err, fs.ErrExist) {
		return ErrKept
	} else if err != nil {
		return err
	}
	return syncDir(dir)
}

func readKept(dir string) (certPEM, keyPEM []byte, err error) {
	err = checkKeptDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, ErrNotKept
	}
	if err != nil {
		return nil, nil, fmt.Errorf("loading the kept authority: %w", err)
	}
	name := filepath.Join(dir, keptFile)
	f, err := openKept(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, ErrNotKept
	}
	if err != nil {
		return nil, nil, fmt.Errorf("loading the kept authority: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKept))
	if err != nil {
		return nil, nil, fmt.Errorf("loading the kept authority: %w", err)
	}
	certificate, rest := pem.Decode(data)
	if certificate == nil || certificate.Type != certificateType {
		return nil, nil, fmt.Errorf("loading the kept authority: %s does not begin with a certificate", name)
	}
	return pem.EncodeToMemory(certificate), bytes.TrimSpace(rest), nil
}

// openKept opens the file without following a link, and looks at the very file it opened.
func openKept(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|openNoFollow, 0)
	if err != nil {
		if info, statErr := os.Lstat(name); statErr == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is not a regular file: %w", name, ErrUnsafeFile)
		}
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = checkOwn(name, info, info.Mode().IsRegular())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkKeptDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	return checkOwn(dir, info, info.IsDir())
}

// checkOwn wants the right kind of file, this user's, closed to everybody else.
func checkOwn(name string, info fs.FileInfo, rightKind bool) error {
	if !rightKind {
		return fmt.Errorf("%s is not what it should be (%s): %w", name, info.Mode().Type(), ErrUnsafeFile)
	}
	return onlyOwn(name, info)
}
