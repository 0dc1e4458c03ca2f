package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestBundle(t *testing.T) {
	t.Parallel()
	a, root := newTestAuthority(t, Options{}), newTestAuthority(t, Options{})
	rootPEM, key := string(root.CertPEM()), string(mustKeyPEM(t, root))
	want := rootPEM + string(a.CertPEM())

	for name, system := range map[string]string{
		"a plain bundle is kept":                                 rootPEM,
		"a missing last newline is added":                        strings.TrimSuffix(rootPEM, "\n"),
		"comments are dropped":                                   "# Some Root\n" + rootPEM + "trailing words",
		"carriage returns are dropped":                           strings.ReplaceAll(rootPEM, "\n", "\r\n"),
		"a private key before a certificate is dropped":          key + rootPEM,
		"a private key after a certificate is dropped":           rootPEM + key,
		"a private key inside a broken certificate is dropped":   "-----BEGIN CERTIFICATE-----\n" + key + rootPEM,
		"a certificate without an end is dropped":                rootPEM + "-----BEGIN CERTIFICATE-----\nMIIB",
		"a block with headers is dropped":                        "-----BEGIN CERTIFICATE-----\nSecret: value\n\nMIIB\n-----END CERTIFICATE-----\n" + rootPEM,
		"OpenSSL's trusted certificates are dropped":             "-----BEGIN TRUSTED CERTIFICATE-----\nMIIB\n-----END TRUSTED CERTIFICATE-----\n" + rootPEM,
		"a begin in the middle of a line is not one":             "x-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" + rootPEM,
		"words on the begin line are not a certificate":          "-----BEGIN CERTIFICATE-----secret\n-----END CERTIFICATE-----\n" + rootPEM,
		"an empty block is dropped":                              "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" + rootPEM,
		"an encrypted key of another kind is dropped with it":    "-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n" + rootPEM,
		"a begin line inside a certificate starts a new attempt": "-----BEGIN CERTIFICATE-----\nMIIB\n" + rootPEM,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := string(Bundle([]byte(system), a))
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if strings.Contains(got, "PRIVATE") || !strings.HasSuffix(got, "-----END CERTIFICATE-----\n") {
				t.Error("not certificates alone, or no newline at the end")
			}
		})
	}
	t.Run("with no system roots the authority is alone", func(t *testing.T) {
		t.Parallel()
		if got := Bundle(nil, a); !bytes.Equal(got, a.CertPEM()) {
			t.Errorf("got %s", got)
		}
	})
}

func TestReadRoots(t *testing.T) {
	t.Parallel()
	rootPEM := newTestAuthority(t, Options{}).CertPEM()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty, full := write("empty.pem", nil), write("full.pem", rootPEM)
	if err := os.Symlink("full.pem", filepath.Join(dir, "0123abcd.0")); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.pem")

	t.Run("the first file with a certificate is taken", func(t *testing.T) {
		t.Parallel()
		got, err := readRoots([]string{missing, empty, full}, nil)
		if err != nil || !bytes.Equal(got, rootPEM) {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("a directory stands in, read without its hash links", func(t *testing.T) {
		t.Parallel()
		got, err := readRoots([]string{missing}, []string{filepath.Join(dir, "none"), dir})
		if err != nil || !bytes.Equal(got, rootPEM) {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("nothing anywhere is an error", func(t *testing.T) {
		t.Parallel()
		if got, err := readRoots([]string{missing, empty}, nil); !errors.Is(err, ErrNoRoots) || got != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestSystemRoots(t *testing.T) {
	foreign := newTestAuthority(t, Options{})
	file := filepath.Join(t.TempDir(), "other-proxy.pem")
	if err := os.WriteFile(file, foreign.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	t.Setenv("SSL_CERT_DIR", filepath.Dir(file))
	roots, err := SystemRoots()
	if errors.Is(err, ErrNoRoots) {
		t.Skip("this system has no roots installed: nothing to read")
	}
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(roots, foreign.CertPEM()) {
		t.Error("SSL_CERT_FILE was read")
	}
	n := 0
	for block, rest := pem.Decode(roots); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Errorf("certificate %d: %v", n, err)
		}
		n++
	}
	if n < 10 {
		t.Errorf("%d roots", n)
	}
	if runtime.GOOS == "darwin" {
		return // asks a keychain daemon
	}
	if got := testing.AllocsPerRun(3, func() {
		roots, _ = SystemRoots()
		Bundle(roots, foreign)
	}); got > 30 {
		t.Errorf("%.0f allocations for %d roots: none of them should be decoded", got, n)
	}
	best := time.Hour // the fastest of several: what it costs, not what else the machine does
	for range 20 {
		start := time.Now()
		if roots, err = SystemRoots(); err != nil {
			t.Fatal(err)
		}
		Bundle(roots, foreign)
		best = min(best, time.Since(start))
	}
	if best > 2*time.Millisecond*raceFactor {
		t.Errorf("reading and merging %d roots takes %s, want at most 2ms", n, best)
	}
}
