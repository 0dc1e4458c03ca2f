package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/peers"
)

// entry is an intercepting proxy as a client sees it.
type entry struct {
	url    *url.URL
	ca     *x509.Certificate
	pid    int
	bearer string // what a client sends for API_KEY: the mask, or the value to one that has no masks
	value  string // of API_KEY
	b      *bed.Bed
}

// kzEntry starts kz proxy.
func kzEntry(t *testing.T, b *bed.Bed) *entry {
	t.Helper()
	p := b.StartProxy()
	file, err := os.ReadFile(p.Get("NODE_EXTRA_CA_CERTS"))
	if err != nil {
		t.Fatal(err)
	}
	return newEntry(t, b, p.Get("HTTPS_PROXY"), file, p.Pid, p.Get("API_KEY"))
}

// goproxyEntry starts goproxy in a process of its own, with what o says, the pins and roots of b and its environment.
func goproxyEntry(t *testing.T, b *bed.Bed, o peers.Goproxy, pins map[string]string, bearer string) *entry {
	t.Helper()
	o.Roots = b.Origin.CAPEM()
	o.Pins = map[string]string{}
	for hostport, to := range pins {
		o.Pins[hostport] = to
	}
	settings, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bed.Self(t), "@goproxy", string(settings))
	cmd.Env = append([]string{"PATH=" + bed.Path, "HOME=" + b.Path("home")}, b.Env...)
	in, err := cmd.StdinPipe() // closes with this process, whatever ends it
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // with an error where the probe was that it ends
	})
	var ready struct{ Addr, CA string }
	if err := json.NewDecoder(out).Decode(&ready); err != nil {
		t.Fatalf("starting goproxy: %v", err)
	}
	proxy := "http://" + ready.Addr
	if o.Password != "" {
		proxy = "http://kz:" + o.Password + "@" + ready.Addr
	}
	return newEntry(t, b, proxy, []byte(ready.CA), cmd.Process.Pid, bearer)
}

// runGoproxy is the process: it serves until standard input closes.
func runGoproxy(args []string) int {
	var o peers.Goproxy
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	g, err := peers.StartGoproxy(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"addr": g.Addr, "ca": string(g.CAPEM)})
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = g.Close()
	return 0
}

func newEntry(t *testing.T, b *bed.Bed, proxy string, caPEM []byte, pid int, bearer string) *entry {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(caPEM)
	if block == nil {
		t.Fatal("no CA certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return &entry{url: u, ca: cert, pid: pid, bearer: bearer, b: b}
}

// head is a CONNECT with the credential.
func (e *entry) head(hostport string) string {
	text := "CONNECT " + hostport + " HTTP/1.1\r\nHost: " + hostport + "\r\n"
	if password, ok := e.url.User.Password(); ok {
		text += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(e.url.User.Username()+":"+password)) + "\r\n"
	}
	return text + "\r\n"
}

// dial connects to the proxy itself.
func (e *entry) dial() (*net.TCPConn, error) {
	conn, err := net.DialTimeout("tcp", e.url.Host, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// connect opens a tunnel. It may be called from any goroutine.
func (e *entry) connect(hostport string) (*net.TCPConn, error) {
	conn, err := e.dial()
	if err != nil {
		return nil, err
	}
	if _, err = io.WriteString(conn, e.head(hostport)); err == nil {
		err = readEstablished(conn)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// readEstablished takes the answer to CONNECT, and no byte behind it.
func readEstablished(r io.Reader) error {
	var head bytes.Buffer
	for one := make([]byte, 1); !bytes.HasSuffix(head.Bytes(), []byte("\r\n\r\n")); head.Write(one) {
		if _, err := io.ReadFull(r, one); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(head.String(), "HTTP/1.1 200 ") {
		return fmt.Errorf("no tunnel: %s", head.String())
	}
	return nil
}

// trust is what a client of the proxy uses as its TLS configuration.
func (e *entry) trust(name string, alpn ...string) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(e.ca)
	return &tls.Config{ServerName: name, RootCAs: roots, NextProtos: alpn}
}

// inside opens a tunnel to host, port 443, and speaks TLS in it. Everything then has to be done within a time limit.
func (e *entry) inside(t *testing.T, host string, limit time.Duration) *tls.Conn {
	t.Helper()
	raw, err := e.connect(host + ":443")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(limit))
	conn := tls.Client(raw, e.trust(host, "http/1.1"))
	if err := conn.Handshake(); err != nil {
		t.Fatalf("TLS with the proxy as %s: %v", host, err)
	}
	return conn
}

// client is a Go client of the proxy.
func (e *entry) client(t *testing.T, h2 bool) *http.Client {
	t.Helper()
	var protocols http.Protocols
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	tr := &http.Transport{
		Proxy: http.ProxyURL(e.url), TLSClientConfig: e.trust(""), Protocols: &protocols, MaxIdleConnsPerHost: 64,
		// Nothing is asked for that the test does not name.
		DisableCompression: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// request is a request with the bearer token.
func (e *entry) request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+e.bearer)
	return r
}

// get is a GET with the bearer token, and its whole answer.
func (e *entry) get(t *testing.T, c *http.Client, url string) (*http.Response, []byte, error) {
	t.Helper()
	resp, err := c.Do(e.request(t, "GET", url, nil))
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// peak is the most memory that a process has held, in bytes.
func peak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// exchange writes a request as it is and reads one answer.
func exchange(conn net.Conn, method, text string) (*http.Response, []byte, error) {
	if _, err := io.WriteString(conn, text); err != nil {
		return nil, nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}
