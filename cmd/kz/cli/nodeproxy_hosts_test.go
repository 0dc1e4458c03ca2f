package cli

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"kz/test/bed"
)

// nodeSends runs a program in Node 20 against a proxy that answers each request with the given answer, and tells what reached
// it: each request line, with what of its header tells it from an honest one.
func nodeSends(t *testing.T, program, answer string, env ...string) (sent []string, output string) {
	t.Helper()
	node := bed.NodeVersion(t, "20")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					line := req.Method + " " + req.RequestURI
					if req.Header.Get("Proxy-Authorization") != "" {
						line += " with the credential"
					}
					mu.Lock()
					sent = append(sent, line)
					mu.Unlock()
					if req.Method == http.MethodConnect {
						_, err = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
					} else {
						_, err = c.Write([]byte(answer))
					}
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	path := filepath.Join(t.TempDir(), nodeProxyFile)
	if err := os.WriteFile(path, nodeProxy, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "-e", program)
	url := "http://kz:credential@" + l.Addr().String()
	cmd.Env = append(env, "HTTPS_PROXY="+url, "HTTP_PROXY="+url, "NODE_USE_ENV_PROXY=1", "NODE_OPTIONS=--require "+nodeQuote(path))
	out, err := cmd.CombinedOutput()
	_ = l.Close()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(sent), string(out)
}

// TestNodeSendsNoHostThatIsMore: Node checks the path of a request before the shim writes the host into it, so that a host that
// somebody else chose would be a request of theirs.
func TestNodeSendsNoHostThatIsMore(t *testing.T) {
	t.Parallel()
	sent, out := nodeSends(t, `
require("dns").lookup = (host, options, callback) => (callback || options)(new Error("direct"))
const get = (module, host) => new Promise(done => {
  require(module).get({ host, path: "/", headers: { Host: "h" } }, r => r.resume().on("end", done)).on("error", e => { console.log("error"); done() })
})
;(async () => {
  for (const host of ["a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\nCONNECT b.test:443 HTTP/1.1\r\nA:", "a.test/\u0120HTTP/1.1\u010d\u010aA", "a.test/ HTTP/1.1 "]) {
    await get("http", host)
    await get("https", host)
  }
  for (const host of ["a.test@b.test", "a.test?", "a.test#", "a.test\\b", "a.test:81", "a%2etest"]) await get("http", host)
  for (const host of ["a.test", "b\u00fccher.test", "a_b.test", "2001:db8::1", "[2001:db8::1]"]) await get("http", host)
})()`, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	want := []string{"GET http://a.test/", "GET http://xn--bcher-kva.test/", "GET http://a_b.test/", "GET http://[2001:db8::1]/", "GET http://[2001:db8::1]/"}
	for i := range want {
		want[i] += " with the credential"
	}
	if !slices.Equal(sent, want) || strings.Count(out, "error") != 12 {
		t.Errorf("it sent %q\nwant %q\n%s", sent, want, out)
	}
}

// TestNodeKeepsItsCredentialFromOrigins: a redirection that undici follows by itself takes the headers along, to an origin that
// is another one to it than the proxy.
func TestNodeKeepsItsCredentialFromOrigins(t *testing.T) {
	t.Parallel()
	modules := bed.NodeModules(t, "undici7")
	sent, out := nodeSends(t, `
const { request, getGlobalDispatcher } = require("undici7")
;(async () => {
  await request("http://a.test/x", { maxRedirections: 1 }).then(r => r.body.dump(), e => console.log(e.message))
  await getGlobalDispatcher().request({ origin: "http://a.test", path: "@b.test/", method: "GET" }).then(() => console.log("sent"), e => console.log("error"))
})()`, "HTTP/1.1 302 Found\r\nLocation: http://b.test/y\r\nContent-Length: 0\r\n\r\n", "NODE_PATH="+modules)
	want := []string{"CONNECT a.test:80 with the credential", "GET /x", "CONNECT b.test:80 with the credential", "GET /y"}
	if !slices.Equal(sent, want) || !strings.HasSuffix(out, "error\n") {
		t.Errorf("it sent %q\nwant %q\n%s", sent, want, out)
	}
}
