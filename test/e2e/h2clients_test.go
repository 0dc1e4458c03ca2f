package e2e_test

import (
	"strings"
	"testing"

	"kz/test/bed"
)

const h2HTTPX = `
import os, httpx
key = os.environ["API_KEY"]
with httpx.Client(http1=False, http2=True) as c:
    r = c.post("https://api.test/echo", headers={"Authorization": "Bearer " + key}, json={"token": key})
    print("version:", r.http_version)
    print(r.text)`

const h2Undici = `
const { request, fetch, ProxyAgent, EnvHttpProxyAgent } = require("undici")
const key = process.env.API_KEY
const what = { method: "POST", headers: { authorization: "Bearer " + key, "content-type": "application/json" }, body: JSON.stringify({ token: key }) }
const agents = { proxy: () => new ProxyAgent({ uri: process.env.HTTPS_PROXY, allowH2: true }), env: () => new EnvHttpProxyAgent({ allowH2: true }) }
;(async () => {
  const dispatcher = agents[process.argv[1]]()
  const r = process.argv[2] === "fetch" ? await fetch("https://api.test/echo", { ...what, dispatcher }) : await request("https://api.test/echo", { ...what, dispatcher })
  console.log(await (r.text ? r.text() : r.body.text()))
  await dispatcher.close()
})().catch(e => { console.error(e); process.exit(1) })`

// The connection that CONNECT opened is handed to http2.connect, which has no proxy of its own.
const h2Node = `
const http = require("http"), http2 = require("http2"), tls = require("tls")
const key = process.env.API_KEY, proxy = new URL(process.env.HTTPS_PROXY)
const connect = http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: "api.test:443",
  headers: { "Proxy-Authorization": "Basic " + Buffer.from(proxy.username + ":" + proxy.password).toString("base64") } })
connect.on("connect", (res, socket) => {
  if (res.statusCode !== 200) throw new Error("CONNECT: " + res.statusCode)
  const inner = tls.connect({ socket, servername: "api.test", ALPNProtocols: ["h2"] }, () => {
    const session = http2.connect("https://api.test", { createConnection: () => inner })
    session.on("error", e => { throw e })
    const s = session.request({ ":method": "POST", ":path": "/echo", authorization: "Bearer " + key, "content-type": "application/json" })
    let text = ""
    s.setEncoding("utf8")
    s.on("data", d => { text += d })
    s.on("end", () => { console.log("version: HTTP/2 " + session.alpnProtocol + "\n" + text); session.close() })
    s.end(JSON.stringify({ token: key }))
  })
})
connect.end()`

const h2Curl = ` -sS -w '\nversion: HTTP/%{http_version}\n' -H "Authorization: Bearer $API_KEY" -H "Content-Type: application/json" -d "{\"token\": \"$API_KEY\"}" https://api.test/echo`

// TestH2Clients has clients speak HTTP/2 with kz. That they do, those that can say so say; of all of them the origin does:
// kz speaks HTTP/2 with an upstream for such a client alone, as the one that speaks HTTP/1.1 shows.
func TestH2Clients(t *testing.T) {
	t.Parallel()
	undici := func(args ...string) func(t *testing.T, b *bed.Bed) []string {
		return func(t *testing.T, b *bed.Bed) []string {
			b.Env = append(b.Env, "NODE_PATH="+bed.NodeModules(t, "undici"))
			return append([]string{bed.Node(t), "-e", h2Undici}, args...)
		}
	}
	for _, c := range []struct {
		name, version string
		proto         string
		argv          func(t *testing.T, b *bed.Bed) []string
	}{
		{"curl", "HTTP/2", "HTTP/2.0", func(t *testing.T, _ *bed.Bed) []string { return shell(bed.Program(t, "curl") + " --http2" + h2Curl) }},
		{"curl over HTTP/1.1", "HTTP/1.1", "HTTP/1.1", func(t *testing.T, _ *bed.Bed) []string { return shell(bed.Program(t, "curl") + " --http1.1" + h2Curl) }},
		{"Python httpx", "HTTP/2", "HTTP/2.0", func(t *testing.T, _ *bed.Bed) []string { return []string{bed.Python(t, "httpx", "h2"), "-c", h2HTTPX} }},
		{"undici's fetch through its ProxyAgent", "", "HTTP/2.0", undici("proxy", "fetch")},
		{"undici's request through its ProxyAgent", "", "HTTP/2.0", undici("proxy", "request")},
		{"undici's fetch through its EnvHttpProxyAgent", "", "HTTP/2.0", undici("env", "fetch")},
		{"Node's http2", "HTTP/2 h2", "HTTP/2.0", func(t *testing.T, _ *bed.Bed) []string { return []string{bed.Node(t), "-e", h2Node} }},
		{"a Go program", "HTTP/2.0", "HTTP/2.0", func(t *testing.T, _ *bed.Bed) []string {
			return []string{bed.Self(t), "@post", "https://api.test/echo"}
		}},
	} {
		t.Run(c.name+" sends the value in header and body and sees the mask", func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			value := b.Secret("API_KEY", `hosts = ["api.test"]`)
			res := b.Run(c.argv(t, b)...)
			res.Succeeds(t)
			b.Clean(res)
			if got := field(string(res.Stdout), "version"); got != c.version {
				t.Errorf("the client spoke %q, not %q", got, c.version)
			}
			got := received(t, b, "/echo")[0]
			if got.Proto != c.proto {
				t.Errorf("the origin was spoken to by %s, not %s", got.Proto, c.proto)
			}
			if got.Header.Get("Authorization") != "Bearer "+value || strings.ReplaceAll(string(got.Body), " ", "") != `{"token":"`+value+`"}` {
				t.Error("the origin did not get the value in the header and in the body")
			}
			if n := len(mask.FindAll(res.Stdout, -1)); n < 2 {
				t.Errorf("the echo has %d masks, not one for the header and one for the body:\n%s", n, res.Stdout)
			}
			if line := audited(t, b, "api.test", "/echo"); len(line.Swapped) != 2 || line.Status != 200 {
				t.Errorf("the audit says %+v", line)
			}
		})
	}
}
