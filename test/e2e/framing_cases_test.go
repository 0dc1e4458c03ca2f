package e2e_test

import "strings"

// hostile is one thing that a client says over HTTP/1.1. In raw, HOST is the origin's name, MASK the client's mask, ID a
// path of this case's own, HEAD a Host and an Authorization with the mask, and SMUGGLED a whole request with both.
type hostile struct {
	name string
	raw  string
	// sent are the requests that kz must send on, whole, as `METHOD path body` with the path below ID; none: it is refused.
	sent []string
	// ends says that the client has no more to say: it ends its side, and what it has begun is cut off.
	ends bool
	// junk says that behind those stands what ends the connection.
	junk bool
	// begun says that it is known to be refused only when it may have begun to be sent on.
	begun bool
	// early says that the origin answers before it has read the request: whether it then reads it is the origin's to choose.
	early bool
	// odd says that a server may refuse it without a word on what it was.
	odd bool
}

func post(rest string) string { return "POST ID/a HTTP/1.1\r\nHEAD" + rest }
func get(rest string) string  { return "GET ID/a HTTP/1.1\r\nHEAD" + rest }

// chunked is a request with this after its head.
func chunked(body string) string { return post("Transfer-Encoding: chunked\r\n\r\n" + body) }

const abc = "3\r\nabc\r\n0\r\n\r\n"

func one(request string) []string { return []string{request} }

