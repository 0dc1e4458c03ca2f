package e2e_test

import (
	"strings"

	"golang.org/x/net/http2"
)

// h2Case is one thing that a client says over h2; see hostile.
type h2Case struct {
	name string
	send func(w *frames)
	sent []string
	// cut says that the request may have begun to be sent on, and ends there; leaves, that the client does not wait for more.
	cut, leaves bool
	odd         bool
	junk        bool   // what stands behind the head is of no stream, which ends the connection
	unknown     string // the server that does not know such requests
}

// header is a GET with these fields behind its own.
func header(pairs ...string) func(w *frames) {
	return func(w *frames) { w.request(true, "GET", pairs...) }
}

// only is a head of these fields.
func only(pairs ...string) func(w *frames) {
	return func(w *frames) { w.head(true, pairs...) }
}

// path is a GET of it.
func path(p string) func(w *frames) { return only(good("GET", p)...) }

// bodied is a POST with these fields and this body.
func bodied(body string, pairs ...string) func(w *frames) {
	return func(w *frames) { w.data(w.request(false, "POST", pairs...), true, body) }
}

// trailed is a POST with trailers.
func trailed(end bool, pairs ...string) func(w *frames) {
	return func(w *frames) {
		id := w.request(false, "POST", "trailer", "x-sum")
		w.data(id, false, "abc")
		_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.fields(pairs...), EndStream: end, EndHeaders: true})
	}
}

// split is a GET whose head is in several frames; between stands before the last.
func split(between func(w *frames)) func(w *frames) {
	return func(w *frames) {
		block := w.fields(good("GET", "ID/a")...)
		w.next += 2
		_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:3], EndStream: true})
		_ = w.WriteContinuation(1, false, nil)
		_ = w.WriteContinuation(1, false, block[3:20])
		between(w)
		_ = w.WriteContinuation(1, true, block[20:])
	}
}

