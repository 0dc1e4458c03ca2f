package cli

import (
	"bufio"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kz/test/bed"
)

// TestNodeSendsHTTPOverTLSByTheProxy: what connects by itself and speaks HTTP, and nothing else that uses TLS.
func TestNodeSendsHTTPOverTLSByTheProxy(t *testing.T) {
	t.Parallel()
	sent, out := nodeSends(t, `
require("dns").lookup = (host, options, callback) => (callback || options)(new Error("direct to " + host))
const tls = require("tls"), https = require("https"), http2 = require("http2")
class Own extends https.Agent { createConnection (options) { return tls.connect(options) } }
const ALPNProtocols = ["h2", "http/1.1"]
;(async () => {
  for (const way of [
    () => http2.connect("https://h2.test"),
    () => https.request({ host: "ws.test", port: 443, createConnection: options => tls.connect({ ...options, path: undefined }) }),
    () => tls.connect(8443, "port.test", { ALPNProtocols }),
    () => tls.connect("8444", "port.test", { ALPNProtocols: ["http/1.1"] }, () => {}),
    () => tls.connect({ host: "2001:db8::1", ALPNProtocols: ["h2"] }),
    () => http2.connect("https://excepted.test"),
    () => tls.connect(5432, "database.test"),
    () => tls.connect({ host: "database.test", port: 5433, ALPNProtocols: ["postgresql"] }),
    () => https.get({ host: "own.test", ALPNProtocols, agent: new Own() }),
    () => tls.connect({ socket: require("net").connect(443, "socket.test"), ALPNProtocols }),
  ]) await new Promise(done => way().on("error", e => { console.log(e.message); done() }))
})()`, "", "NO_PROXY=excepted.test")
	want := []string{"CONNECT h2.test:443", "CONNECT ws.test:443", "CONNECT port.test:8443", "CONNECT port.test:8444", "CONNECT [2001:db8::1]:443"}
	for i := range want {
		want[i] += " with the credential"
	}
	if !slices.Equal(sent, want) {
		t.Errorf("it sent %q\nwant %q\n%s", sent, want, out)
	}
	direct := "direct to excepted.test\ndirect to database.test\ndirect to database.test\ndirect to own.test\ndirect to socket.test\n"
	if !strings.HasSuffix(out, direct) {
		t.Errorf("it says\n%s\nwant at its end\n%s", out, direct)
	}
}

// TestNodeVerifiesThroughTheProxy: whatever goes through a tunnel takes no certificate but a trusted one, of the host it asked for.
func TestNodeVerifiesThroughTheProxy(t *testing.T) {
	t.Parallel()
	origin := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	origin.EnableHTTP2 = true
	origin.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that end the handshake
	origin.StartTLS()
	t.Cleanup(origin.Close)
	proxy := tunnelsTo(t, origin.Listener.Addr().String())
	dir := t.TempDir()
	shim, root := filepath.Join(dir, nodeProxyFile), filepath.Join(dir, "root.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: origin.Certificate().Raw}
	for path, data := range map[string][]byte{shim: nodeProxy, root: pem.EncodeToMemory(block)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const text = `
const tls = require("tls")
const ends = (thing, event) => new Promise(done => thing.on(event, () => done("ok")).on("error", e => done(e.code)))
const ways = {
  fetch: host => fetch("https://" + host).then(() => "ok", e => e.cause.code),
  https: host => ends(require("https").get("https://" + host), "response"),
  http2: host => ends(require("http2").connect("https://" + host), "connect"),
  tls: host => ends(tls.connect({ host, servername: host, ALPNProtocols: ["http/1.1"] }), "secureConnect"),
}
;(async () => {
  for (const [name, way] of Object.entries(ways)) console.log(name, await way("example.com"), await way("other.test"))
  process.exit(0)
})()`
	for _, program := range []string{bed.NodeVersion(t, "20"), bed.Node(t)} {
		for _, tt := range []struct{ root, want string }{
			{root, "ok ERR_TLS_CERT_ALTNAME_INVALID"}, // the certificate is for example.com
			{"", "DEPTH_ZERO_SELF_SIGNED_CERT DEPTH_ZERO_SELF_SIGNED_CERT"},
		} {
			cmd := exec.CommandContext(t.Context(), program, "-e", text)
			cmd.Env = []string{"HTTPS_PROXY=" + proxy, "NODE_USE_ENV_PROXY=1", "NODE_OPTIONS=--require " + nodeQuote(shim), "NODE_EXTRA_CA_CERTS=" + tt.root}
			out, err := cmd.CombinedOutput()
			for _, way := range []string{"fetch", "https", "http2", "tls"} {
				if line := way + " " + tt.want + "\n"; !strings.Contains(string(out), line) {
					t.Errorf("%s: %v: no line %q:\n%s", program, err, line, out)
				}
			}
		}
	}
}

// tunnelsTo is a proxy that leads each CONNECT to one address.
func tunnelsTo(t *testing.T, address string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				if req, err := http.ReadRequest(r); err != nil || req.Method != http.MethodConnect {
					return
				}
				to, err := net.Dial("tcp", address)
				if err != nil {
					return
				}
				defer to.Close()
				if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
					return
				}
				go func() {
					_, _ = io.Copy(to, r)
					_ = to.(*net.TCPConn).CloseWrite()
				}()
				_, _ = io.Copy(c, to)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}
