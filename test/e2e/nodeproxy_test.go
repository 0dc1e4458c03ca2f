package e2e_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"kz/test/bed"
)

// Node.js 20 and 22.20 do not know NODE_USE_ENV_PROXY: what kz has them load is all that leads their requests to the proxy. Newer
// ones ask it themselves, and leave out some.
var (
	nodesWithoutProxy = []string{"20", "22.20"}
	nodes             = []string{"20", "22.20", "22", "24"}
)

const nodeGet = `
const get = (module, url, options = {}) => new Promise((resolve, reject) => require(module).get(url, options, r => {
  let text = ""
  r.on("data", d => text += d).on("end", () => resolve(r.statusCode + " " + text.replace(/\s+/g, " ")))
}).on("error", reject))
const bearer = { Authorization: "Bearer " + process.env.API_KEY }
const told = async (name, promise) => { try { console.log(name + ": " + await promise) } catch (e) { console.log(name + " fails: " + (e.cause || e).message) } }
;(async () => {`

// nodeWays are programs that must reach the origin with the value, each with what it prints.
var nodeWays = []struct {
	name, text string
	args       []string
	env        string
	want       []string // in the output
	values     int      // how many requests have the value
}{
	{
		name: "in a worker thread", want: []string{"Bearer kz_masked_"}, values: 1,
		text: `const { Worker } = require("worker_threads"); new Worker(` + "`" + nodeFetch + "`" + `, { eval: true })`,
	},
	{
		name: "in a child process with arguments of its own", want: []string{"Bearer kz_masked_"}, values: 1,
		text: `require("child_process").execFileSync(process.execPath, ["--no-warnings", "-e", ` + "`" + nodeFetch + "`" + `], { stdio: "inherit" })`,
	},
	{
		name: "in what fork and cluster start", want: []string{"Bearer kz_masked_"}, values: 2,
		text: `const text = ["-e", ` + "`" + nodeFetch + ".then(() => process.disconnect())`" + `]
require("child_process").fork("-", [], { execArgv: text })
require("cluster").setupPrimary({ exec: "-", execArgv: text })
require("cluster").fork()`,
	},
	{
		name: "in node --test", want: []string{"pass 1"}, values: 1,
		text: `require("fs").writeFileSync("a.test.mjs", ` + "`" + `import test from "node:test"; await test("asks", () => ` + nodeFetch[1:] + `)` + "`" + `)
require("child_process").execFileSync(process.execPath, ["--test", "a.test.mjs"], { stdio: "inherit" })`,
	},
	{
		name: "by HTTP/2, in an ES module", args: []string{"--input-type=module"}, want: []string{"Bearer kz_masked_", "length 3000000"}, values: 2,
		text: `import { connect } from "node:http2"
const session = connect("https://api.test")
const ask = (path, body) => new Promise((resolve, reject) => {
  const stream = session.request({ ":path": path, ":method": body ? "POST" : "GET", authorization: "Bearer " + process.env.API_KEY })
  let text = ""
  stream.setEncoding("latin1").on("data", d => text += d).on("end", () => resolve(text)).on("error", reject).end(body)
})
console.log(await ask("/echo"))
console.log("posted", (await ask("/echo", "x".repeat(1000000))).length)
console.log("length", (await ask("/bytes?n=3000000")).length)
session.close()`,
	},
	{
		name: "in an ES module", args: []string{"--input-type=module"}, want: []string{"one true", "two true"}, values: 2,
		text: `import https, { get } from "node:https"
const headers = { Authorization: "Bearer " + process.env.API_KEY }
const one = await fetch("https://api.test/echo", { headers })
console.log("one " + (await one.text()).includes("kz_masked_"))
get({ host: "api.test", path: "/echo", headers, agent: https.globalAgent }, r => { let t = ""; r.on("data", d => t += d).on("end", () => console.log("two " + t.includes("kz_masked_"))) })`,
	},
	{
		name: "after a --require of the person's own, from a directory with a space", env: "NODE_OPTIONS=--require ./own.cjs", values: 1,
		want: []string{"own was here", "--require ./own.cjs --require \"", "Bearer kz_masked_"},
		text: `console.log(process.env.NODE_OPTIONS);` + nodeFetch,
	},
	{
		name: "after classes of fetch were used", want: []string{"Bearer kz_masked_"}, values: 1,
		text: `new Headers(); new Request("https://api.test/"); new FormData();` + nodeFetch,
	},
	{
		name: "many at once and one after the other, with bodies", want: []string{"sum 60"}, values: 60,
		text: nodeGet + `
  const post = async () => Number((await (await fetch("https://api.test/echo", { method: "POST", headers: bearer, body: "x".repeat(100000) })).text()).includes("kz_masked_"))
  const https = async () => Number((await get("https", "https://api.test/echo", { headers: bearer })).includes("kz_masked_"))
  let sum = (await Promise.all(Array.from({ length: 20 }, post))).reduce((a, b) => a + b)
  sum += (await Promise.all(Array.from({ length: 20 }, https))).reduce((a, b) => a + b)
  for (let i = 0; i < 10; i++) sum += await post() + await https()
  console.log("sum " + sum)
  process.exit(0)
})()`,
	},
}

