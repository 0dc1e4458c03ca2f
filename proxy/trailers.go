package proxy

import (
	"io"
	"net/http"
	"slices"
	"strings"
)

// cleanTrailers lets only the trailers go on that were announced and may be trailers, and has the masks in them recorded: a
// trailer is no place for a swap, and when it comes the request has been sent.
func (x *exchange) cleanTrailers(r *http.Request) {
	if len(r.Trailer) == 0 {
		return
	}
	theirs, ours := r.Trailer, make(http.Header, len(r.Trailer))
	for name := range theirs {
		if mayTrail(name) {
			ours[name] = nil
		}
	}
	r.Trailer = ours
	if len(ours) == 0 {
		r.Trailer = nil
		return
	}
	r.Body = &trailedBody{r.Body, func() {
		for name := range ours {
			ours[name] = theirs[name]
			for _, v := range ours[name] {
				x.noteTrailer(name, v)
			}
		}
	}}
}

func (x *exchange) noteTrailer(name, v string) {
	x.p.opts.Table.Spelled([]byte(v), func(secret string) {
		x.didWithhold(secret, "trailer:"+name, "a mask in a trailer is never swapped")
	})
}

// mayTrail reports whether a field may stand behind a body (RFC 9110, section 6.5.1): not those for framing, routing,
// conditions, authentication, or how the content is read. Digests may.
func mayTrail(name string) bool {
	switch {
	case isDigest(name):
		return true
	case slices.Contains(dropped, name), strings.HasPrefix(name, "Content-"), strings.HasPrefix(name, "If-"), strings.HasPrefix(name, "Proxy-"),
		strings.HasPrefix(name, "Accept"), strings.HasPrefix(name, "X-Forwarded-"), strings.HasPrefix(name, "Sec-"):
		return false
	}
	switch name {
	case "Host", "Authorization", "Cookie", "Set-Cookie", "Cache-Control", "Expect", "Range", "Pragma", "Forwarded", "Origin", "Referer", "User-Agent", "Via":
		return false
	}
	return true
}

// trailedBody calls ended once, where the body and with it the trailers have come to their end.
type trailedBody struct {
	io.ReadCloser
	ended func()
}

func (b *trailedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && b.ended != nil {
		b.ended()
		b.ended = nil
	}
	return n, err
}
