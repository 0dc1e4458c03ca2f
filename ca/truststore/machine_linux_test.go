package truststore

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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
	lockMachine(t)
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

// lockMachine keeps apart the tests, of whatever package, that change this machine's store.
func lockMachine(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "kz-test-truststore.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
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
