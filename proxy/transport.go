package proxy

import (
	"context"
	"net"
	"net/http"
	"time"

	"kz/proxy/policy"
)

// Limits of the connections to upstreams. Their sources: the pool and the idle time are what keeps 256 clients on warm
// connections without holding them for ever; 30 minutes is the longest that known APIs think before their first byte.
const (
	idlePerHost           = 256
	upstreamIdleTimeout   = 90 * time.Second
	responseHeaderTimeout = 30 * time.Minute
	maxResponseHeader     = 64 << 10
	expectContinueTimeout = time.Second

	// uploadBuffer holds one chunk of a long body with its head and end, so that they go out together: with net/http's own
	// 4 KiB each piece of 16 KiB, a TLS record of the client's, would be three records.
	uploadBuffer = 32 << 10

	// keptAlone is how long idle connections are kept once no client is left.
	keptAlone = 15 * time.Second

	// downloadWindow is what kz holds of an h2 answer that its client does not take. It carries 80 Mbit/s over a round trip
	// of 100 ms; net/http's own is four times as long. The window of a connection stays net/http's, 1 GiB: one that clients
	// share must not be filled by those of them that do not read.
	downloadWindow = 1 << 20

	// someWindow carries 20 Mbit/s over a round trip of 100 ms. crowdedWindow is that of an answer among many: what h2 begins with
	// (RFC 9113, section 6.9.2). throngWindow is that of one in a throng, which together have 80 Mbit/s and more.
	someWindow    = 256 << 10
	crowdedWindow = 64<<10 - 1
	throngWindow  = 4 << 10
)

// windows are those of h2 answers, and frames the longest ones that are sent.
var (
	windows = [densities]int{few: downloadWindow, some: someWindow, many: crowdedWindow, throng: throngWindow}
	frames  = [densities]uint32{few: 64 << 10, some: leastMaxFrame, many: leastMaxFrame, throng: leastMaxFrame}
)

// transports are the pools: HTTP/1.1 for clients that speak it, one that prefers h2, for clients that do, and one for the
// long bodies of the former.
type transports struct {
	h1, uploads *http.Transport
	h2          [densities]*http.Transport
	dialer      *dialer
}

func newTransports(d *dialer) transports {
	var h1 http.Protocols
	h1.SetHTTP1(true)
	t := transports{
		dialer:  d,
		h1:      newTransport(d, &h1, []string{"http/1.1"}),
		uploads: newTransport(d, &h1, []string{"http/1.1"}),
	}
	t.uploads.WriteBufferSize = uploadBuffer
	for n := range densities {
		t.h2[n] = newH2Transport(d, n)
	}
	return t
}

func newH2Transport(d *dialer, n density) *http.Transport {
	var h2 http.Protocols
	h2.SetHTTP1(true)
	h2.SetHTTP2(true)
	t := newTransport(d, &h2, []string{"h2", "http/1.1"})
	gate, dial := &dialGate{}, t.DialTLSContext
	t.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return gate.dial(ctx, addr, func() (net.Conn, error) { return dial(ctx, network, addr) })
	}
	t.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: windows[n]}
	limitFrames(t, frames[n])
	return t
}

// of is the pool for one request of a client that speaks the major version proto. Over h2, those with bodies
// have a pool of their client's own.
func (t *transports) of(r *http.Request, proto int, n density) *http.Transport {
	switch {
	case proto == 2:
		if ic, ok := r.Context().Value(tunnelKey{}).(*interceptConn); ok && r.Body != nil && r.Body != http.NoBody {
			return ic.pool.transport(t.dialer, n)
		}
		return t.h2[n]
	case n == few && (r.ContentLength > maxHeld || r.ContentLength < 0):
		return t.uploads
	}
	return t.h1
}

func newTransport(d *dialer, protocols *http.Protocols, alpn []string) *http.Transport {
	return &http.Transport{
		Proxy:     nil, // the environment has no say in where secrets go
		Protocols: protocols,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			a, err := policy.ParseAuthority(addr, 0)
			if err != nil {
				return nil, err
			}
			return d.dial(ctx, a)
		},
		DialTLSContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			a, err := policy.ParseAuthority(addr, 0)
			if err != nil {
				return nil, err
			}
			return d.dialTLS(ctx, a, alpn)
		},
		MaxIdleConns:           4 * idlePerHost,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        upstreamIdleTimeout,
		ResponseHeaderTimeout:  responseHeaderTimeout,
		ExpectContinueTimeout:  expectContinueTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true, // codings are the client's to ask for and the scrubber's to undo
	}
}

func (t transports) close() {
	t.h1.CloseIdleConnections()
	for _, h2 := range t.h2 {
		h2.CloseIdleConnections()
	}
	t.uploads.CloseIdleConnections()
}
