package e2e_test

import (
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/origin"
)

// nodeAt is a version of Node.js that test/run installs.
func nodeAt(t *testing.T, version string) string {
	t.Helper()
	if version == "24" {
		return bed.Node(t)
	}
	return bed.NodeVersion(t, version)
}

// node is a row for one version of Node.js: the modules are at NODE_PATH.
func node(version, client, text string, modules ...string) row {
	return row{
		client:  "Node " + version + ": " + client,
		version: func(t *testing.T) []string { return []string{nodeAt(t, version), "--version"} },
		call: func(t *testing.T, c *attempt) []string {
			if len(modules) > 0 {
				c.Env = append(c.Env, "NODE_PATH="+bed.NodeModules(t, modules...))
			}
			return []string{nodeAt(t, version), "-e", text}
		},
	}
}

// sdk is a row for a vendor's SDK, which finds its key and its API by itself. answers are what the API says, by path: the
// row's own streams the value, which the program prints.
func sdk(r row, host, path, secret string, answers map[string]string) row {
	r.hosts, r.path, r.secret, r.lines = []string{host}, path, secret, []string{} // a known service has the rest
	call := r.call
	r.call = func(t *testing.T, c *attempt) []string {
		for path, body := range answers {
			f := origin.File{Type: "application/json", Body: []byte(strings.ReplaceAll(body, "VALUE", c.value))}
			if !strings.HasPrefix(body, "{") {
				f.Type = "text/event-stream"
			}
			c.Origin.SetFile(path, f)
		}
		return call(t, c)
	}
	return r
}

const (
	nodeHTTPS = `
require("https").get("https://api.test/echo", {AGENT headers: {Authorization: "Bearer " + process.env.API_KEY}}, r => {
  r.pipe(process.stdout)
  r.on("end", () => process.exit(0))
}).on("error", e => { console.error(e); process.exit(1) })`
	nodeUndici = `
require("MODULE").request("https://api.test/echo", {headers: {Authorization: "Bearer " + process.env.API_KEY}})
  .then(r => r.body.text()).then(console.log).catch(e => { console.error(e); process.exit(1) })`
	nodeAxios = `
require("axios").get("https://api.test/echo", {headers: {Authorization: "Bearer " + process.env.API_KEY}})
  .then(r => console.log(r.data)).catch(e => { console.error(e); process.exit(1) })`
	nodeFetchModule = `
require("node-fetch")("https://api.test/echo", {headers: {Authorization: "Bearer " + process.env.API_KEY}})
  .then(r => r.text()).then(console.log).catch(e => { console.error(e); process.exit(1) })`
	nodeGot = `
require("got").default("https://api.test/echo", {headers: {Authorization: "Bearer " + process.env.API_KEY}})
  .text().then(console.log).catch(e => { console.error(e); process.exit(1) })`
	nodeKy = `
require("ky").default("https://api.test/echo", {headers: {Authorization: "Bearer " + process.env.API_KEY}})
  .text().then(console.log).catch(e => { console.error(e); process.exit(1) })`
	nodeSuperagent = `
require("superagent").get("https://api.test/echo").set("Authorization", "Bearer " + process.env.API_KEY).buffer(true).parse((r, done) => {
  r.setEncoding("utf8").on("data", d => console.log(d)).on("end", done)
}).catch(e => { console.error(e); process.exit(1) })`
	nodeHTTP2 = `
const session = require("http2").connect("https://api.test").on("error", e => { console.error(e); process.exit(1) })
const stream = session.request({":path": "/echo", authorization: "Bearer " + process.env.API_KEY})
stream.on("data", d => console.log(String(d))).on("end", () => session.close())`
	nodeDispatcher = `
const { request, Agent } = require("MODULE")
request("https://api.test/echo", {dispatcher: new Agent(), headers: {Authorization: "Bearer " + process.env.API_KEY}})
  .then(r => r.body.text()).then(console.log).catch(e => { console.error(e); process.exit(1) })`
	nodeWS = `
const ws = new (require("ws"))("wss://api.test/ws?hello=1", {headers: {Authorization: "Bearer " + process.env.API_KEY}})
ws.on("error", e => { console.error(e); process.exit(1) }).on("message", m => { console.log(String(m)); ws.close() })`
	nodeEventSource = `
const { EventSource } = require("eventsource")
const withKey = (url, init) => fetch(url, { ...init, headers: { ...init.headers, Authorization: "Bearer " + process.env.API_KEY } })
const events = new EventSource("https://api.test/events", { fetch: withKey })
events.onerror = e => { console.error(e); process.exit(1) }
events.onmessage = e => { console.log(e.data); process.exit(0) }`

	nodeOpenAI = `
const { OpenAI } = require("MODULE")
async function main() {
  const client = new OpenAI({ maxRetries: 0 })
  for await (const m of client.models.list()) console.log("model " + m.id)
  const stream = await client.chat.completions.create({ model: "m1", stream: true, messages: [{ role: "user", content: "hello" }] })
  for await (const part of stream) console.log("part " + part.choices[0].delta.content)
}
main().catch(e => { console.error(e); process.exit(1) })`
	nodeAnthropic = `
const { Anthropic } = require("@anthropic-ai/sdk")
async function main() {
  const client = new Anthropic({ maxRetries: 0 })
  for await (const m of client.models.list()) console.log("model " + m.id)
  const stream = client.messages.stream({ model: "m1", max_tokens: 9, messages: [{ role: "user", content: "hello" }] })
  for await (const event of stream) if (event.type === "content_block_delta") console.log("part " + event.delta.text)
}
main().catch(e => { console.error(e); process.exit(1) })`
)

