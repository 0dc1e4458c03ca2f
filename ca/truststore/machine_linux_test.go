package truststore

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	library "github.com/smallstep/truststore"

	"kz/ca"
)

// machineVariable allows the one test that changes the machine's own store.
const machineVariable = "KZ_TEST_TRUSTSTORE"

// It puts an authority into the store of the very machine, has curl use it with an empty environment, and takes it out
// again. Whatever happens, the machine is put back.
func TestThisMachinesStore(t *testing.T) {
	switch {
	case os.Getenv(machineVariable) != "1":
		t.Skip("LEFT OUT: changes this machine's trust store; set " + machineVariable + "=1, as root, to run it")
	case os.Geteuid() != 0:
		t.Skip("LEFT OUT: " + machineVariable + " is set, but only root can change this machine's trust store")
	}
	debianTool(t)
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal("curl is needed: ", err)
	}
	const host = "kz-truststore.test"
	authority, cert := keptCertificate(t, host)
	server := interceptedHost(t, authority)
	get := func() (string, error) {
		address := server.Listener.Addr().String()
		port := address[strings.LastIndexByte(address, ':')+1:]
		cmd := exec.Command(curl, "--silent", "--show-error", "--noproxy", "*",
			"--resolve", host+":"+port+":127.0.0.1", "https://"+host+":"+port+"/")
		cmd.Env = []string{} // not nil, which would be ours
		out, err := cmd.CombinedOutput()
		return string(out), err
	}

	keystore := "/etc/ssl/certs/java/cacerts" // rewritten by Debian's hook: compared by content below
	local, bundle := "/usr/local/share/ca-certificates", "/etc/ssl/certs/ca-certificates.crt"
	before := snapshot(t, []string{local, bundle})
	// A machine may have been set up past the tool (a plain file where it makes a link, say). One run of it without kz
	// brings the links to where any run would, so that what differs later is ours.
	mustDo(t, prepare())
	mustDo(t, run(library.SystemTrustCommand...))
	links := snapshot(t, []string{"/etc/ssl/certs"}, keystore)
	conf, err := os.ReadFile("/etc/ca-certificates.conf")
	mustDo(t, err)
	t.Cleanup(func() {
		if _, err := Uninstall(cert); err != nil {
			t.Errorf("THIS MACHINE STILL TRUSTS %s: %v", anchor(cert), err)
		}
	})

	if out, err := get(); err == nil || !strings.Contains(out, "certificate") {
		t.Fatalf("before: curl says %q, %v", out, err)
	}
	reports, err := Install(cert)
	mustDo(t, err)
	if reports[0].Store != "system" || reports[0].State != Trusted || !reports[0].Changed {
		t.Errorf("installing: %+v", reports)
	}
	if ok, err := Installed(cert); err != nil || !ok {
		t.Errorf("Installed after install: %v, %v", ok, err)
	}
	if out, err := get(); err != nil || out != "hello" {
		t.Errorf("installed: curl says %q, %v", out, err)
	}
	if strays := Strays(nil); len(strays) == 0 {
		t.Error("the anchor is not listed")
	}
	if _, err := Install(cert); err != nil {
		t.Errorf("a second install: %v", err)
	}

	_, err = Uninstall(cert)
	mustDo(t, err)
	wantSame(t, before, snapshot(t, []string{local, bundle}))
	wantSame(t, links, snapshot(t, []string{"/etc/ssl/certs"}, keystore))
	if now, err := os.ReadFile("/etc/ca-certificates.conf"); err != nil || !bytes.Equal(now, conf) {
		t.Errorf("the list of certificates changed: %v", err)
	}
	if ok, err := Installed(cert); err != nil || ok {
		t.Errorf("Installed after uninstall: %v, %v", ok, err)
	}
	if out, err := get(); err == nil {
		t.Errorf("after: curl says %q", out)
	}
	if keytool, err := exec.LookPath("keytool"); err == nil && fileExists(keystore) {
		out, err := exec.Command(keytool, "-list", "-rfc", "-keystore", keystore, "-storepass", "changeit").Output()
		mustDo(t, err)
		if contains(out, cert) || bytes.Contains(out, []byte(prefix)) {
			t.Error("Java's keystore still trusts it")
		}
	}
	if _, err := Uninstall(cert); err != nil {
		t.Errorf("a second uninstall: %v", err)
	}
}

// interceptedHost serves TLS as kz does for a bound host: with a leaf of its own.
func interceptedHost(t *testing.T, a *ca.Authority) *httptest.Server {
	t.Helper()
	minter, err := ca.NewMinter(a, ca.MinterOptions{})
	mustDo(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
	}))
	server.TLS = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return minter.Leaf(hello.ServerName)
	}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshakes
	server.StartTLS()
	server.TLS.Certificates = nil // httptest's own, which would go before GetCertificate
	t.Cleanup(server.Close)
	return server
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

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
