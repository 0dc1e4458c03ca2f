package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"kz/proxy/audit"
	"kz/proxy/policy"
)

// A client that judges the certificate after the handshake, as those on GnuTLS do (wget, git), sends no alert when it does not
// trust the authority: it completes the handshake, says nothing and goes; or goes before its end, as apt does. Others go like
// that from a connection that they do not need: net/http of Go opens one for each of the first requests to a host, and keeps
// one where that speaks h2. So the first is recorded only where no request came to the host about then.
const aboutThen = 2 * time.Second

// maxHeard is how many hosts a wordless remembers. Wildcards let clients name more; then it forgets all.
const maxHeard = 1024

// wordless tells clients that do not trust the authority from those that had opened a connection too many.
type wordless struct {
	record func(audit.Event)
	about  time.Duration // aboutThen

	mu    sync.Mutex
	heard map[policy.Authority]time.Time    // when a request last came
	gone  map[policy.Authority]*audit.Event // who went without one, the first of those about then
}

// request notes one to a.
func (w *wordless) request(a policy.Authority) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.heard == nil || len(w.heard) >= maxHeard {
		w.heard = map[policy.Authority]time.Time{}
	}
	w.heard[a] = now
	delete(w.gone, a)
}

// went notes a client that has gone, to be recorded as e.
func (w *wordless) went(a policy.Authority, e audit.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone[a] != nil || len(w.gone) >= maxHeard || !w.heard[a].Before(e.Time.Add(-w.about)) {
		return
	}
	if w.gone == nil {
		w.gone = map[policy.Authority]*audit.Event{}
	}
	w.gone[a] = &e
	time.AfterFunc(w.about, func() { w.decide(a, &e) })
}

// decide records e unless a request has come meanwhile.
func (w *wordless) decide(a policy.Authority, e *audit.Event) {
	w.mu.Lock()
	still := w.gone[a] == e
	if still {
		delete(w.gone, a)
	}
	w.mu.Unlock()
	if still {
		w.record(*e)
	}
}

// end decides about all, without waiting for the requests of later.
func (w *wordless) end() {
	w.mu.Lock()
	gone := w.gone
	w.gone = nil
	w.mu.Unlock()
	for _, e := range gone {
		w.record(*e)
	}
}

// firstWord is what an intercepted connection knows of its client's silence after the handshake.
type firstWord struct {
	shaken  time.Time   // when the handshake was complete
	awaited atomic.Bool // until there is one, or the connection has ended
}

// awaitWord waits for what a client says first inside the tunnel.
func (p *Proxy) awaitWord(c *interceptConn) {
	c.word.shaken = time.Now()
	c.word.awaited.Store(true)
	p.unrecorded.Add(1)
}

// wordState is http.Server.ConnState for intercepted connections.
func (p *Proxy) wordState(conn net.Conn, s http.ConnState) {
	p.connState(conn, s)
	tc, ok := conn.(*tls.Conn)
	if !ok || s == http.StateNew {
		return
	}
	c, ok := tc.NetConn().(*interceptConn)
	if !ok || !c.word.awaited.CompareAndSwap(true, false) {
		return
	}
	defer p.unrecorded.Add(-1)
	if s == http.StateClosed && time.Since(c.word.shaken) < p.wordless.about && hasGone(tc) {
		e := p.handshakeEvent(c.scope.Authority, c.start)
		e.Reason = "the client went away after the TLS handshake without a request; it may not trust the authority of kz"
		p.wordless.went(c.scope.Authority, e)
	}
}

// hasGone reports whether the client of a connection without a word has ended it, rather than kz, which may have closed it since.
func hasGone(c *tls.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(lastLook)) // for one that kz has not closed
	_, err := c.Read(make([]byte, 1))
	return isDeparture(err)
}

// lastLook is how long kz, when it ends, looks whether a client went before it: what that said is there already.
const lastLook = 20 * time.Millisecond

// isDeparture reports whether err is that of reading from a peer that has ended or reset its connection.
func isDeparture(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &op) && (op.Op == "read" || op.Op == "write") && !op.Timeout() && !errors.Is(err, net.ErrClosed)
}
