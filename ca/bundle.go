package ca

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNoRoots is returned when none of the places a system keeps its roots in has any.
var ErrNoRoots = errors.New("ca: no system roots found")

var (
	beginCertificate = []byte("-----BEGIN CERTIFICATE-----")
	endCertificate   = []byte("-----END CERTIFICATE-----")
)

// Bundle returns the certificates of system, then the authority's, as PEM that ends with a newline. Everything in
// system that is not a well-formed CERTIFICATE block (keys, comments, trusted certificates of OpenSSL) is left out.
func Bundle(system []byte, a *Authority) []byte {
	out := make([]byte, 0, len(system)+len(a.certPEM)+1)
	out = appendCertificates(out, system)
	return append(out, a.certPEM...)
}

// appendCertificates copies the CERTIFICATE blocks of src. It looks at every byte but decodes none: a bundle of 150
// roots must cost a fraction of a millisecond at each start.
func appendCertificates(dst, src []byte) []byte {
	for {
		i := bytes.Index(src, beginCertificate)
		if i < 0 {
			return dst
		}
		atLineStart := i == 0 || src[i-1] == '\n'
		src = src[i+len(beginCertificate):]
		j := bytes.Index(src, endCertificate)
		if j < 0 {
			return dst
		}
		body := src[:j]
		if !atLineStart || !isBase64Lines(body) {
			continue // the block may hide another: go on right after its first line
		}
		src = src[j+len(endCertificate):]
		dst = append(dst, beginCertificate...)
		if bytes.IndexByte(body, '\r') >= 0 {
			body = bytes.ReplaceAll(body, []byte("\r"), nil)
		}
		dst = append(dst, body...)
		dst = append(dst, endCertificate...)
		dst = append(dst, '\n')
	}
}

// isBase64Lines says whether body is what may stand between the two lines of a block: line breaks around base64, and
// none of the headers or further blocks that would make it something else.
func isBase64Lines(body []byte) bool {
	if len(body) < 3 || body[len(body)-1] != '\n' || body[0] != '\n' && body[0] != '\r' {
		return false
	}
	for _, c := range body {
		if !inBase64Lines[c] {
			return false
		}
	}
	return true
}

// inBase64Lines marks the bytes of base64 and of line breaks.
var inBase64Lines = func() (in [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n") {
		in[c] = true
	}
	return in
}()

// readRoots returns the certificates of the first file that has any, else those of the first such directory.
func readRoots(files, dirs []string) ([]byte, error) {
	var problems []error
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				problems = append(problems, err)
			}
			continue
		}
		if roots := appendCertificates(make([]byte, 0, len(data)+1), data); len(roots) > 0 {
			return roots, nil
		}
	}
	for _, dir := range dirs {
		if roots := readRootDir(dir); len(roots) > 0 {
			return roots, nil
		}
	}
	return nil, errors.Join(append([]error{ErrNoRoots}, problems...)...)
}

func readRootDir(dir string) []byte {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var roots []byte
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if e.Type()&fs.ModeSymlink != 0 {
			// Hash links point at their neighbours; reading them too would double every root.
			if target, err := os.Readlink(name); err != nil || filepath.Base(target) == target {
				continue
			}
		}
		if data, err := os.ReadFile(name); err == nil {
			roots = appendCertificates(roots, data)
		}
	}
	return roots
}