var openAIAnswers = map[string]string{
	"/v1/models": `{"object":"list","data":[{"id":"m1","object":"model","created":1,"owned_by":"x"}]}`,
	"/v1/chat/completions": `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m1","choices":[{"index":0,"delta":{"role":"assistant","content":"your key is VALUE"},"finish_reason":null}]}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: [DONE]

`,
}

var anthropicAnswers = map[string]string{
	"/v1/models": `{"data":[{"type":"model","id":"m1","display_name":"M","created_at":"2025-01-01T00:00:00Z"}],"has_more":false,"first_id":"m1","last_id":"m1"}`,
	"/v1/messages": `event: message_start
data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m1","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"your key is VALUE"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1}}

event: message_stop
data: {"type":"message_stop"}

`,
}

// nodeRows are the clients in JavaScript.
func nodeRows() []row {
	https := strings.Replace(nodeHTTPS, "AGENT", "", 1)
	openAI := func(version, module string) row {
		r := node(version, "openai", strings.Replace(nodeOpenAI, "MODULE", module, 1), module)
		return sdk(r, "api.openai.com", "/v1/chat/completions", "OPENAI_API_KEY", openAIAnswers)
	}
	anthropic := func(version string) row {
		r := node(version, "@anthropic-ai/sdk", nodeAnthropic, "@anthropic-ai/sdk")
		return sdk(r, "api.anthropic.com", "/v1/messages", "ANTHROPIC_API_KEY", anthropicAnswers)
	}
	undici := func(version, module, name string) row {
		return node(version, name, strings.Replace(nodeUndici, "MODULE", module, 1), module)
	}
	dispatcher := func(version, module string) row {
		return node(version, "undici, its own dispatcher", strings.Replace(nodeDispatcher, "MODULE", module, 1), module)
	}
	ws := func(version string) row {
		r := node(version, "ws", nodeWS, "ws")
		r.path = "/ws"
		return r
	}
	events := node("24", "eventsource", nodeEventSource, "eventsource")
	call := events.call
	events.path, events.call = "/events", func(t *testing.T, c *attempt) []string {
		c.Origin.SetFile(events.path, origin.File{Type: "text/event-stream", Body: []byte("data: your key is " + c.value + "\n\n")})
		return call(t, c)
	}
	keepAlive := strings.Replace(nodeHTTPS, "AGENT", `agent: new (require("https").Agent)({keepAlive: true}),`, 1)
	return []row{
		node("20", "fetch", nodeFetch), node("22.20", "fetch", nodeFetch), node("22", "fetch", nodeFetch), node("24", "fetch", nodeFetch),
		node("20", "https", https), node("22.20", "https", https), node("22", "https", https), node("24", "https", https),
		node("20", "https, an agent of its own", keepAlive),
		node("24", "https, an agent of its own", keepAlive),
		node("20", "axios", nodeAxios, "axios"), node("22", "axios", nodeAxios, "axios"), node("24", "axios", nodeAxios, "axios"),
		node("20", "node-fetch", nodeFetchModule, "node-fetch"), node("24", "node-fetch", nodeFetchModule, "node-fetch"),
		undici("20", "undici7", "undici 7"), undici("22", "undici", "undici 8"), undici("24", "undici", "undici 8"),
		dispatcher("20", "undici7"), dispatcher("22", "undici"), dispatcher("24", "undici"),
		node("20", "http2", nodeHTTP2), node("22", "http2", nodeHTTP2), node("24", "http2", nodeHTTP2),
		node("22", "got", nodeGot, "got"), node("24", "got", nodeGot, "got"),
		node("22", "ky", nodeKy, "ky"), node("24", "ky", nodeKy, "ky"),
		node("20", "superagent", nodeSuperagent, "superagent"), node("24", "superagent", nodeSuperagent, "superagent"),
		events, ws("20"), ws("24"),
		openAI("20", "openai6"), openAI("22", "openai"), openAI("24", "openai"),
		anthropic("20"), anthropic("22"), anthropic("24"),
		bun(nodeFetch), deno(nodeFetch),
	}
}

func bun(text string) row {
	program := func(t *testing.T) string { return bed.ModuleProgram(t, "@oven/bun-linux-*/bin/bun") }
	return row{
		client: "bun: fetch", version: func(t *testing.T) []string { return []string{program(t), "--version"} },
		call: func(t *testing.T, _ *attempt) []string { return []string{program(t), "-e", text} },
	}
}

func deno(text string) row {
	program := func(t *testing.T) string { return bed.ModuleProgram(t, "@deno/linux-*-glibc/deno") }
	return row{
		client: "deno: fetch", version: func(t *testing.T) []string { return []string{program(t), "--version"} },
		call: func(t *testing.T, _ *attempt) []string { return []string{program(t), "eval", text} },
	}
}