func TestNodeReachesItsHosts(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"20", "22.20", "24"} {
		for _, way := range nodeWays {
			t.Run(version+" "+way.name, func(t *testing.T) {
				t.Parallel()
				program := nodeAt(t, version)
				b := bed.New(t)
				value := b.Secret("API_KEY", `hosts = ["api.test"]`)
				if way.env != "" {
					b.Env = append(b.Env, way.env, "XDG_RUNTIME_DIR="+b.Path("home/a run"))
					if err := os.Mkdir(b.Path("home/a run"), 0o700); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(b.Path("home/own.cjs"), []byte(`console.log("own was here")`), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				res := b.Run(slices.Concat([]string{program}, way.args, []string{"-e", way.text})...)
				res.Succeeds(t)
				for _, want := range way.want {
					if !strings.Contains(string(res.Stdout), want) {
						t.Errorf("the output lacks %q:\n%.2000s", want, res.Output())
					}
				}
				values := 0
				for _, r := range received(t, b, "/echo") {
					if r.Header.Get("Authorization") == "Bearer "+value {
						values++
					}
					if r.Header.Get("Proxy-Authorization") != "" {
						t.Error("the origin got the proxy's credential")
					}
				}
				if values != way.values {
					t.Errorf("%d requests had the value, want %d", values, way.values)
				}
				b.Clean(res)
			})
		}
	}
}

// TestNodeIsToldWhy has each refusal reach the program in words.
func TestNodeIsToldWhy(t *testing.T) {
	t.Parallel()
	for _, version := range nodes {
		t.Run(version+" says why a host is refused, and what of cleartext", func(t *testing.T) {
			t.Parallel()
			program := nodeAt(t, version)
			b := bed.New(t)
			b.Secret("API_KEY", `hosts = ["api.test"]`)
			b.Egress(`deny = ["evil.test"]`)
			b.Env = append(b.Env, "NODE_PATH="+bed.NodeModules(t, "ws"))
			res := b.Run(program, "-e", nodeGet+`
  await told("fetch", fetch("https://evil.test/"))
  await told("https", get("https", "https://evil.test/"))
  await told("http2", new Promise((resolve, reject) => require("http2").connect("https://evil.test").on("connect", resolve).on("error", reject)))
  await told("ws", new Promise((resolve, reject) => new (require("ws"))("wss://evil.test/").on("open", resolve).on("error", reject)))
  await told("agent", get("https", "https://evil.test/", { agent: new (require("https").Agent)() }))
  const text = async r => (await r).text()
  await told("fetch http", text(fetch("http://api.test/echo")))
  await told("http", get("http", "http://api.test/echo"))
  await told("fetch http with a mask", text(fetch("http://api.test/echo", { headers: bearer })))
  await told("http with a mask", get("http", "http://api.test/echo", { headers: bearer }))
  await told("http with a mask in a list", get("http", "http://api.test/echo", { headers: ["Host", "api.test", "Authorization", bearer.Authorization] }))
  process.env.HTTPS_PROXY = process.env.https_proxy = process.env.HTTPS_PROXY.replace(/:[^:@]*@/, ":wrong@")
  await told("fetch credential", fetch("https://other.test/"))
  await told("https credential", get("https", "https://other.test/"))
})()`)
			res.Succeeds(t)
			const refused = "the proxy refused evil.test:443: 403 egress_denied: "
			for _, want := range []string{
				"fetch fails: " + refused, "https fails: " + refused, "http2 fails: " + refused, "ws fails: " + refused, "agent fails: " + refused, `(hint: to allow it, `,
				"\nfetch http: GET /echo HTTP/1.1\n", "\nhttp: 200 GET /echo HTTP/1.1 Host: api.test",
				`fetch http with a mask: {"error":{"code":"cleartext"`, `http with a mask: 403 {"error":{"code":"cleartext"`, `http with a mask in a list: 403 {"error":{"code":"cleartext"`,
				"fetch credential fails: the proxy refused other.test:443: 407 proxy_credential", "https credential fails: the proxy refused other.test:443: 407 proxy_credential",
			} {
				if !strings.Contains(string(res.Stdout), want) {
					t.Errorf("the output lacks %q:\n%s", want, res.Stdout)
				}
			}
			b.Clean(res)
		})
	}
}

// TestNodeAlone holds what `kz help runtimes` says of a newer Node that has lost its NODE_OPTIONS: it goes by the proxy, and says
// little of a refusal.
func TestNodeAlone(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.Egress(`deny = ["evil.test"]`)
	res := b.Run("/bin/sh", "-c", `NODE_OPTIONS= exec "$0" -e "$1"`, bed.Node(t), nodeGet+`
  await told("api", fetch("https://api.test/echo", { headers: bearer }).then(r => r.status))
  await told("evil", fetch("https://evil.test/"))
})()`)
	res.Succeeds(t)
	if got := received(t, b, "/echo"); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer "+value {
		t.Error("the origin did not get the value")
	}
	if out := string(res.Stdout); out != "api: 200\nevil fails: Request was cancelled.\n" {
		t.Errorf("it says more now, or less:\n%s", out)
	}
	if err := string(res.Stderr); !strings.Contains(err, "evil.test") || !strings.Contains(err, "egress_denied") {
		t.Errorf("the summary does not have the reason:\n%s", err)
	}
	b.Clean(res)
}

