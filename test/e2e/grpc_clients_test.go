package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kz/test/bed"
	"kz/test/grpcorigin"
)

// grpcBed has api.test be a gRPC server, and other.test one of gRPC-Web and Connect.
func grpcBed(t *testing.T) (*bed.Bed, *grpcorigin.Origin, string) {
	t.Helper()
	b := bed.New(t)
	o, err := grpcorigin.Start(b.Origin.TLS("h2"), b.Origin.TLS("h2", "http/1.1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	b.Pin("api.test:443", o.GRPC)
	b.Pin("other.test:443", o.Web)
	return b, o, b.Secret("API_KEY", `hosts = ["api.test", "other.test"]`)
}

const grpcPython = `
import os, sys, grpc
def calls(channel, key):
    same = lambda m: m
    md = (("authorization", "Bearer " + key),)
    def method(kind, name):
        return getattr(channel, kind)("/kz.test.Echo/" + name, request_serializer=same, response_deserializer=same)
    got, call = method("unary_unary", "Unary").with_call(b"hello ", metadata=md, timeout=60)
    header, trailer = dict(call.initial_metadata()), dict(call.trailing_metadata())
    print("unary:", got.decode())
    print("header:", header["x-header"])
    print("header-bin:", header["x-header-bin"].hex())
    print("trailer:", trailer["x-trailer"])
    print("trailer-bin:", trailer["x-trailer-bin"].hex())
    try:
        method("unary_unary", "Unary")(b"fail 10", metadata=md, timeout=60)
    except grpc.RpcError as e:
        print("status:", e.code().value[0], e.details())
    print("client stream:", method("stream_unary", "Collect")((str(i).encode() * (i * 1000) for i in range(5)), metadata=md, timeout=60).decode())
    for m in method("unary_stream", "Count")(b"5", metadata=md, timeout=60):
        n, text = m.decode().split(" ", 1)
        print("server stream %s: %s" % (n, text))
    import queue
    say = queue.Queue()
    heard = method("stream_stream", "Talk")(iter(say.get, None), metadata=md, timeout=60)
    for i in range(20):
        m = b"ping %d" % i
        say.put(m)
        if next(heard) != m:
            sys.exit("another message came back")
    say.put(None)
    if list(heard):
        sys.exit("more came than was said")
    print("both: 20")
with grpc.secure_channel("api.test:443", grpc.ssl_channel_credentials()) as channel:
    calls(channel, os.environ["API_KEY"])`

const grpcNode = `
const grpc = require("@grpc/grpc-js")
const same = b => b
const client = new grpc.Client("api.test:443", grpc.credentials.createSsl())
const md = new grpc.Metadata()
md.set("authorization", "Bearer " + process.env.API_KEY)
const options = () => ({ deadline: Date.now() + 60000 })
const path = name => "/kz.test.Echo/" + name
const unary = (text, seen = {}) => new Promise((ok, fail) => {
  const call = client.makeUnaryRequest(path("Unary"), same, same, Buffer.from(text), md, options(), (e, m) => { if (e) fail(e); else seen.message = m })
  call.on("metadata", m => { seen.header = m })
  call.on("status", s => { if (s.code === 0) { seen.trailer = s.metadata; setImmediate(() => ok(seen)) } })
})
;(async () => {
  const u = await unary("hello ")
  console.log("unary: " + u.message)
  console.log("header: " + u.header.get("x-header")[0])
  console.log("header-bin: " + u.header.get("x-header-bin")[0].toString("hex"))
  console.log("trailer: " + u.trailer.get("x-trailer")[0])
  console.log("trailer-bin: " + u.trailer.get("x-trailer-bin")[0].toString("hex"))
  await unary("fail 10").catch(e => console.log("status: " + e.code + " " + e.details))
  console.log("client stream: " + await new Promise((ok, fail) => {
    const call = client.makeClientStreamRequest(path("Collect"), same, same, md, options(), (e, m) => e ? fail(e) : ok(m))
    for (let i = 0; i < 5; i++) call.write(Buffer.from(String(i).repeat(i * 1000)))
    call.end()
  }))
  for await (const m of client.makeServerStreamRequest(path("Count"), same, same, Buffer.from("5"), md, options()))
    console.log("server stream " + m.toString().replace(" ", ": "))
  const talk = client.makeBidiStreamRequest(path("Talk"), same, same, md, options())
  const heard = talk[Symbol.asyncIterator]()
  for (let i = 0; i < 20; i++) {
    talk.write(Buffer.from("ping " + i))
    const m = await heard.next()
    if (m.done || m.value.toString() !== "ping " + i) throw new Error("another message came back: " + m.value)
  }
  talk.end()
  if (!(await heard.next()).done) throw new Error("more came than was said")
  console.log("both: 20")
  client.close()
})().catch(e => { console.error(e); process.exit(1) })`

// TestGRPCClients has clients of three families make calls of each kind, from nothing but the environment.
func TestGRPCClients(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		agent string
		argv  func(t *testing.T, b *bed.Bed) []string
	}{
		{"grpc-go", "grpc-go/", func(t *testing.T, _ *bed.Bed) []string { return []string{bed.Self(t), "@grpc"} }},
		{"Python's grpcio", "grpc-python/", func(t *testing.T, _ *bed.Bed) []string { return []string{bed.Python(t, "grpc"), "-c", grpcPython} }},
		{"Node's grpc-js", "grpc-node-js/", func(t *testing.T, b *bed.Bed) []string {
			b.Env = append(b.Env, "NODE_PATH="+bed.NodeModules(t, "@grpc/grpc-js"))
			return []string{bed.Node(t), "-e", grpcNode}
		}},
	} {
		t.Run(c.name+" calls with the value and sees the mask", func(t *testing.T) {
			t.Parallel()
			b, o, value := grpcBed(t)
			res := b.Run(c.argv(t, b)...)
			res.Succeeds(t)
			b.Clean(res)
			checkGRPCOutput(t, string(res.Stdout), value)

			ended(t, o, 5)
			var collected string
			for i := range 5 {
				collected += strings.Repeat(fmt.Sprint(i), i*1000)
			}
			peers := map[string]bool{}
			for _, call := range o.Calls() {
				if got := call.Metadata.Get("authorization"); len(got) != 1 || got[0] != "Bearer "+value {
					t.Errorf("%s came without the value", call.Method)
				}
				if got := call.Metadata.Get("user-agent"); len(got) != 1 || !strings.Contains(got[0], c.agent) {
					t.Errorf("%s came from %q", call.Method, got)
				}
				if !call.Deadline {
					t.Errorf("%s came without its deadline", call.Method)
				}
				if strings.HasSuffix(call.Method, "Collect") && call.Sum != sum(collected) {
					t.Errorf("%s brought other bytes: %d messages, %d bytes", call.Method, call.Messages, call.Bytes)
				}
				peers[call.Peer] = true
			}
			if len(peers) != 1 {
				t.Errorf("the calls came by %d connections", len(peers))
			}
			swapped := 0
			for _, line := range b.Audit() {
				if line.Kind == "request" && len(line.Swapped) == 1 && line.Status == 200 {
					swapped++
				}
			}
			if swapped != 5 {
				t.Errorf("the audit has %d of 5 calls: %+v", swapped, b.Audit())
			}
		})
	}
}

// ended waits until n calls have come and ended.
func ended(t *testing.T, o *grpcorigin.Origin, n int) []grpcorigin.Call {
	t.Helper()
	var calls []grpcorigin.Call
	bed.Eventually(t, fmt.Sprint(n, " calls have ended"), func() bool {
		calls = o.Calls()
		return len(calls) == n && !slices.ContainsFunc(calls, func(c grpcorigin.Call) bool { return !c.Done })
	})
	return calls
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// checkGRPCOutput holds what each client must have printed: where metadata had the value there is its mask, and where bytes
// are counted, as much of it as there were bytes of the value.
func checkGRPCOutput(t *testing.T, out, value string) {
	t.Helper()
	token := mask.FindString(field(out, "header"))
	if token == "" {
		t.Fatalf("no mask in the header:\n%s", out)
	}
	filler := (token + strings.Repeat("_", max(0, len(value)-len(token))))[:len(value)]
	collected := ""
	for i := range 5 {
		collected += strings.Repeat(fmt.Sprint(i), i*1000)
	}
	want := map[string]string{
		"unary": "hello " + filler, "header": "is " + token, "trailer": "is " + token, "both": "20",
		"header-bin": hex.EncodeToString([]byte("\x00\xfe" + filler)), "trailer-bin": hex.EncodeToString([]byte("\x00" + filler + "\xff")),
		"status": "10 not for " + token + ", 100%", "client stream": "5 messages, 10000 bytes, " + sum(collected),
	}
	for i := range 5 {
		want[fmt.Sprint("server stream ", i)] = filler
	}
	for name, text := range want {
		if got := field(out, name); got != text {
			t.Errorf("%s: %q, want %q", name, got, text)
		}
	}
}
