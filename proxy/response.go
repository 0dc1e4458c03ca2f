package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"kz/masking"
)

var errCut = errors.New("proxy: the upstream ended the connection without saying so")

// goneHeaders are of the upstream's connection, or would lead the client round the proxy.
var goneHeaders = []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Te", "Transfer-Encoding", "Upgrade", "Alt-Svc"}

// digestAnswers are digests of a body. They go when the body was changed or may be (RFC 9530, RFC 1864).
var digestAnswers = []string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest"}

// receive scrubs the head of an answer and wraps its body. A refusal takes the answer's place.
func (x *exchange) receive(resp *http.Response, r *http.Request) *refusal {
	host := x.scope.name
	if resp.StatusCode < 100 || resp.StatusCode > 999 {
		return &refusal{Code: codeUpstreamUnreachable, Host: host, Message: host + " answered with a status that is none", Hint: "try again later"}
	}
	if !x.takeHeaders(resp.Header) {
		return &refusal{Code: codeResponseUnscannable, Host: host, Message: host + " answered with more headers than there is room for", Hint: "try again later"}
	}
	upgraded := resp.StatusCode == http.StatusSwitchingProtocols
	if upgraded && (!isUpgrade(resp.Header) || !isUpgrade(r.Header)) {
		return &refusal{Code: codeResponseUnscannable, Host: host, Message: host + " switched to a protocol that was not asked for", Hint: "only WebSocket can be spoken over an upgraded connection"}
	}
	if resp.StatusCode == http.StatusPartialContent && !x.scope.Ranges {
		return &refusal{Code: codeResponseUnscannable, Host: host, Message: host + " sent a part of the answer, which was not asked for; parts cannot be scrubbed",
			Hint: "ranges = true under a secret of this host lets parts pass"}
	}
	names, known := codings(resp.Header["Content-Encoding"])
	folded, readable := messageCodings(resp.Header)
	readable = readable && (len(folded) == 0 || inEnvelopes(resp, r))
	if !(known && readable) && (len(x.edits) > 0 || x.hasSwapped()) {
		return &refusal{Code: codeResponseUnscannable, Host: host, Message: host + " answered in a coding that cannot be scrubbed",
			Hint: "ask for gzip, deflate, br, zstd or identity"}
	}
	for _, name := range goneHeaders {
		delete(resp.Header, name)
	}
	scrubHeader(x.scrub, resp.Header, x.didScrub("header"))
	scrubHeader(x.scrub, resp.Trailer, x.didScrub("trailer"))
	if upgraded {
		resp.Header["Connection"], resp.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
		delete(resp.Header, "Sec-Websocket-Extensions")
		return x.receiveUpgraded(r.Context(), resp)
	}
	if !known {
		names = nil
	}
	x.receiveBody(resp, r, names)
	return nil
}

// hasSwapped reports whether a value has been put into what was sent, also where a repetition then failed.
func (x *exchange) hasSwapped() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.swapped) > 0
}

// scrubHeader takes values out of h in place. A header whose name holds one is dropped.
func scrubHeader(s *scrubbers, h http.Header, on func(string)) {
	for name, vs := range h {
		if !ordinaryHeaders[name] && s.inName(name) {
			delete(h, name)
			continue
		}
		for i, v := range vs {
			if strings.HasSuffix(name, binaryHeader) {
				v = s.binary(v, on)
			}
			vs[i] = s.String(v, on)
		}
	}
}

// ordinaryHeaders are the names that are not looked into: no value is spelled like them.
var ordinaryHeaders = map[string]bool{
	"Accept-Ranges": true, "Access-Control-Allow-Origin": true, "Age": true, "Cache-Control": true, "Content-Disposition": true,
	"Content-Encoding": true, "Content-Language": true, "Content-Length": true, "Content-Security-Policy": true, "Content-Type": true,
	"Date": true, "Etag": true, "Expires": true, "Grpc-Message": true, "Grpc-Status": true, "Last-Modified": true, "Link": true,
	"Location": true, "Pragma": true, "Referrer-Policy": true, "Server": true, "Set-Cookie": true, "Strict-Transport-Security": true,
	"Trailer": true, "Vary": true, "Via": true, "Www-Authenticate": true, "X-Content-Type-Options": true, "X-Frame-Options": true,
	"X-Request-Id": true,
}

// bodiless reports whether an answer ends with its head (RFC 9112, section 6.3).
func bodiless(resp *http.Response, r *http.Request) bool {
	return r.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified
}

