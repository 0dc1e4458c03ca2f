package cli

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"kz/test/bed"
)

// nodeAsks runs a program in a version of Node that asks for URLs by each way Node has, and tells what came to the proxy: the CONNECT's
// target or the URL, and whether with the credential. Names resolve nowhere: what goes direct fails.
func nodeAsks(t *testing.T, program string, urls []string, env []string, args ...string) (asked []string, output string) {
	t.Helper()
	var mu sync.Mutex
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := r.RequestURI
		if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("kz:p@ss")) {
			line += " without the credential"
		}
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, line)
		w.Header().Set("Kz-Error", "egress_denied")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"error":{"message":"not there","hint":"ask elsewhere"}}`)
	}))
	t.Cleanup(proxy.Close)
	path := filepath.Join(t.TempDir(), nodeProxyFile)
	if err := os.WriteFile(path, nodeProxy, 0o600); err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(proxy.URL, "http://", "http://kz:p%40ss@", 1)
	cmd := exec.CommandContext(t.Context(), program, slices.Concat(args, []string{"-e", `
const direct = (host, options, callback) => (callback || options)(new Error("direct to " + host))
const ask = async url => {
  const module = url.startsWith("https:") ? "https" : "http"
  const get = agent => new Promise(done => require(module).get(url, { agent }, r => r.resume().on("end", done)).on("error", e => { console.log(e.message); done() }))
  await fetch(url).then(r => r.text(), e => console.log(e.cause.message))
  await get(undefined)
  await get(new (require(module).Agent)())
}
(async () => {
  console.log("loaded: " + process.moduleLoadList.filter(m => /undici|_http|NativeModule (net|tls|https?|dns)$/.test(m)))
  require("dns").lookup = direct
  for (const url of process.argv.slice(1)) await ask(url)
  process.exit() // whatever connections are left
})()`, "--"}, urls)...)
	cmd.Env = append([]string{"HTTPS_PROXY=" + url, "HTTP_PROXY=" + url, "NODE_USE_ENV_PROXY=1", "NODE_OPTIONS=--require " + nodeQuote(path)}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	mu.Lock()
	defer mu.Unlock()
	return asked, string(out)
}

// thrice: by fetch, by the agent of all and by one of the program's own.
func thrice(lines ...string) []string {
	var all []string
	for _, l := range lines {
		all = append(all, l, l, l)
	}
	return all
}

func TestNodeAsksTheProxy(t *testing.T) {
	t.Parallel()
	out := nodeIsRefused(t, bed.NodeVersion(t, "20"))
	if !strings.HasPrefix(out, "loaded: \n") {
		t.Errorf("modules are loaded that the program had not used:\n%s", out)
	}
}

// TestNewerNodeAsksTheProxy: one that knows of proxies itself does as the others.
func TestNewerNodeAsksTheProxy(t *testing.T) {
	t.Parallel()
	nodeIsRefused(t, bed.Node(t))
}

func nodeIsRefused(t *testing.T, program string) (output string) {
	t.Helper()
	asked, out := nodeAsks(t, program, []string{"https://a.test/x", "https://a.test:8443/x", "https://[2001:db8::1]/", "http://a.test/x?y", "http://a.test:81/"}, nil)
	if want := thrice("a.test:443", "a.test:8443", "[2001:db8::1]:443", "http://a.test/x?y", "http://a.test:81/"); !slices.Equal(asked, want) {
		t.Errorf("it asked for %q\nwant %q\n%s", asked, want, out)
	}
	const refused = "the proxy refused a.test:443: 403 egress_denied: not there (hint: ask elsewhere)\n"
	if strings.Count(out, refused) != 3 || strings.Contains(out, "p@ss") || strings.Contains(out, "p%40ss") {
		t.Errorf("it was not told why, or it shows the credential:\n%s", out)
	}
	return out
}

func TestNodeGoesDirectWhereNoProxySaysSo(t *testing.T) {
	t.Parallel()
	excepted := []string{"NO_PROXY=exact.test, .below.test *.star.test,port.test:8443,[2001:db8::1]:81,::2"}
	direct := []string{
		"https://exact.test/", "https://EXACT.test/", "https://a.below.test/", "https://a.b.star.test/", "https://port.test:8443/",
		"http://exact.test/", "http://a.below.test/",
	}
	program := bed.NodeVersion(t, "20")
	asked, out := nodeAsks(t, program, direct, excepted)
	if len(asked) != 0 || strings.Count(out, "direct to ") != 3*len(direct) {
		t.Errorf("it asked the proxy for %q\n%s", asked, out)
	}
	asked, out = nodeAsks(t, program, []string{"https://not-exact.test/", "https://a.exact.test/", "https://below.test/", "https://port.test/"}, excepted)
	if want := thrice("not-exact.test:443", "a.exact.test:443", "below.test:443", "port.test:443"); !slices.Equal(asked, want) {
		t.Errorf("it asked for %q\nwant %q\n%s", asked, want, out)
	}
	if asked, out = nodeAsks(t, program, []string{"https://a.test/"}, []string{"NO_PROXY=*"}); len(asked) != 0 {
		t.Errorf("it asked the proxy for %q\n%s", asked, out)
	}
}

// TestWhatNodeLoadsStaysAsideWhenItIsNotWanted: a program is not to fail for it, either.
func TestWhatNodeLoadsStaysAsideWhenItIsNotWanted(t *testing.T) {
	t.Parallel()
	program := bed.NodeVersion(t, "20")
	for name, env := range map[string][]string{
		"switched off":     {"NODE_USE_ENV_PROXY=0"},
		"no proxy":         {"HTTPS_PROXY=", "HTTP_PROXY="},
		"a proxy of SOCKS": {"HTTPS_PROXY=socks5://127.0.0.1:1", "HTTP_PROXY=socks5://127.0.0.1:1"},
		"not a URL at all": {"HTTPS_PROXY=%", "HTTP_PROXY=%"},
		"a bad credential": {"HTTPS_PROXY=http://%zz@127.0.0.1:1", "HTTP_PROXY=http://%zz@127.0.0.1:1"},
	} {
		if asked, out := nodeAsks(t, program, []string{"https://a.test/", "http://a.test/"}, env); len(asked) != 0 || strings.Count(out, "direct to a.test") != 6 {
			t.Errorf("%s: it asked the proxy for %q\n%s", name, asked, out)
		}
	}
	if _, out := nodeAsks(t, program, nil, nil, "--frozen-intrinsics"); !strings.Contains(out, "loaded: \n") {
		t.Errorf("with frozen intrinsics: %s", out)
	}
}
