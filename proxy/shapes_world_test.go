package proxy_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
)

func utf16Text(s string, order binary.AppendByteOrder) string {
	b := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// pkt is one line of git's protocol.
func pkt(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

func message(flags byte, s string) string {
	return string(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(s)))) + s
}

// worldShapes are answers as servers of many kinds give them.
func worldShapes(t *testing.T) []shape {
	text := strings.Repeat("some words of text, \"quoted\" & <marked>\n", 40)
	page := "<!doctype html><title>Größe &amp; more</title>" + text
	long := strings.Repeat(`{"id": 12345, "name": "a name", "tags": ["one", "two"], "text": "größer, \u00e4 \/ \\ \n"},`+"\n", 120_000) // 11 MB
	big := noiseText(3 << 20)
	gz, br, zs := coded(t, "gzip", text), coded(t, "br", text), coded(t, "zstd", text)
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf("Set-Cookie: c%d=%d; Path=/; HttpOnly; SameSite=Lax; Expires=Wed, 21 Oct 2026 07:28:00 GMT", i, i))
	}
	skippable := "\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
	pack := pkt("NAK\n") + pkt("\x02Counting objects: 3, done.\r") + pkt("\x01PACK\x00\x00\x00\x02"+noiseText(60_000)) + "0000"
	parts := "--b1\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-4/100\r\n\r\nabcde\r\n--b1\r\nContent-Range: bytes 50-54/100\r\n\r\nfghij\r\n--b1--\r\n"
	events := "retry: 10\n\n: comment\n\nevent: delta\ndata: {\"text\":\"He\"}\n\ndata: {\"text\":\"llo\"}\n\ndata: [DONE]\n\n"
	decoded := []string{"Content-Encoding"}
	accept := []string{"Accept-Encoding: gzip, deflate, br, zstd"}
	all := []shape{
		{name: "a page", why: "nothing is added", head: []string{"Content-Type: text/html; charset=utf-8", "Date: Tue, 01 Dec 2026 10:00:00 GMT", "Server: nginx", "Cache-Control: max-age=60, private"}, body: page},
		{name: "a download", why: "ETag, length and Content-MD5 stay", head: []string{`ETag: "5d41402abc4b2a76b9719d911017c592"`, "Content-MD5: XUFAKrxLKna5cZ2REBfFkg==", "Last-Modified: Tue, 01 Dec 2026 10:00:00 GMT", "Accept-Ranges: bytes",
			"Content-Type: application/octet-stream", `Content-Disposition: attachment; filename="a b.tgz"; filename*=UTF-8''%e2%82%ac%20rates.tgz`, "X-Amz-Checksum-Crc32: AAAAAA==", "X-Goog-Hash: md5=XUFAKrxLKna5cZ2REBfFkg=="}, body: noiseText(70_000)},
		{name: "a long download", why: "length and ETag stay, Content-MD5 may not", head: []string{`ETag: "abc-3"`, "Content-Md5: XUFAKrxLKna5cZ2REBfFkg==", "Digest: sha-256=abc"}, body: big, gone: []string{"Content-Md5", "Digest"}},
		{name: "a weak ETag", why: "it stays weak", head: []string{`ETag: W/"0815"`, "Vary: Accept-Encoding, Origin"}, body: "{}"},
		{name: "an image", why: "binary", head: []string{"Content-Type: image/png"}, body: "\x89PNG\r\n\x1a\n" + noiseText(20_000)},
		{name: "a video in chunks", why: "binary without a length", head: []string{"Content-Type: video/mp4"}, body: big, frame: chunked},
		{name: "huge JSON", why: "its length stays", head: []string{"Content-Type: application/json"}, body: long},
		{name: "huge JSON in chunks", why: "no length", head: []string{"Content-Type: application/json"}, body: long, frame: chunked},
		{name: "huge JSON in gzip", why: "no length, for it is decoded", ask: accept, head: []string{"Content-Type: application/json", "Content-Encoding: gzip"}, body: coded(t, "gzip", long), plain: long, gone: decoded, length: -1},
		{name: "gzip", why: "the length is that of the text", ask: accept, head: []string{"Content-Encoding: gzip", `ETag: "e"`, "Vary: Accept-Encoding"}, body: gz, plain: text, gone: decoded},
		{name: "gzip, digests", why: "they were of the coding", ask: accept, head: []string{"Content-Encoding: gzip", "Content-Digest: sha-256=:a:", "Repr-Digest: sha-256=:a:"}, body: gz, plain: text, gone: []string{"Content-Encoding", "Content-Digest", "Repr-Digest"}},
		{name: "gzip in capitals", why: "codings have no case", ask: accept, head: []string{"Content-Encoding: GZip"}, body: gz, plain: text, gone: decoded, frame: chunked},
		{name: "x-gzip", why: "its old name", ask: accept, head: []string{"Content-Encoding: x-gzip"}, body: gz, plain: text, gone: decoded},
		{name: "gzip and zeros", why: "padding is no part of it", ask: accept, head: []string{"Content-Encoding: gzip"}, body: gz + strings.Repeat("\x00", 512), plain: text, gone: decoded},
		{name: "gzip and a line break", why: "as programs that print add it", ask: accept, head: []string{"Content-Encoding: gzip"}, body: gz + "\r\n", plain: text, gone: decoded, frame: chunked},
		{name: "gzip and other data", why: "what is behind a coding's end is no part of it", ask: accept, head: []string{"Content-Encoding: gzip"}, body: gz + noiseText(100_000), plain: text, gone: decoded, frame: chunked},
		{name: "gzip of several members", why: "all are one body", ask: accept, head: []string{"Content-Encoding: gzip"}, body: gz + coded(t, "gzip", "") + gz, plain: text + text, gone: decoded},
		{name: "gzip of several members and zeros", why: "in chunks", ask: accept, head: []string{"Content-Encoding: gzip"}, body: gz + gz + "\x00", plain: text + text, gone: decoded, frame: chunked},
		{name: "gzip that was not asked for", why: "decoded, too", head: []string{"Content-Encoding: gzip"}, body: gz, plain: text, gone: decoded, frame: closed},
		{name: "deflate", why: "as zlib, which is right", ask: accept, head: []string{"Content-Encoding: deflate"}, body: coded(t, "deflate", text), plain: text, gone: decoded},
		{name: "bare deflate", why: "as some servers send it", ask: accept, head: []string{"Content-Encoding: deflate"}, body: coded(t, "bare deflate", text), plain: text, gone: decoded},
		{name: "Brotli", why: "of a length", ask: accept, head: []string{"Content-Encoding: br"}, body: br, plain: text, gone: decoded},
		{name: "long Brotli", why: "in chunks", ask: accept, head: []string{"Content-Encoding: br"}, body: coded(t, "br", big), plain: big, gone: decoded, frame: chunked},
		{name: "zstd", why: "of a length", ask: accept, head: []string{"Content-Encoding: zstd"}, body: zs, plain: text, gone: decoded},
		{name: "zstd of several frames", why: "skippable ones between them", ask: accept, head: []string{"Content-Encoding: zstd"}, body: skippable + zs + skippable + zs, plain: text + text, gone: decoded, frame: chunked},
		{name: "zstd with a wide window", why: "8 MiB, the most that RFC 9659 allows", ask: accept, head: []string{"Content-Encoding: zstd"}, body: wideZstd(t, big+big+big), plain: big + big + big, gone: decoded, frame: chunked},
		{name: "gzip in Brotli", why: "two codings are undone", ask: accept, head: []string{"Content-Encoding: gzip, br"}, body: coded(t, "br", gz), plain: text, gone: decoded},
		{name: "two codings on two lines", why: "with identity between", ask: accept, head: []string{"Content-Encoding: gzip", "Content-Encoding: identity", "Content-Encoding: zstd"}, body: coded(t, "zstd", gz), plain: text, gone: decoded},
		{name: "a coding of nothing", why: "an empty body is whole", ask: accept, head: []string{"Content-Encoding: gzip"}, gone: nil},
		{name: "a coding of nothing in chunks", why: "an empty body is whole", ask: accept, head: []string{"Content-Encoding: br"}, gone: decoded, frame: chunked},
		{name: "identity", why: "it is no coding", head: []string{"Content-Encoding: identity"}, body: text},
		{name: "a coding that kz does not know", why: "asked for without a secret", head: []string{"Content-Encoding: compress"}, body: noiseText(999), free: true},
		{name: "a gzip file", why: "its type is no coding", head: []string{"Content-Type: application/gzip"}, body: gz},
		{name: "HEAD with a length", why: "the length stays", method: "HEAD", head: []string{"Content-Length: 123456", `ETag: "e"`, "Accept-Ranges: bytes"}, frame: none, length: 123456},
		{name: "HEAD of a coding", why: "the length would be another", method: "HEAD", ask: accept, head: []string{"Content-Encoding: gzip", "Content-Length: 123"}, frame: none, gone: []string{"Content-Encoding", "Content-Length"}},
		{name: "HEAD without a length", why: "none is made up", method: "HEAD", head: []string{"Content-Type: text/html"}, frame: none},
		{name: "304", why: "ETag and dates stay", ask: []string{`If-None-Match: "e"`}, status: 304, head: []string{`ETag: "e"`, "Cache-Control: max-age=5", "Expires: Tue, 01 Dec 2026 10:00:00 GMT"}, frame: none},
		{name: "304 of a coding", why: "what is stored was decoded", status: 304, head: []string{`ETag: "e"`, "Content-Encoding: gzip", "Vary: Accept-Encoding"}, frame: none, gone: []string{"Content-Encoding"}},
		{name: "204", why: "no length is made up", status: 204, head: []string{"X-Ratelimit-Remaining: 4999"}, frame: none},
		{name: "205", why: "an empty body", status: 205, head: []string{"X-A: b"}},
		{name: "an empty body", why: "its length is 0", status: 201, head: []string{"Location: /things/1"}},
		{name: "an empty body in chunks", why: "no length is made up", head: []string{"X-A: b"}, frame: chunked},
		{name: "an empty body until the end", why: "no length is made up", head: []string{"X-A: b"}, frame: closed},
		{name: "HTTP/1.0", why: "until the end of the connection", head: []string{"Content-Type: text/plain"}, body: text, frame: old, h1: true},
		{name: "HTTP/1.0 of much", why: "until the end of the connection", head: []string{"Content-Type: text/plain"}, body: big, frame: old, h1: true},
		{name: "kept connections", why: "what is of the connection ends there", head: []string{"Connection: keep-alive", "Keep-Alive: timeout=5, max=100", `Alt-Svc: h3=":443"`}, body: "ok"},
		{name: "mixed parts", why: "binary inside", head: []string{`Content-Type: multipart/mixed; boundary="a-b_c"`}, body: "--a-b_c\r\nContent-Type: application/http\r\nContent-ID: <r1>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\r\n--a-b_c\r\n\r\n" + noiseText(5000) + "\r\n--a-b_c--\r\n"},
		{name: "byte ranges as a whole", why: "a stored answer of that type", head: []string{"Content-Type: multipart/byteranges; boundary=b1"}, body: parts},
		{name: "events", why: "no byte of them changes", ask: []string{"Accept: text/event-stream"}, head: []string{"Content-Type: text/event-stream", "Cache-Control: no-cache", "X-Accel-Buffering: no"}, body: events, frame: chunked},
		{name: "events in gzip", why: "no byte of them changes", ask: accept, head: []string{"Content-Type: text/event-stream", "Content-Encoding: gzip"}, body: coded(t, "gzip", events), plain: events, gone: decoded, frame: chunked},
		{name: "events with CR LF", why: "and without a last break", head: []string{"Content-Type: text/event-stream"}, body: strings.ReplaceAll(events, "\n", "\r\n") + "data: last", frame: chunked},
		{name: "NDJSON", why: "no last break", head: []string{"Content-Type: application/x-ndjson"}, body: "{\"a\":1}\n{\"b\":2}\n{\"c\":\"" + strings.Repeat("x", 5000) + "\"}", frame: chunked},
		{name: "trailers", why: "declared ones", head: []string{"Trailer: X-Checksum, Server-Timing", "Content-Type: text/plain"}, body: text, frame: chunked, tail: []string{"X-Checksum: 0a1b", "Server-Timing: db;dur=53.2"}},
		{name: "trailers that were not declared", why: "after a long body", head: []string{"Content-Type: text/plain"}, body: big, frame: chunked, tail: []string{"X-Late: yes"}},
		{name: "UTF-16", why: "little-endian", head: []string{"Content-Type: text/plain; charset=utf-16"}, body: utf16Text(text+"Größe 𝄞", binary.LittleEndian)},
		{name: "UTF-16, the other order", why: "big-endian", head: []string{"Content-Type: text/plain; charset=utf-16be"}, body: utf16Text(text+"Größe 𝄞", binary.BigEndian), frame: chunked},
		{name: "invalid UTF-8", why: "not mended", head: []string{"Content-Type: text/plain; charset=utf-8"}, body: "a\xff\xfe\xc3(\xe2\x82\xf0\x9f\x92\x00\xed\xa0\x80" + text},
		{name: "Latin-1", why: "in a header, too", head: []string{"Content-Type: text/plain; charset=iso-8859-1", "X-Place: M\xfcnchen"}, body: "M\xfcnchen"},
		{name: "a redirect", why: "Location is not resolved", status: 302, head: []string{"Location: ../other?a=b%20c#d", "Set-Cookie: a=b; Path=/"}, body: "<a href=\"../other\">"},
		{name: "a redirect elsewhere", why: "nor followed", status: 307, head: []string{"Location: https://other.example/x?sig=a%2Bb%3D&x=1"}},
		{name: "many cookies", why: "each on its line, in order", head: many, body: "ok"},
		{name: "long headers", why: "60 KiB of one, and links", head: []string{"X-Long: " + strings.Repeat("abcdefgh ", 7000) + "end", `Link: <https://api.test/x?page=2>; rel="next", <https://api.test/x?page=9>; rel="last"`, "Content-Security-Policy: default-src 'self'; script-src 'nonce-abc=' https://*.x.test"}, body: "ok"},
		{name: "odd headers", why: "in any case, empty, twice, with odd names", head: []string{"x-lower: 1", "X-UPPER-case: 2", "X-Empty: ", "X-Twice: a", "x-twice: b, c", "X_Under.score!: 3", `X-Quotes: "a\"b"; c='d', {"json": [1]}`, "1st: x"}, body: "ok"},
		{name: "401", why: "challenges in order", status: 401, head: []string{`WWW-Authenticate: Bearer realm="https://auth.test/token",service="r",scope="repository:a/b:pull"`, `WWW-Authenticate: Basic realm="x, y"`}, body: `{"errors":[]}`},
		{name: "429", why: "when to come again", status: 429, head: []string{"Retry-After: 3", "X-Ratelimit-Reset: 1765000000"}, body: "slow down"},
		{name: "an error without a type", why: "none is guessed", status: 500, body: "<html>oops"},
		{name: "a status of its own", why: "it stays", status: 299, head: []string{"X-A: b"}, body: "x"},
		{name: "early hints", why: "two of them, and the answer", hints: []string{"Link: </a.css>; rel=preload; as=style", "Link: </b.js>; rel=preload"}, head: []string{"Content-Type: text/html"}, body: page},
		{name: "100 and 102", why: "the answer behind them", before: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n", body: "done", h1: true},
		{name: "git's references", why: "pkt-lines", head: []string{"Content-Type: application/x-git-upload-pack-advertisement", "Cache-Control: no-cache"}, body: pkt("# service=git-upload-pack\n") + "0000" + pkt(strings.Repeat("a", 40)+" HEAD\x00multi_ack side-band-64k\n") + "0000"},
		{name: "git's pack", why: "binary in pkt-lines", method: "POST", ask: []string{"Content-Type: application/x-git-upload-pack-request"}, head: []string{"Content-Type: application/x-git-upload-pack-result"}, body: pack, frame: chunked},
		{name: "a registry's blob", why: "Docker-Content-Digest stays", head: []string{"Content-Type: application/octet-stream", "Docker-Content-Digest: sha256:" + strings.Repeat("ab", 32), `Etag: "sha256:` + strings.Repeat("ab", 32) + `"`, "Docker-Distribution-Api-Version: registry/2.0"}, body: coded(t, "gzip", noiseText(200_000))},
		{name: "a registry's manifest by HEAD", why: "digest and length stay", method: "HEAD", head: []string{"Content-Type: application/vnd.oci.image.index.v1+json", "Docker-Content-Digest: sha256:" + strings.Repeat("cd", 32), "Content-Length: 2372"}, frame: none, length: 2372},
		{name: "gRPC-Web", why: "messages and their trailers in the body", method: "POST", ask: []string{"Content-Type: application/grpc-web+proto", "X-Grpc-Web: 1"}, head: []string{"Content-Type: application/grpc-web+proto"}, body: message(0, noiseText(300)) + message(0, "") + message(0x80, "grpc-status:0\r\ngrpc-message:\r\n"), frame: chunked},
		{name: "gRPC-Web of a length", why: "the length stays", method: "POST", ask: []string{"Content-Type: application/grpc-web+proto"}, head: []string{"Content-Type: application/grpc-web+proto"}, body: message(0, noiseText(300)) + message(0x80, "grpc-status:0\r\n")},
		{name: "gRPC-Web as text", why: "base64 is not touched", method: "POST", ask: []string{"Content-Type: application/grpc-web-text"}, head: []string{"Content-Type: application/grpc-web-text+proto"}, body: "AAAAAAUKA2FiYw==gAAAAA9ncnBjLXN0YXR1czowDQo=", frame: chunked},
		{name: "Protobuf", why: "the length stays", method: "POST", ask: []string{"Content-Type: application/proto"}, head: []string{"Content-Type: application/proto"}, body: "\x0a\x03abc" + noiseText(100)},
		{name: "what looks like a mask", why: "another session's", body: `{"key":"kz_masked_0123456789abcdef0123456789abcdef"}`},
		{name: "what begins like a value", why: "and is none", body: keyValue[:len(keyValue)-1] + " " + keyValue[:9], frame: chunked},
	}
	return all
}

// wideZstd is s in zstd, with the widest window.
func wideZstd(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}