// twoFramings say how long they are in two ways, or in an odd one.
var twoFramings = []hostile{
	{name: "a length, then chunked", raw: post("Content-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n" + abc), sent: one("POST a abc")},
	{name: "chunked, then a length", raw: post("Transfer-Encoding: chunked\r\nContent-Length: 13\r\n\r\n" + abc), sent: one("POST a abc")},
	{name: "a length that is shorter than the chunks", raw: post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + abc), sent: one("POST a abc")},
	{name: "a length that takes in another request", raw: post("Content-Length: 500\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nSMUGGLED"), sent: []string{"POST a", "GET smuggled"}},
	{name: "chunks that take in another request", raw: post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nGET / HTT\r\n0\r\n\r\n"), sent: one("POST a GET / HTT")},
	{name: "a length, and another coding", raw: post("Content-Length: 3\r\nTransfer-Encoding: identity\r\n\r\nabc")},
	{name: "chunked twice in one line", raw: post("Transfer-Encoding: chunked, chunked\r\n\r\n" + abc)},
	{name: "chunked twice in two lines", raw: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + abc)},
	{name: "chunked and identity", raw: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + abc)},
	{name: "gzip and chunked", raw: post("Transfer-Encoding: gzip, chunked\r\n\r\n" + abc)},
	{name: "xchunked", raw: post("Content-Length: 13\r\nTransfer-Encoding: xchunked\r\n\r\n" + abc)},
	{name: "chunked with a parameter", raw: post("Transfer-Encoding: chunked;q=1\r\n\r\n" + abc)},
	{name: "chunked in quotes", raw: post("Transfer-Encoding: \"chunked\"\r\n\r\n" + abc)},
	{name: "chunked in upper case", raw: post("Transfer-Encoding: CHUNKED\r\n\r\n" + abc), sent: one("POST a abc")},
	{name: "an empty coding", raw: post("Content-Length: 13\r\nTransfer-Encoding:\r\n\r\n" + abc)},
	{name: "a comma before chunked", raw: post("Transfer-Encoding: ,chunked\r\n\r\n" + abc)},
	{name: "a tab before chunked", raw: post("Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n\r\n" + abc), sent: one("POST a abc")},
	{name: "a tab after chunked", raw: post("Content-Length: 5\r\nTransfer-Encoding: chunked\t\r\n\r\n" + abc), sent: one("POST a abc")},
	{name: "a vertical tab before chunked", raw: post("Content-Length: 13\r\nTransfer-Encoding: \vchunked\r\n\r\n" + abc)},
	{name: "a vertical tab after chunked", raw: post("Content-Length: 13\r\nTransfer-Encoding: chunked\v\r\n\r\n" + abc)},
	{name: "a form feed before chunked", raw: post("Content-Length: 13\r\nTransfer-Encoding: \fchunked\r\n\r\n" + abc)},
	{name: "a byte of Latin-1 after chunked", raw: post("Content-Length: 13\r\nTransfer-Encoding: chunked\xa0\r\n\r\n" + abc)},
	{name: "a space before the colon of Transfer-Encoding", raw: post("Content-Length: 13\r\nTransfer-Encoding : chunked\r\n\r\n" + abc)},
	{name: "a tab before the colon of Content-Length", raw: post("Content-Length\t: 3\r\n\r\nabc")},
	{name: "an underscore in Transfer_Encoding", raw: post("Content-Length: 3\r\nTransfer_Encoding: chunked\r\n\r\nabc"), sent: one("POST a abc")},
	{name: "an underscore in Content_Length", raw: post("Content-Length: 3\r\nContent_Length: 0\r\n\r\nabc"), sent: one("POST a abc")},
	{name: "a space before Transfer-Encoding", raw: post("Content-Length: 3\r\n Transfer-Encoding: chunked\r\n\r\nabc")},
	{name: "Transfer-Encoding on a folded line", raw: post("X-Fold: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc"), sent: one("POST a abc")},
	{name: "chunked on a folded line", raw: post("Transfer-Encoding:\r\n chunked\r\n\r\n" + abc), sent: one("POST a abc")},
	{name: "a coding in Connection", raw: post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n" + abc), sent: one("POST a abc")},
	{name: "a length in Connection", raw: post("Connection: Content-Length\r\nContent-Length: 3\r\n\r\nabc"), sent: one("POST a abc")},
	{name: "Host and Authorization in Connection", raw: post("Connection: Host, Authorization\r\nContent-Length: 3\r\n\r\nabc"), sent: one("POST a abc")},
	{name: "two lengths that are equal", raw: post("Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), sent: one("POST a abc")},
	{name: "two lengths that differ", raw: post("Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc")},
	{name: "two lengths that differ by a zero", raw: post("Content-Length: 3\r\nContent-Length: 03\r\n\r\nabc")},
	{name: "a list of equal lengths", raw: post("Content-Length: 3, 3\r\n\r\nabc")},
	{name: "a list of lengths", raw: post("Content-Length: 3, 0\r\n\r\nabc")},
	{name: "a length with a plus", raw: post("Content-Length: +3\r\n\r\nabc")},
	{name: "a length with a minus", raw: post("Content-Length: -3\r\n\r\nabc")},
	{name: "a length of minus nought", raw: post("Content-Length: -0\r\n\r\n")},
	{name: "a length in base 16", raw: post("Content-Length: 0x3\r\n\r\nabc")},
	{name: "a length with a space in it", raw: post("Content-Length: 3 0\r\n\r\nabc")},
	{name: "a length with an underscore", raw: post("Content-Length: 1_0\r\n\r\nabcabcabca")},
	{name: "a length with a point", raw: post("Content-Length: 3.0\r\n\r\nabc")},
	{name: "a length with an exponent", raw: post("Content-Length: 3e0\r\n\r\nabc")},
	{name: "a length in other digits", raw: post("Content-Length: \u0663\r\n\r\nabc")},
	{name: "a length after a vertical tab", raw: post("Content-Length: \v3\r\n\r\nabc")},
	{name: "an empty length", raw: post("Content-Length:\r\n\r\n")},
	{name: "a length with zeros before it", raw: post("Content-Length: 003\r\n\r\nabc"), sent: one("POST a abc")},
	{name: "a length on a folded line", raw: post("Content-Length:\r\n 3\r\n\r\nabc"), sent: one("POST a abc")},
	{name: "a length of two to the 64th and three", raw: post("Content-Length: 18446744073709551619\r\n\r\nabc")},
	{name: "a length of two to the 63rd", raw: post("Content-Length: 9223372036854775808\r\n\r\nabc")},
	{name: "a length that is longer than the body", raw: post("Content-Length: 30\r\n\r\nabc"), ends: true},
	{name: "a length that is shorter than the body", raw: post("Content-Length: 3\r\n\r\nabcSMUGGLED"), sent: []string{"POST a abc", "GET smuggled"}},
	{name: "another request inside a body", raw: post("Content-Length: LENGTH\r\n\r\nSMUGGLED"), sent: one("POST a SMUGGLED")},
	{name: "another request inside a chunk", raw: chunked("CHUNK\r\nSMUGGLED\r\n0\r\n\r\n"), sent: one("POST a SMUGGLED")},
}

// oddChunks are bodies in chunks.
var oddChunks = []hostile{
	{name: "a chunk extension", raw: chunked("3;a=b\r\nabc\r\n0;c\r\n\r\n"), sent: one("POST a abc")},
	{name: "a chunk extension in quotes", raw: chunked("3;a=\"b;c\"\r\nabc\r\n0\r\n\r\n"), sent: one("POST a abc")},
	{name: "a chunk extension with a bare LF", raw: chunked("3;a=\nabc\r\n0\r\n\r\n")},
	{name: "a chunk extension with a CR in it", raw: chunked("3;a\rb\r\nabc\r\n0\r\n\r\n")},
	{name: "a request in a chunk extension after LF", raw: chunked("0;\nSMUGGLED\r\n\r\n")},
	{name: "a long chunk extension", raw: chunked("3;" + strings.Repeat("a", 5000) + "\r\nabc\r\n0\r\n\r\n")},
	{name: "a chunk size with zeros before it", raw: chunked("0000003\r\nabc\r\n0\r\n\r\n"), sent: one("POST a abc")},
	{name: "a chunk size with many zeros before it", raw: chunked(strings.Repeat("0", 20) + "3\r\nabc\r\n0\r\n\r\n")},
	{name: "a chunk size with an underscore", raw: chunked("0_3\r\nabc\r\n0\r\n\r\n")},
	{name: "a chunk size with 0x", raw: chunked("0x3\r\nabc\r\n0\r\n\r\n")},
	{name: "a chunk size with a plus", raw: chunked("+3\r\nabc\r\n0\r\n\r\n")},
	{name: "a chunk size below nought", raw: chunked("-3\r\nabc\r\n0\r\n\r\n")},
	{name: "a chunk size of two to the 64th and three", raw: chunked("10000000000000003\r\nabc\r\n0\r\n\r\n")},
	{name: "a chunk size of two to the 32nd and three", raw: chunked("100000003\r\nabc\r\n0\r\n\r\n"), ends: true},
	{name: "a chunk size that is empty", raw: chunked("\r\nabc\r\n0\r\n\r\n")},
	{name: "a chunk size with a space before it", raw: chunked(" 3\r\nabc\r\n0\r\n\r\n")},
	{name: "a chunk size with a space after it", raw: chunked("3 \r\nabc\r\n0\r\n\r\n"), sent: one("POST a abc")},
	{name: "a chunk size that is not a number", raw: chunked("g\r\nabc\r\n0\r\n\r\n")},
	{name: "a chunk size before a bare LF", raw: chunked("3\nabc\r\n0\r\n\r\n")},
	{name: "a chunk size before a bare CR", raw: chunked("3\rabc\r\n0\r\n\r\n")},
	{name: "a chunk that ends with a bare LF", raw: chunked("3\r\nabc\n0\r\n\r\n")},
	{name: "a chunk that is longer than its size", raw: chunked("3\r\nabcd\r\n0\r\n\r\n")},
	{name: "a chunk that is shorter than its size", raw: chunked("4\r\nabc\r\n0\r\n\r\n")},
	{name: "no last chunk", raw: chunked("3\r\nabc\r\n"), ends: true},
	{name: "no line end after the last chunk", raw: chunked("3\r\nabc\r\n0\r\n"), ends: true},
	{name: "a request in place of the last line end", raw: chunked("3\r\nabc\r\n0\r\nSMUGGLED")},
	{name: "what is no request after the last chunk", raw: chunked(abc + "X\r\n\r\n"), sent: one("POST a abc"), junk: true},
	{name: "a line end after the last chunk's", raw: chunked(abc + "\r\nSMUGGLED"), sent: []string{"POST a abc", "GET smuggled"}},
	{name: "trailers", raw: post("Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"), sent: one("POST a abc")},
	{name: "trailers that were not announced", raw: chunked("3\r\nabc\r\n0\r\nX-Sum: 1\r\nContent-Length: 50\r\nHost: evil.test\r\nAuthorization: Bearer MASK\r\n\r\n"), sent: one("POST a abc")},
	{name: "forbidden trailers beside one that was announced", sent: one("POST a abc"),
		raw: post("Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\nHost: evil.test\r\nAuthorization: Bearer MASK\r\nConnection: close\r\n\r\n")},
	{name: "forbidden trailers that were announced", sent: one("POST a abc"),
		raw: post("Trailer: Host, Authorization, Content-Type, Connection\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nHost: evil.test\r\nAuthorization: Bearer MASK\r\nContent-Type: a/b\r\nConnection: close\r\n\r\n")},
	{name: "a length announced as a trailer", raw: post("Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n" + abc)},
	{name: "a trailer with a space before its colon", raw: chunked("3\r\nabc\r\n0\r\nX-Sum : 1\r\n\r\n"), sent: one("POST a abc")},
	{name: "trailers that end with a bare LF", raw: chunked("3\r\nabc\r\n0\r\nX-Sum: 1\n\nSMUGGLED"), sent: []string{"POST a abc", "GET smuggled"}},
	{name: "a trailer with NUL", raw: post("Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: a\x00b\r\n\r\n")},
}