// TestNodeWithoutProxySupportGoesWhereItSays: NO_PROXY, and what a program decides for itself.
func TestNodeWithoutProxySupportGoesWhereItSays(t *testing.T) {
	t.Parallel()
	for _, version := range nodesWithoutProxy {
		t.Run(version+" leaves alone what NO_PROXY excepts and what a program sets itself", func(t *testing.T) {
			t.Parallel()
			program := nodeAt(t, version)
			b := bed.New(t)
			b.Secret("API_KEY", `hosts = ["api.test"]`)
			b.Env = append(b.Env, "NODE_PATH="+bed.NodeModules(t, "undici7"))
			res := b.Run(program, "-e", nodeGet+`
  const loaded = process.moduleLoadList.filter(m => /undici|_http|NativeModule (net|tls|https?)$/.test(m))
  const server = require("http").createServer((q, r) => r.end("direct " + q.url)).listen(0, "127.0.0.1")
  await new Promise(r => server.on("listening", r))
  const url = host => "http://" + host + ":" + server.address().port + "/x"
  console.log("loaded before: " + loaded)
  for (const host of ["127.0.0.1", "localhost"]) {
    await told("fetch " + host, fetch(url(host)).then(r => r.text()))
    await told("http " + host, get("http", url(host)))
  }
  const { Agent } = require("https")
  class Own extends Agent { createConnection() { throw new Error("own agent asked") } }
  try { require("https").get("https://api.test/", { agent: new Own() }) } catch (e) { console.log("agent: " + e.message) }
  const { MockAgent, setGlobalDispatcher } = require("undici7")
  const mock = new MockAgent()
  mock.disableNetConnect()
  mock.get("https://api.test").intercept({ path: "/mocked" }).reply(200, "from the mock")
  setGlobalDispatcher(mock)
  await told("dispatcher", fetch("https://api.test/mocked").then(r => r.text()))
  server.close()
})()`)
			res.Succeeds(t)
			for _, want := range []string{
				"loaded before: \n", "fetch 127.0.0.1: direct /x\n", "http 127.0.0.1: 200 direct /x\n", "fetch localhost: direct /x\n", "http localhost: 200 direct /x\n",
				"agent: own agent asked\n", "dispatcher: from the mock\n",
			} {
				if !strings.Contains(string(res.Stdout), want) {
					t.Errorf("the output lacks %q:\n%s", want, res.Output())
				}
			}
			if lines := b.Audit(); len(lines) != 0 {
				t.Errorf("the proxy was asked: %+v", lines)
			}
		})
	}
}

// TestNodeWebSockets has those that know of no proxy, and those whose dispatcher is of another undici.
func TestNodeWebSockets(t *testing.T) {
	t.Parallel()
	const ws = `
const WebSocket = function (url, { headers }) {
  const ws = new (require("ws"))(url, { headers, agent: require("https").globalAgent })
  Object.defineProperty(ws, "extensions", { value: "" })
  return ws
}
`
	for _, tt := range []struct{ name, version, text string }{
		{"of Node without proxy support", "22.20", webSocketNodeItself},
		{"of the package undici 8 in a Node with undici 6", "22", `const { WebSocket } = require("undici");` + webSocketNodeItself},
		{"of the package ws", "20", strings.Replace(ws, `, agent: require("https").globalAgent`, "", 1) + webSocketNodeItself},
		{"of the package ws", "24", strings.Replace(ws, `, agent: require("https").globalAgent`, "", 1) + webSocketNodeItself},
		{"of the package ws, with the agent of all", "24", ws + webSocketNodeItself},
		{"of its own, with the proxy", "bun", `const Plain = WebSocket; WebSocket = function (url, o) { return new Plain(url, { ...o, proxy: process.env.HTTPS_PROXY }) };` + webSocketNodeItself},
	} {
		t.Run(tt.version+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			program := ""
			if tt.version == "bun" {
				program = bed.ModuleProgram(t, "@oven/bun-linux-*/bin/bun")
			} else {
				program = nodeAt(t, tt.version)
			}
			b := bed.New(t)
			value := b.Secret("API_KEY", `hosts = ["api.test"]`)
			b.Env = append(b.Env, "NODE_PATH="+bed.NodeModules(t, "undici", "ws"))
			res := b.Run(program, "-e", tt.text, "wss://api.test/ws?hello=1")
			res.Succeeds(t)
			if got := received(t, b, "/ws"); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer "+value {
				t.Error("the origin did not get the value")
			}
			if out := string(res.Stdout); !strings.Contains(out, "hello: Bearer kz_masked_") || !strings.Contains(out, "closed: 4001 done with it") {
				t.Errorf("it did not talk to its end:\n%s", res.Output())
			}
			b.Clean(res)
		})
	}
}

