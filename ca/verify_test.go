package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// verify checks a leaf as crypto/x509 does for a TLS client.
func verify(t testing.TB, root, leaf *x509.Certificate, host string) {
	t.Helper()
	if err := verifyErr(root, leaf, host); err != nil {
		t.Errorf("verifying the leaf of %q: %v", host, err)
	}
}

func verifyErr(root, leaf *x509.Certificate, host string) error {
	pool := x509.NewCertPool()
	pool.AddCert(root)
	if _, err := netip.ParseAddr(host); err == nil {
		host = "[" + host + "]"
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// openssl runs the command line tool where there is one. ok is false when there is none; CI's machines have it.
func openssl(t testing.TB, stdin []byte, args ...string) (out string, ok bool) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("no openssl here: its opinion is left out")
		return "", false
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	b, err := cmd.CombinedOutput()
	if err != nil {
		return string(b) + err.Error(), true
	}
	return string(b), true
}

// opensslVerify says whether openssl, strict and with no other roots, accepts the leaf for host.
func opensslVerify(t testing.TB, root, leaf *x509.Certificate, host string) (accepted, known bool, out string) {
	t.Helper()
	dir := t.TempDir()
	rootFile, leafFile := filepath.Join(dir, "root.pem"), filepath.Join(dir, "leaf.pem")
	for name, c := range map[string]*x509.Certificate{rootFile: root, leafFile: leaf} {
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	match := "-verify_hostname"
	if _, err := netip.ParseAddr(host); err == nil {
		match = "-verify_ip"
	}
	out, known = openssl(t, nil, "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", rootFile,
		"-purpose", "sslserver", match, host, leafFile)
	return strings.Contains(out, leafFile+": OK"), known, out
}

func TestClientsAcceptWhatConstraintsPermitAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		permitted       []string
		accept, refuse  []string
		notCertifiable  []string // patterns that Permits must not claim
		patternsCovered []string
	}{
		"names": {
			permitted:       []string{"api.example.com", "*.example.org"},
			accept:          []string{"api.example.com", "below.api.example.com", "a.example.org", "a.b.example.org"},
			refuse:          []string{"example.com", "notapi.example.com", "xapi.example.com", "example.org", "badexample.org", "10.0.0.1", "fd00::1"},
			patternsCovered: []string{"*.example.org", "*.b.example.org", "*.api.example.com"},
			notCertifiable:  []string{"*.example.com", "*.org"},
		},
		"one IPv4 address": {
			permitted:      []string{"10.0.0.1"},
			accept:         []string{"10.0.0.1"},
			refuse:         []string{"10.0.0.2", "fd00::1", "::1", "api.example.com", "localhost"},
			notCertifiable: []string{"*.example.com"},
		},
		"a name and an IPv6 address": {
			permitted: []string{"api.example.com", "fd00::1"},
			accept:    []string{"fd00::1", "api.example.com"},
			refuse:    []string{"fd00::2", "10.0.0.1", "other.example.com"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bound := newTestAuthority(t, Options{PermittedHosts: tt.permitted})
			if !Constrained(bound.cert) || len(bound.cert.ExtKeyUsage) != 1 || bound.cert.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
				t.Fatalf("constrained %v, purposes %v", Constrained(bound.cert), bound.cert.ExtKeyUsage)
			}
			if got := PermittedHosts(bound.cert); strings.Join(got, " ") != strings.Join(tt.permitted, " ") {
				t.Errorf("PermittedHosts = %q, want %q", got, tt.permitted)
			}
			minter, err := NewMinter(bound, MinterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, host := range tt.accept {
				leaf, err := minter.Leaf(host)
				if err != nil {
					t.Errorf("minting: %v", err)
					continue
				}
				verify(t, bound.cert, leaf.Leaf, host)
				if ok, known, out := opensslVerify(t, bound.cert, leaf.Leaf, host); known && !ok {
					t.Errorf("openssl refuses %q: %s", host, out)
				}
			}
			thief := minterPastConstraints(t, bound)
			for _, host := range tt.refuse {
				if _, err := minter.Leaf(host); err == nil {
					t.Errorf("a leaf for %q was made", host)
				}
				leaf, err := thief.Leaf(host)
				if err != nil {
					t.Fatal(err)
				}
				if err := verifyErr(bound.cert, leaf.Leaf, host); err == nil {
					t.Errorf("crypto/x509 accepts %q from a stolen key", host)
				}
				if ok, known, _ := opensslVerify(t, bound.cert, leaf.Leaf, host); known && ok {
					t.Errorf("openssl accepts %q from a stolen key", host)
				}
			}
			for _, p := range tt.patternsCovered {
				if !Permits(bound.cert, p) {
					t.Errorf("Permits(%q) = false", p)
				}
			}
			for _, p := range tt.notCertifiable {
				if Permits(bound.cert, p) {
					t.Errorf("Permits(%q) = true", p)
				}
			}
		})
	}
}

// minterPastConstraints signs with the same key whatever it is asked for, as a thief of the key would: it holds the
// certificate without its constraints, so that only the clients' own check stands.
func minterPastConstraints(t *testing.T, a *Authority) *Minter {
	t.Helper()
	blind := *a.cert
	blind.PermittedDNSDomainsCritical = false
	m, err := NewMinter(&Authority{cert: &blind, key: a.key}, MinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
