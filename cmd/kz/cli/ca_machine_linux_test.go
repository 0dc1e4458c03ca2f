package cli

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"kz/ca"
)

// The whole of `kz ca` on this machine's own store: after install, curl with an empty environment trusts a host that a
// kz proxy intercepts; after uninstall, the bundle and the folder of local certificates are as before, byte for byte.
func TestCAOnThisMachine(t *testing.T) {
	const allowed = "KZ_TEST_TRUSTSTORE"
	switch {
	case os.Getenv(allowed) != "1":
		t.Skip("LEFT OUT: changes this machine's trust store; set " + allowed + "=1, as root, to run it")
	case os.Geteuid() != 0:
		t.Skip("LEFT OUT: " + allowed + " is set, but only root can change this machine's trust store")
	}
	if _, err := os.Stat("/usr/sbin/update-ca-certificates"); err != nil {
		t.Skip("LEFT OUT: this machine's store is not Debian's")
	}
	lockMachine(t)
	const host, value = "kz-installed.test", "the-real-value-of-the-token"
	home := t.TempDir()
	upstream, upstreamCA := caUpstream(t, host, value)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("upstream.pem", string(upstreamCA))
	write("secrets.env", "API_TOKEN="+value+"\n")
	write("kz.toml", `
[backends.local]
type = "env_file"
path = "secrets.env"
[secrets.API_TOKEN]
backend = "local"
hosts = ["`+host+`"]
[egress]
allow_private = ["127.0.0.0/8"]
resolve = { "`+host+`" = "`+upstream.Listener.Addr().String()+`" }
upstream_ca = "upstream.pem"
`)
	kz := func(args ...string) *exec.Cmd {
		c := exec.Command("kz", args...)
		c.Dir = home
		c.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "GORACE=" + os.Getenv("GORACE")}
		return c
	}
	before := localTrust(t)
	t.Cleanup(func() {
		if out, err := kz("ca", "uninstall").CombinedOutput(); err != nil {
			t.Errorf("THIS MACHINE MAY STILL TRUST THE TEST'S AUTHORITY: %v\n%s", err, out)
		}
	})

	out, err := kz("ca", "install", "--config", "kz.toml").CombinedOutput()
	yes := regexp.MustCompile(`kz ca install --yes (\S+)`).FindSubmatch(out)
	if err == nil || yes == nil {
		t.Fatalf("installing without a terminal: %v\n%s", err, out)
	}
	envFile := filepath.Join(home, "client.env")
	proxy := kz("proxy", "--config", "kz.toml", "--authority", "installed", "--env-file", envFile)
	said, err := os.Create(filepath.Join(home, "proxy.log"))
	if err != nil {
		t.Fatal(err)
	}
	proxy.Stdout, proxy.Stderr = said, said
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proxy.Process.Signal(syscall.SIGTERM)
		if err := proxy.Wait(); err != nil {
			text, _ := os.ReadFile(said.Name())
			t.Errorf("kz proxy: %v\n%s", err, text)
		}
	})
	client := clientEnv(t, envFile)
	curl := func() (string, error) {
		c := exec.Command("/usr/bin/curl", "--silent", "--show-error", "--proxy", client["HTTPS_PROXY"],
			"--header", "Authorization: Bearer "+client["API_TOKEN"], "https://"+host+"/")
		c.Env = []string{} // not nil, which would be ours
		out, err := c.CombinedOutput()
		return string(out), err
	}

	if out, err := curl(); err == nil || !strings.Contains(out, "certificate") {
		t.Errorf("before the install curl says %q, %v", out, err)
	}
	if out, err := kz("ca", "install", "--config", "kz.toml", "--yes", string(yes[1])).CombinedOutput(); err != nil {
		t.Fatalf("installing: %v\n%s", err, out)
	}
	if out, err := curl(); err != nil || out != "hello" {
		t.Errorf("after the install curl says %q, %v", out, err)
	}
	out, err = kz("ca", "status", "--config", "kz.toml").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "system       trusted") || strings.Contains(string(out), "not covered") {
		t.Errorf("status: %v\n%s", err, out)
	}
	for range 2 {
		if out, err := kz("ca", "uninstall").CombinedOutput(); err != nil {
			t.Fatalf("uninstalling: %v\n%s", err, out)
		}
	}
	if out, err := curl(); err == nil {
		t.Errorf("after the uninstall curl says %q", out)
	}
	if after := localTrust(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if left, err := filepath.Glob(filepath.Join(home, ".local/state/kz/ca*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q", left)
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

// caUpstream is a host that greets who brings the real value.
func caUpstream(t *testing.T, host, value string) (*httptest.Server, []byte) {
	t.Helper()
	authority, err := ca.New(ca.Options{Name: "the test's upstream"})
	if err != nil {
		t.Fatal(err)
	}
	minter, err := ca.NewMinter(authority, ca.MinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := minter.Leaf(host)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+value {
			http.Error(w, "not the real value", http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, "hello")
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*leaf}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, authority.CertPEM()
}

// localTrust describes the bundle and the folder of local certificates.
func localTrust(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, root := range []string{"/etc/ssl/certs/ca-certificates.crt", "/usr/local/share/ca-certificates"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %s", path, info.Mode())
			if info.Mode().IsRegular() {
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, " %x", sha256.Sum256(data))
			}
			b.WriteByte('\n')
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// clientEnv reads what a proxy says a client must set, once it is ready.
func clientEnv(t *testing.T, path string) map[string]string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		env := make(map[string]string)
		for s := bufio.NewScanner(f); s.Scan(); {
			name, value, _ := strings.Cut(s.Text(), "=")
			env[name] = value
		}
		return env
	}
}
