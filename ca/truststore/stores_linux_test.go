package truststore

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestJavaKeystore(t *testing.T) {
	keytool, err := exec.LookPath("keytool")
	if err != nil {
		t.Skip("LEFT OUT: no keytool")
	}
	home := t.TempDir()
	mustDo(t, os.MkdirAll(filepath.Join(home, "lib", "security"), 0o755))
	mustDo(t, os.Mkdir(filepath.Join(home, "bin"), 0o755))
	keystore := filepath.Join(home, "lib", "security", "cacerts")
	mustDo(t, os.WriteFile(filepath.Join(home, "bin", "keytool"), []byte("#!/bin/sh\nexec "+keytool+" \"$@\"\n"), 0o755))
	t.Setenv("JAVA_HOME", home)

	if note, ok := newJava().available(); ok || !strings.Contains(note, "no cacerts") {
		t.Errorf("without a keystore: %q, %v", note, ok)
	}
	other, otherCert := keptCertificate(t, "other.example")
	otherFile := filepath.Join(t.TempDir(), "other.pem")
	mustDo(t, os.WriteFile(otherFile, other.CertPEM(), 0o600))
	if out, err := exec.Command(keytool, "-importcert", "-noprompt", "-keystore", keystore, "-storepass", "changeit", "-file", otherFile, "-alias", "other").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, cert := keptCertificate(t)
	testStore(t, newJava, cert, keystore)
	if state, err := newJava().find(otherCert); err != nil || state != Trusted {
		t.Errorf("the other certificate: %v, %v", state, err)
	}

	mustDo(t, os.WriteFile(keystore, []byte("garbage"), 0o644))
	if state, err := newJava().find(cert); err == nil {
		t.Errorf("an unreadable keystore is taken for one that says %v", state)
	}
	t.Setenv("JAVA_HOME", "")
	if note, ok := newJava().available(); ok || note != "JAVA_HOME is not set" {
		t.Errorf("without JAVA_HOME: %q, %v", note, ok)
	}
	t.Setenv("JAVA_HOME", t.TempDir())
	if note, ok := newJava().available(); ok || !strings.Contains(note, "no keytool") {
		t.Errorf("without keytool: %q, %v", note, ok)
	}
}

// nssChild tells the test binary that it is the child, whose HOME is the test's: the library reads HOME when it starts.
const nssChild = "KZ_TEST_NSS_HOME"

func TestNSSDatabases(t *testing.T) {
	certutil, err := exec.LookPath("certutil")
	if err != nil {
		t.Skip("LEFT OUT: no certutil (package libnss3-tools)")
	}
	home := os.Getenv(nssChild)
	if home == "" {
		home = t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestNSSDatabases$", "-test.v")
		cmd.Env = append(os.Environ(), "HOME="+home, nssChild+"="+home)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if note, ok := newNSS().available(); ok || !strings.Contains(note, "no Firefox") {
		t.Errorf("without databases: %q, %v", note, ok)
	}
	firefox, chromium := filepath.Join(home, ".mozilla", "firefox", "x.default"), filepath.Join(home, ".pki", "nssdb")
	for _, dir := range []string{firefox, chromium} {
		mustDo(t, os.MkdirAll(dir, 0o700))
		mustDo(t, exec.Command(certutil, "-N", "-d", "sql:"+dir, "--empty-password").Run())
	}
	_, cert := keptCertificate(t)
	testStore(t, newNSS, cert, "2 of Firefox and Chromium")

	mustDo(t, newNSS().add(cert))
	mustDo(t, exec.Command(certutil, "-D", "-d", "sql:"+firefox, "-n", uniqueName(cert)).Run())
	if state, err := newNSS().find(cert); err != nil || state != Partial {
		t.Errorf("in one of two databases: %v, %v", state, err)
	}
	mustDo(t, newNSS().remove(cert))
	if state, err := newNSS().find(cert); err != nil || state != Absent {
		t.Errorf("removed from one: %v, %v", state, err)
	}

	ended, endedCert := endedAuthority(t)
	file := filepath.Join(home, "ended.pem")
	mustDo(t, os.WriteFile(file, ended.CertPEM(), 0o600))
	mustDo(t, exec.Command(certutil, "-A", "-d", "sql:"+firefox, "-t", "C,,", "-n", uniqueName(endedCert), "-i", file).Run())
	mustDo(t, newNSS().remove(endedCert))
	if state, err := newNSS().find(endedCert); err != nil || state != Absent {
		t.Errorf("an authority that has ended: %v, %v", state, err)
	}
}

// testStore takes a certificate in and out twice.
func testStore(t *testing.T, open func() store, cert *x509.Certificate, note string) {
	t.Helper()
	for _, step := range []struct {
		do   func(store, *Report, *x509.Certificate) error
		want Report
	}{
		{uninstall, Report{State: Absent}},
		{install, Report{State: Trusted, Changed: true}},
		{install, Report{State: Trusted}},
		{uninstall, Report{State: Absent, Changed: true}},
		{uninstall, Report{State: Absent}},
	} {
		reports, err := each([]store{open()}, func(s store, r *Report) error { return step.do(s, r, cert) }, cert)
		if err != nil {
			t.Fatal(err)
		}
		step.want.Store, step.want.Note = open().name(), note
		if reports[0] != step.want {
			t.Errorf("got %+v, want %+v", reports[0], step.want)
		}
	}
}