// receiveBody decodes and scrubs. Bodies of at most maxHeld are held and sent with their exact length; longer ones of
// known length keep it, with fillers; the rest streams with masks. Messages that count their bytes keep their lengths, always.
func (x *exchange) receiveBody(resp *http.Response, r *http.Request, names []string) {
	length := resp.ContentLength
	if bodiless(resp, r) || length == 0 {
		if r.Method == http.MethodHead || resp.StatusCode == http.StatusNotModified {
			// What is said of a body is of one that may be changed when it is asked for.
			dropDigests(resp.Header)
			if len(names) > 0 {
				delete(resp.Header, "Content-Encoding")
				delete(resp.Header, "Content-Length")
			}
		}
		x.receiveEnd(resp)
		return
	}
	src := &upstreamBody{x: x, resp: resp, r: resp.Body, coded: len(names) > 0}
	plain := io.Reader(src)
	closers := io.Closer(resp.Body)
	counts := inEnvelopes(resp, r)
	fill := measured(resp.Header["Content-Type"])
	hold := length > 0 && length <= maxHeld && len(resp.Trailer) == 0 && !fill && !counts
	if len(names) > 0 {
		d := x.p.decodeAnswer(src, names, !hold)
		d.padded = true
		d.take = x.takeCoder
		plain = d
		closers = multiCloser{d, resp.Body}
		delete(resp.Header, "Content-Encoding")
	}
	if counts {
		x.receiveEnvelopes(resp, plain, len(names) > 0, closers)
		return
	}
	if hold {
		limit := length
		if len(names) > 0 {
			limit = -1
		}
		head, whole, err := readUpTo(plain, maxHeld, limit, x.take)
		if err == nil && whole {
			x.hold(resp, head, src.coded, closers)
			return
		}
		plain = &resumed{head: head, err: err, rest: plain, done: x.giveBack}
	}
	dropDigests(resp.Header)
	mode := masking.Restore
	if fill {
		mode = masking.Fill
	}
	if length >= 0 && len(names) == 0 {
		mode = masking.Fill
		x.w.length = length
	}
	x.w.stream = true
	resp.Body = &scrubbedBody{r: x.p.scrubbing(plain, mode, masking.Evenly, x.didScrub("body")), x: x, resp: resp, decoded: src.coded, close: closers}
}

// receiveEnd waits for the end of an answer without a body: in h2 trailers may stand there.
func (x *exchange) receiveEnd(resp *http.Response) {
	if n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1)); err != nil {
		x.abort(err)
	} else if n > 0 {
		x.abort(errCut)
	}
	scrubHeader(x.p.scrubbers(), resp.Trailer, x.didScrub("trailer"))
}

// hold sends a body that was read whole, and was decoded or not.
func (x *exchange) hold(resp *http.Response, body []byte, decoded bool, close io.Closer) {
	scrub := x.p.scrubbers() // more may be known than when the header came
	scrubbed := scrub.Bytes(body, x.didScrub("body"))
	if !same(scrubbed, body) {
		x.take(int64(len(scrubbed))) // without room for it the exchange is aborted
	}
	x.w.length = int64(len(scrubbed))
	scrubHeader(scrub, resp.Trailer, x.didScrub("trailer"))
	if decoded || !same(scrubbed, body) {
		dropDigests(resp.Header)
		dropDigests(resp.Trailer)
	}
	held := &heldAnswer{Closer: close}
	held.Reset(scrubbed)
	resp.Body = held
}

// heldAnswer is a body that was read whole.
type heldAnswer struct {
	bytes.Reader
	io.Closer
}

func dropDigests(h http.Header) {
	for _, name := range digestAnswers {
		delete(h, name)
	}
}

// resumed is a reader of which the head was read ahead, perhaps up to an error.
type resumed struct {
	head []byte
	err  error
	rest io.Reader
	done func() // called when the head has been read
}

func (r *resumed) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	if r.done != nil {
		r.done()
		r.head, r.done = nil, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	return r.rest.Read(p)
}

// upstreamBody counts, and tells a body that was cut short from one that ended.
type upstreamBody struct {
	x     *exchange
	resp  *http.Response
	r     io.Reader
	coded bool
}

func (b *upstreamBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.x.in.add(n)
	if err == io.EOF && b.resp.ProtoMajor == 1 && b.resp.ContentLength < 0 && len(b.resp.TransferEncoding) == 0 {
		// Nothing is no coded body, unless the framing says so.
		if wasCut(b.x.conn) || b.coded && b.x.in.load() == 0 {
			return n, errCut
		}
	}
	return n, err
}

// scrubbedBody is the body that goproxy copies to the client. It notes an early end, and scrubs the trailers once they
// have come.
type scrubbedBody struct {
	r       io.Reader
	x       *exchange
	resp    *http.Response
	decoded bool
	close   io.Closer
}

func (b *scrubbedBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil {
		b.end(err)
	}
	return n, err
}

// WriteTo implements io.WriterTo.
func (b *scrubbedBody) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, b.r)
	if err != nil {
		b.end(err)
	} else {
		b.end(io.EOF)
	}
	return n, err
}

func (b *scrubbedBody) end(err error) {
	if err != io.EOF {
		b.x.abort(err)
		return
	}
	scrubHeader(b.x.p.scrubbers(), b.resp.Trailer, b.x.didScrub("trailer"))
	if b.decoded || b.x.scrubbedIn("body") {
		dropDigests(b.resp.Trailer)
	}
}

func (b *scrubbedBody) Close() error { return b.close.Close() }
