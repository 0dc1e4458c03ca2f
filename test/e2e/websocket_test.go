package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"kz/test/bed"
)

// Each of these programs says the same things to the URL it is given, each when the one before has come back, and prints
// the same lines as goWebSocket.
const (
	webSocketNode = `
const { WebSocket, EnvHttpProxyAgent } = require("undici")
const key = process.env.API_KEY
const ws = new WebSocket(process.argv[1], { dispatcher: new EnvHttpProxyAgent(), headers: { authorization: "Bearer " + key } })
` + webSocketNodeTalk
	webSocketNodeItself = `
const key = process.env.API_KEY
const ws = new WebSocket(process.argv[1], { headers: { authorization: "Bearer " + key } })
` + webSocketNodeTalk
	webSocketNodeTalk = `
const say = ["one", "the key is " + key, "long ".repeat(30000)]
let n = -1
ws.onerror = e => { console.error(e.error || e.message || e); process.exit(1) }
ws.onopen = () => console.log("extensions: " + JSON.stringify(ws.extensions))
ws.onmessage = e => {
  console.log(n < 0 ? "hello: " + e.data : "echo: " + e.data.length + " " + e.data.slice(0, 80))
  if (++n < say.length) ws.send(say[n]); else { console.log("pong"); ws.close(4001, "done with it") }
}
ws.onclose = e => { console.log("closed: " + e.code + " " + e.reason); process.exit(0) }`
	webSocketWS = `
const WebSocket = require("ws"), http = require("http"), tls = require("tls")
const key = process.env.API_KEY, proxy = new URL(process.env.HTTPS_PROXY)
// ws has no proxy of its own: it is given a connection that CONNECT has opened.
const connect = http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: "api.test:443",
  headers: { "Proxy-Authorization": "Basic " + Buffer.from(proxy.username + ":" + proxy.password).toString("base64") } })
connect.on("connect", (res, socket) => {
  const ws = new WebSocket(process.argv[1], { perMessageDeflate: true, headers: { authorization: "Bearer " + key },
    createConnection: () => tls.connect({ socket, servername: "api.test" }) })
  const say = ["one", "the key is " + key, "long ".repeat(30000)]
  let n = -1
  ws.on("error", e => { console.error(e); process.exit(1) })
  ws.on("upgrade", res => console.log("extensions: " + JSON.stringify(res.headers["sec-websocket-extensions"] || "")))
  ws.on("message", m => {
    const text = m.toString()
    console.log(n < 0 ? "hello: " + text : "echo: " + text.length + " " + text.slice(0, 80))
    if (++n < say.length) ws.send(say[n]); else ws.ping("are you there")
  })
  ws.on("pong", p => { if (p.toString() === "are you there") console.log("pong"); ws.close(4001, "done with it") })
  ws.on("close", (code, reason) => { console.log("closed: " + code + " " + reason); process.exit(0) })
})
connect.end()`
	webSocketAIOHTTP = `
import os, sys, asyncio, aiohttp
key = os.environ["API_KEY"]
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.ws_connect(sys.argv[1], headers={"Authorization": "Bearer " + key}, compress=15) as ws:
            print('extensions: "%s"' % ws._response.headers.get("Sec-WebSocket-Extensions", ""))
            print("hello:", await ws.receive_str())
            for m in ["one", "the key is " + key, "long " * 30000]:
                await ws.send_str(m)
                got = await ws.receive_str()
                print("echo:", len(got), got[:80])
            await ws.ping(b"are you there")
            print("pong")
            await ws.close(code=4001, message=b"done with it")
            print("closed: 4001 done with it")
asyncio.run(main())`
	webSocketWebsockets = `
import os, sys, asyncio, socket, ssl, base64, urllib.parse, websockets
key, proxy = os.environ["API_KEY"], urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
# This version has no proxy of its own: it is given a socket that CONNECT has opened.
s = socket.create_connection((proxy.hostname, proxy.port))
auth = base64.b64encode(("%s:%s" % (proxy.username, proxy.password)).encode()).decode()
s.sendall(("CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\nProxy-Authorization: Basic %s\r\n\r\n" % auth).encode())
head = b""
while not head.endswith(b"\r\n\r\n"):
    head += s.recv(1)
async def main():
    async with websockets.connect(sys.argv[1], sock=s, ssl=ssl.create_default_context(), server_hostname="api.test", compression="deflate",
                                  extra_headers={"Authorization": "Bearer " + key}) as ws:
        print('extensions: "%s"' % ws.response_headers.get("Sec-WebSocket-Extensions", ""))
        print("hello:", await ws.recv())
        for m in ["one", "the key is " + key, ["lo", "ng ", "long " * 29999]]:
            await ws.send(m)
            got = await ws.recv()
            print("echo:", len(got), got[:80])
        await (await ws.ping(b"are you there"))
        print("pong")
        await ws.close(4001, "done with it")
        print("closed:", ws.close_code, ws.close_reason)
asyncio.run(main())`
)

