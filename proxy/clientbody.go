package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"kz/proxy/policy"
)

// clientBody is the body of a request as the client's framing has it. Where the answer may begin before a request of
// HTTP/1.1 has been read to its end, net/http goes on with the connection behind chunks that it could not read: what the
// client calls a body would be read as its next request. Behind a body that was not read it ends the connection, and does
// not say so. So such an answer says that it is the last.
type clientBody struct {
	io.ReadCloser
	http1   bool
	chunked bool
	turn    *turn // ends when the client is waited for; nil: none
	whole   atomic.Bool
	broken  atomic.Bool // it is not framed as it says
}

// Read implements io.Reader.
func (b *clientBody) Read(p []byte) (int, error) {
	if b.turn != nil {
		b.turn.end()
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.whole.Store(true)
	case err != nil && b.http1 && b.chunked && misframed(err):
		b.broken.Store(true)
	}
	return n, err
}

// misframed holds what net/http says of chunks that are not: errors of the connection, whose client may just have gone,
// are of other kinds.
func misframed(err error) bool {
	var network interface{ Timeout() bool }
	return !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, http.ErrBodyReadAfterClose) && !errors.As(err, &network)
}

// watchBody has r's body read through x.client.
func (x *exchange) watchBody(r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return
	}
	x.client.ReadCloser, x.client.http1, x.client.chunked = r.Body, r.ProtoMajor == 1, r.ContentLength < 0
	x.client.turn = &x.turn
	r.Body = &x.client
}

// ends reports whether the client's connection must end with the answer whose head is written now.
func (b *clientBody) ends() bool { return b.http1 && !b.whole.Load() }

func (x *exchange) framingRefusal() *refusal {
	host := x.scope.name
	return &refusal{Code: policy.RequestInvalid, Host: host, Message: "the body of the request to " + host + " is not framed in chunks as it says",
		Hint: "see RFC 9112, section 7.1, or send it with a Content-Length", close: true}
}
