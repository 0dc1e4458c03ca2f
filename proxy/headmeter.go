package proxy

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// headFree is what of a head costs nothing: more than nearly every one is long. headCost is what net/http keeps of each
// further byte in the worst case, headers of two letters (measured: 20).
const (
	headFree = 2 << 10
	headCost = 24
)

// manyHeaders is how many headers a request or an answer may have before they are counted for as long as it lasts, each with
// headerCost bytes (net/textproto reckons 200, beside their text).
const (
	manyHeaders = 100
	headerCost  = 256
)

// headMeter counts what comes by a connection from the beginning of a head, or of a handshake, to its end. The zero value
// counts nothing.
type headMeter struct {
	mu    sync.Mutex
	n     int64
	claim *claim
}

// begin counts from now on; drop ends the connection when it loses its room.
func (m *headMeter) begin(r *room, drop func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
	m.claim = r.claim(drop)
}

// done gives back what the head had.
func (m *headMeter) done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
}

// closed is done for a connection that has ended, perhaps while it waits for room.
func (m *headMeter) closed() {
	if !m.mu.TryLock() {
		go m.done()
		return
	}
	defer m.mu.Unlock()
	m.end()
}

func (m *headMeter) end() {
	if m.claim != nil {
		m.claim.release()
	}
	m.n, m.claim = 0, nil
}

// read counts n more bytes and reports false when there is no room for them.
func (m *headMeter) read(n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.n
	m.n += int64(n)
	if m.claim == nil || m.n <= headFree {
		return true
	}
	return m.claim.take((m.n - max(before, headFree)) * headCost)
}

// limited is the accepted connection under the wrappers of this package; nil for one that was not accepted.
func limited(c net.Conn) *limitedConn {
	for {
		switch w := c.(type) {
		case interface{ NetConn() net.Conn }: // TLS
			c = w.NetConn()
		case *interceptConn:
			c = w.Conn
		case *replayConn:
			c = w.Conn
		case *limitedConn:
			return w
		default:
			return nil
		}
	}
}

// upstreamOf is the connection under one to an upstream that carries one answer at a time; nil under any other.
func upstreamOf(c net.Conn) *dialled {
	if tc, ok := c.(*tls.Conn); ok {
		uc, ok := tc.NetConn().(*upstreamConn)
		if !ok || tc.ConnectionState().NegotiatedProtocol == "h2" {
			return nil
		}
		c = uc.Conn
	}
	d, _ := c.(*dialled)
	return d
}

// awaitHead has the next head that comes by c counted.
func (p *Proxy) awaitHead(c net.Conn) {
	if l := limited(c); l != nil {
		l.head.begin(p.heads, func() { _ = l.Close() })
	}
}

// gotHead says that it has come.
func gotHead(c net.Conn) {
	if l := limited(c); l != nil {
		l.head.done()
	}
}

// connState is http.Server.ConnState: between requests a head is waited for.
func (p *Proxy) connState(c net.Conn, s http.ConnState) {
	if s == http.StateNew || s == http.StateIdle {
		p.awaitHead(c)
	}
}