// TestWebSocketClients has each client hear its credential, say its mask, and close.
func TestWebSocketClients(t *testing.T) {
	t.Parallel()
	node := func(script string, modules ...string) func(t *testing.T, b *bed.Bed) []string {
		return func(t *testing.T, b *bed.Bed) []string {
			b.Env = append(b.Env, "NODE_PATH="+bed.NodeModules(t, modules...))
			return []string{bed.Node(t), "-e", script}
		}
	}
	for _, c := range []struct {
		name string
		argv func(t *testing.T, b *bed.Bed) []string
	}{
		{"Node's own WebSocket", node(webSocketNodeItself)},
		{"undici through its EnvHttpProxyAgent", node(webSocketNode, "undici")},
		{"Node's ws", node(webSocketWS, "ws")},
		{"Python's aiohttp", func(t *testing.T, _ *bed.Bed) []string {
			return []string{bed.Python(t, "aiohttp"), "-c", webSocketAIOHTTP}
		}},
		{"Python's websockets", func(t *testing.T, _ *bed.Bed) []string {
			return []string{bed.Python(t, "websockets"), "-c", webSocketWebsockets}
		}},
		{"coder/websocket", func(t *testing.T, _ *bed.Bed) []string { return []string{bed.Self(t), "@websocket"} }},
	} {
		for _, frames := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, text messages swapped: %v", c.name, frames), func(t *testing.T) {
				t.Parallel()
				b := bed.New(t)
				swap := `swap = ["header"]`
				if frames {
					swap = `swap = ["header", "frame"]`
				}
				value := b.Secret("API_KEY", `hosts = ["api.test"]`, swap)
				res := b.Run(append(c.argv(t, b), "wss://api.test/ws?hello=1")...)
				res.Succeeds(t)
				b.Clean(res)
				out := string(res.Stdout)
				token := mask.FindString(field(out, "hello"))
				if token == "" {
					t.Fatalf("no mask in what the origin says first:\n%s", out)
				}
				for _, want := range []string{
					`extensions: ""`, "hello: Bearer " + token, "echo: 3 one", fmt.Sprintf("echo: %d the key is %s", len("the key is "+token), token),
					"echo: 150000 " + strings.Repeat("long ", 16), "pong", "closed: 4001 done with it",
				} {
					if !strings.Contains(out, strings.TrimSpace(want)) {
						t.Errorf("no %q in\n%s", want, out)
					}
				}
				said := token
				if frames {
					said = value
				}
				got := received(t, b, "/ws")[0]
				if got.Header.Get("Authorization") != "Bearer "+value || got.Proto != "HTTP/1.1" || got.Header.Get("Sec-Websocket-Extensions") != "" {
					t.Errorf("the handshake came by %s, and asked for %q", got.Proto, got.Header.Get("Sec-Websocket-Extensions"))
				}
				if want := "one" + "the key is " + said + strings.Repeat("long ", 30_000); string(got.Body) != want {
					t.Errorf("the origin heard %d bytes, want %d", len(got.Body), len(want))
				}
				line := audited(t, b, "api.test", "/ws")
				if line.Status != 101 || len(line.Swapped) != 1+strings.Count(swap, "frame") {
					t.Errorf("the audit says %+v", line)
				}
			})
		}
	}
}