var h2Cases = []h2Case{
	{name: "a length that is right", send: bodied("abc", "content-length", "3"), sent: one("POST a abc")},
	{name: "no length", send: bodied("abc"), sent: one("POST a abc")},
	{name: "another request inside a body", send: bodied("SMUGGLED"), sent: one("POST a SMUGGLED")},
	{name: "a length that is shorter than the data", send: bodied("abcSMUGGLED", "content-length", "3"), cut: true},
	{name: "a length that is longer than the data", send: bodied("abc", "content-length", "30"), cut: true},
	{name: "a length, and no data", send: header("content-length", "30")},
	{name: "a length of nought, and no data", send: header("content-length", "0"), sent: one("GET a")},
	{name: "two lengths that are equal", send: bodied("abc", "content-length", "3", "content-length", "3")},
	{name: "two lengths that differ", send: bodied("abc", "content-length", "3", "content-length", "0")},
	{name: "a list of lengths", send: bodied("abc", "content-length", "3, 3")},
	{name: "a length with a plus", send: bodied("abc", "content-length", "+3")},
	{name: "a length with a minus", send: bodied("abc", "content-length", "-3")},
	{name: "a length in base 16", send: bodied("abc", "content-length", "0x3")},
	{name: "a length with a space", send: bodied("abc", "content-length", " 3")},
	{name: "an empty length", send: bodied("abc", "content-length", "")},
	{name: "a length of two to the 64th and three", send: bodied("abc", "content-length", "18446744073709551619")},
	{name: "transfer-encoding", send: bodied("0\r\n\r\nSMUGGLED", "transfer-encoding", "chunked")},
	{name: "transfer-encoding in a value", send: bodied("0\r\n\r\nSMUGGLED", "x-a", "b\r\ntransfer-encoding: chunked"), junk: true},
	{name: "transfer-encoding in a name", send: bodied("0\r\n\r\nSMUGGLED", "x-a: b\r\ntransfer-encoding", "chunked"), junk: true},
	{name: "transfer_encoding", send: bodied("abc", "transfer_encoding", "chunked"), sent: one("POST a abc")},
	{name: "te of trailers", send: header("te", "trailers"), sent: one("GET a")},
	{name: "te of something else", send: header("te", "chunked")},
	{name: "te of trailers and more", send: header("te", "trailers, chunked")},
	{name: "connection", send: header("connection", "close")},
	{name: "connection of another header", send: header("connection", "authorization")},
	{name: "keep-alive", send: header("keep-alive", "timeout=1")},
	{name: "proxy-connection", send: header("proxy-connection", "keep-alive")},
	{name: "upgrade", send: header("upgrade", "h2c")},
	{name: "a name in upper case", send: header("X-A", "b")},
	{name: "a name with a space", send: header("x a", "b")},
	{name: "a name with a colon", send: header("x-a:", "b")},
	{name: "a name with a line end", send: header("x-a\r\n", "b")},
	{name: "an empty name", send: header("", "b")},
	{name: "a request in a value", send: header("x-a", "b\r\n\r\nSMUGGLED")},
	{name: "a bare LF in a value", send: header("x-a", "b\nc: d")},
	{name: "a bare CR in a value", send: header("x-a", "b\rc: d")},
	{name: "NUL in a value", send: header("x-a", "b\x00c")},
	{name: "a space before a value", send: header("x-a", " b"), sent: one("GET a")},
	{name: "a path with a space", send: path("ID/a HTTP/1.1")},
	{name: "a path with a request", send: path("ID/a HTTP/1.1\r\nHost: HOST\r\n\r\nSMUGGLED")},
	{name: "a path with a bare LF", send: path("ID/a\nb")},
	{name: "a path with a tab", send: path("ID/a\tb")},
	{name: "a path with NUL", send: path("ID/a\x00b")},
	{name: "a path with a fragment", send: path("ID/a#b")},
	{name: "a path without a slash", send: path("xID/a")},
	{name: "an absolute path of another host", send: path("https://evil.testID/a")},
	{name: "a path of all", send: path("*")},
	{name: "OPTIONS of all", send: only(good("OPTIONS", "*")...), sent: one("OPTIONS *"), odd: true},
	{name: "an empty path", send: path("")},
	{name: "no path", send: only(without(good("GET", "ID/a"), ":path")...)},
	{name: "two paths", send: only(without(good("GET", "ID/a"), ":path", ":path", "ID/a", ":path", "ID/b")...)},
	{name: "no method", send: only(without(good("GET", "ID/a"), ":method")...)},
	{name: "two methods", send: only(without(good("GET", "ID/a"), ":method", ":method", "GET", ":method", "POST")...)},
	{name: "a method that is a request line", send: only(good("GET ID/smuggled HTTP/1.1\r\nHost: HOST\r\n\r\nGET", "ID/a")...)},
	{name: "a method with a space", send: only(good("GET ID/smuggled", "ID/a")...)},
	{name: "a method in lower case", send: only(good("get", "ID/a")...), sent: one("get a"), odd: true},
	{name: "TRACE", send: only(good("TRACE", "ID/a")...)},
	{name: "TRACK", send: only(good("TRACK", "ID/a")...)},
	{name: "CONNECT with a path", send: only(good("CONNECT", "ID/a")...)},
	{name: "CONNECT", send: only(":method", "CONNECT", ":authority", "HOST:443", "authorization", "Bearer MASK")},
	{name: "CONNECT to websocket", send: only(append([]string{":protocol", "websocket"}, good("CONNECT", "ID/a")...)...)},
	{name: "no scheme", send: only(without(good("GET", "ID/a"), ":scheme")...)},
	{name: "the scheme http", send: only(without(good("GET", "ID/a"), ":scheme", ":scheme", "http")...), sent: one("GET a")},
	{name: "a scheme with a request", send: only(without(good("GET", "ID/a"), ":scheme", ":scheme", "https://HOSTID/smuggled HTTP/1.1\r\n\r\n")...)},
	{name: "no authority, and a host", send: only(without(good("GET", "ID/a"), ":authority", "host", "HOST")...), cut: true},
	{name: "no authority", send: only(without(good("GET", "ID/a"), ":authority")...)},
	{name: "another authority", send: only(without(good("GET", "ID/a"), ":authority", ":authority", "evil.test")...)},
	{name: "two authorities", send: only(without(good("GET", "ID/a"), ":authority", ":authority", "HOST", ":authority", "HOST")...)},
	{name: "an authority with a user", send: only(without(good("GET", "ID/a"), ":authority", ":authority", "evil.test@HOST")...)},
	{name: "an authority with a path", send: only(without(good("GET", "ID/a"), ":authority", ":authority", "HOST/x")...)},
	{name: "a host beside the authority", send: header("host", "HOST"), sent: one("GET a")},
	{name: "another host beside the authority", send: header("host", "evil.test")},
	{name: "a pseudo header behind others", send: only(append(without(good("GET", "ID/a"), ":path"), ":path", "ID/a")...)},
	{name: "a pseudo header that none knows", send: header(":x", "b")},
	{name: "the status of an answer", send: only(append([]string{":status", "200"}, good("GET", "ID/a")...)...)},
	{name: "a head in several frames", send: split(func(*frames) {}), sent: one("GET a")},
	{name: "data inside a head", send: split(func(w *frames) { w.data(1, false, "abc") })},
	{name: "another stream inside a head", send: split(func(w *frames) { w.head(true, good("GET", "ID/b")...) })},
	{name: "a ping inside a head", send: split(func(w *frames) { _ = w.WritePing(false, [8]byte{}) })},
	{name: "the continuation of no head", send: func(w *frames) { w.next += 2; _ = w.WriteContinuation(1, true, w.fields("x-a", "b")) }},
	{name: "the continuation of another stream's head", send: split(func(w *frames) { _ = w.WriteContinuation(3, true, nil) })},
	{name: "an even stream", send: func(w *frames) { w.next = 2; w.request(true, "GET") }},
	{name: "data of a stream that is not open", send: func(w *frames) { w.next += 2; w.data(1, true, "SMUGGLED") }},
	{name: "data in many frames", sent: one("POST a abc"), send: func(w *frames) {
		id := w.request(false, "POST")
		for _, piece := range []string{"", "a", "", "b", "c", ""} {
			w.data(id, false, piece)
		}
		_ = w.WriteDataPadded(id, true, nil, make([]byte, 200))
	}},
	{name: "GET with data", send: func(w *frames) { w.data(w.request(false, "GET"), true, "SMUGGLED") }, sent: one("GET a SMUGGLED")},
	{name: "HEAD with data", send: func(w *frames) { w.data(w.request(false, "HEAD"), true, "abc") }, sent: one("HEAD a abc")},
	{name: "trailers", send: trailed(true, "x-sum", "1"), sent: one("POST a abc"), unknown: "nginx"},
	{name: "trailers that do not end the stream", send: trailed(false, "x-sum", "1"), cut: true},
	{name: "a pseudo header among trailers", send: trailed(true, ":path", "ID/b"), cut: true},
	{name: "forbidden trailers", send: trailed(true, "content-length", "50", "host", "evil.test", "authorization", "Bearer MASK"), cut: true},
	{name: "transfer-encoding among trailers", send: trailed(true, "transfer-encoding", "chunked", "connection", "close"), cut: true},
	{name: "a request in a trailer", send: trailed(true, "x-sum", "1\r\n\r\nSMUGGLED"), cut: true},
	{name: "a length announced as a trailer", send: bodied("abc", "trailer", "content-length"), sent: one("POST a abc")},
	{name: "expect", send: bodied("abc", "expect", "100-continue"), sent: one("POST a abc")},
	{name: "expect twice", send: bodied("abc", "expect", "100-continue", "expect", "100-continue"), sent: one("POST a abc")},
	{name: "expect of something else", send: bodied("abc", "expect", "y 100-continue")},
	{name: "cookies in pieces", send: header("cookie", "a=b", "cookie", "c=d"), sent: one("GET a")},
	{name: "a head that is too long", send: header("x-a", strings.Repeat("a", 80<<10))},
	{name: "three requests at once", sent: []string{"POST a abc", "GET a", "GET b"}, send: func(w *frames) {
		first := w.request(false, "POST")
		w.request(true, "GET")
		w.head(true, good("GET", "ID/b")...)
		w.data(first, true, "abc")
	}},
	{name: "a request behind one that is refused", sent: one("GET b"), send: func(w *frames) {
		w.head(true, good("GET", "ID/MASK")...)
		w.head(true, good("GET", "ID/b")...)
	}},
	{name: "a client that takes its request back", cut: true, leaves: true, send: func(w *frames) {
		id := w.request(false, "POST")
		w.data(id, false, "SMUGGLED")
		_ = w.WriteRSTStream(id, http2.ErrCodeCancel)
	}},
}