// TestNodeWithoutProxySupportInAContainer has only what the env file says, with the files where a container has them.
func TestNodeWithoutProxySupportInAContainer(t *testing.T) {
	t.Parallel()
	program := bed.NodeVersion(t, "20")
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	mounted := b.Path("home/mounted")
	if err := os.Symlink(b.Path("home/ca"), mounted); err != nil {
		t.Fatal(err)
	}
	p := b.StartProxy("--client-ca-dir", mounted)
	if got, want := p.Get("NODE_OPTIONS"), "--require "+mounted+"/node-proxy.cjs"; got != want {
		t.Errorf("NODE_OPTIONS=%s, want %s", got, want)
	}
	res := p.Client(program, "-e", nodeFetch)
	res.Succeeds(t)
	if got := received(t, b, "/echo"); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer "+value {
		t.Error("the origin did not get the value")
	}
	info, err := os.Stat(mounted + "/node-proxy.cjs")
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the file is for any user of a container: %v, %v", info, err)
	}
	text, err := os.ReadFile(mounted + "/node-proxy.cjs")
	u, ok := strings.CutPrefix(p.Get("HTTPS_PROXY"), "http://kz:")
	credential, _, _ := strings.Cut(u, "@")
	if err != nil || !ok || credential == "" || strings.Contains(string(text), credential) {
		t.Errorf("the file holds the credential, or there is none: %v", err)
	}
	end := p.Stop()
	end.Exits(t, 0)
	b.Clean(res, end)
}

// TestNodeWithUndici8 has the package undici in a Node whose own undici is older: what is between them must carry more than a head.
func TestNodeWithUndici8(t *testing.T) {
	t.Parallel()
	program := bed.NodeVersion(t, "22")
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.Env = append(b.Env, "NODE_PATH="+bed.NodeModules(t, "undici"))
	res := b.Run(program, "-e", nodeGet+`
  const { request, fetch: other, getGlobalDispatcher, interceptors } = require("undici")
  const sum = async body => { let n = 0; for await (const part of body) { n += part.length; await new Promise(setImmediate) } return n }
  await told("download", request("https://api.test/bytes?n=3000000").then(r => sum(r.body)))
  await told("upload", request("https://api.test/echo", { method: "POST", headers: bearer, body: require("stream").Readable.from(["a", "b"]) }).then(r => r.body.text()).then(t => t.includes("kz_masked_")))
  await told("own fetch", fetch("https://api.test/echo", { headers: bearer }).then(r => r.text()).then(t => t.includes("kz_masked_")))
  await told("other fetch", other("https://api.test/bytes?n=2000000").then(r => sum(r.body)))
  await told("head", request("https://api.test/status/404").then(r => r.statusCode + " " + typeof r.headers["content-length"]))
  await told("composed", request("https://api.test/bytes?n=7", { dispatcher: getGlobalDispatcher().compose(interceptors.retry()) }).then(r => sum(r.body)))
  const stop = new AbortController()
  await told("aborted", request("https://api.test/hang", { signal: stop.signal }).then(() => "?", e => e.name), setTimeout(() => stop.abort(), 100))
  await told("agent", get("https", "https://api.test/echo", { headers: bearer, agent: new (require("https").Agent)({ keepAlive: true }) }).then(t => t.includes("kz_masked_")))
})()`)
	res.Succeeds(t)
	for _, want := range []string{
		"download: 3000000\n", "upload: true\n", "own fetch: true\n", "other fetch: 2000000\n", "head: 404 ", "composed: 7\n", "aborted: AbortError\n", "agent: true\n",
	} {
		if !strings.Contains(string(res.Stdout), want) {
			t.Errorf("the output lacks %q:\n%s", want, res.Output())
		}
	}
	if strings.Contains(string(res.Stderr), "Warning") {
		t.Errorf("there is a warning of what the person has not chosen:\n%s", res.Stderr)
	}
	b.Clean(res)
}
