package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"kz/ca"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// interceptConn is the client's side of an intercepted tunnel, under its TLS. Its authority is fixed for its life.
type interceptConn struct {
	net.Conn
	scope   *destination
	policy  *policy.Policy          // what scope was made from
	renewal atomic.Pointer[renewal] // see scopeOf
	start   time.Time               // of the tunnel
	// greeted is set when the client has begun its TLS, differs when that named another host than its CONNECT.
	greeted, differs bool
	word             firstWord
	pool             ownPool
	turns            turns
	givenUp          givenUp
}

// Close implements net.Conn.
func (c *interceptConn) Close() error {
	c.pool.close()
	return c.Conn.Close()
}

type tunnelKey struct{}

// withTunnel puts an intercepted connection into the context of its requests.
func withTunnel(ctx context.Context, c net.Conn) context.Context {
	if tc, ok := c.(*tls.Conn); ok {
		if ic, ok := tc.NetConn().(*interceptConn); ok {
			return context.WithValue(ctx, tunnelKey{}, ic)
		}
	}
	return ctx
}

// clientTLS is the one configuration for all clients, so that their sessions can be resumed. Small records at a connection's
// beginning would help a client far away; this one is on the same machine, and pays for each with a system call. Nothing that
// goes to a client is worth keeping for a quantum computer: values are only on the way to upstreams. Without the hybrid key
// exchange a handshake takes a tenth less.
func clientTLS(minter *ca.Minter) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, DynamicRecordSizingDisabled: true,
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}}
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return minter.Leaf(hello.Conn.(*interceptConn).scope.Authority.Host)
	}
	// Without a certificate the handshake ends with unrecognized_name. A resumed session never asks for one, so that
	// tickets are off as well.
	unrecognized := &tls.Config{MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		ic := hello.Conn.(*interceptConn)
		ic.greeted = true
		if hello.ServerName == "" || ic.scope.Authority.Named(hello.ServerName) {
			return nil, nil
		}
		ic.differs = true
		return unrecognized, nil
	}
	return cfg
}

// intercept ends the client's TLS as a and hands the connection to the inner server.
func (p *Proxy) intercept(client net.Conn, a policy.Authority) {
	start := time.Now()
	pol := p.policy.Load()
	ic := &interceptConn{Conn: client, policy: pol, start: start, scope: newDestination(pol.Scope(a), "https"), turns: newTurns()}
	conn := tls.Server(ic, p.tlsConfig)
	defer p.tunnels.add(client, client)() // until the inner server knows it
	p.awaitHead(client)
	err := client.SetDeadline(start.Add(handshakeTimeout))
	if err == nil {
		_, err = io.WriteString(client, established)
	}
	if err == nil {
		err = conn.Handshake()
	}
	if err == nil {
		err = client.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = client.Close()
		p.recordHandshake(ic, a, err)
		return
	}
	p.awaitWord(ic)
	if !p.intercepts.hand(conn) {
		p.wordState(conn, http.StateClosed)
		_ = conn.Close()
	}
}

// handshakeEvent is of a client that asked for nothing inside its tunnel.
func (p *Proxy) handshakeEvent(a policy.Authority, start time.Time) audit.Event {
	return audit.Event{Time: start.UTC(), Kind: audit.Refusal, Method: http.MethodConnect, Host: p.redact(a.Host), Port: int(a.Port),
		DurationMS: milliseconds(time.Since(start))}
}

// recordHandshake records a client that could not be served: it named another host, did not speak TLS, or does not
// trust the authority. One that said nothing at all only looked whether there is a tunnel.
func (p *Proxy) recordHandshake(ic *interceptConn, a policy.Authority, err error) {
	var record tls.RecordHeaderError
	isRecord := errors.As(err, &record)
	if !ic.greeted && !isRecord {
		return
	}
	e := p.handshakeEvent(a, ic.start)
	var alert tls.AlertError
	switch {
	case ic.differs:
		e.Code, e.Reason = string(codeAuthorityMismatch), "the TLS server name differs from the CONNECT host"
	case isRecord:
		e.Code, e.Reason = string(policy.RequestInvalid), "the client did not speak TLS inside the tunnel"
	case errors.As(err, &alert) || isRemoteAlert(err):
		e.Reason = "the client ended the TLS handshake; it may not trust the authority of kz"
	case isDeparture(err): // as apt does, without an alert
		e.Reason = "the client went away during the TLS handshake; it may not trust the authority of kz"
		p.wordless.went(a, e)
		return
	default:
		e.Reason = "the TLS handshake with the client did not complete"
	}
	e.Request = p.nextRequest()
	p.record(e)
}

// isRemoteAlert reports whether err is an alert that the peer sent.
func isRemoteAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// handover is a net.Listener whose connections come from hand.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// hand gives conn to Accept. It reports false once the listener is closed.
func (h *handover) hand(conn net.Conn) bool {
	select {
	case h.conns <- conn:
		return true
	case <-h.closed:
		return false
	}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error { h.once.Do(func() { close(h.closed) }); return nil }

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// serveInner is one request inside an intercepted tunnel.
func (p *Proxy) serveInner(w http.ResponseWriter, r *http.Request) {
	ic, ok := r.Context().Value(tunnelKey{}).(*interceptConn)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	gotHead(ic)
	a := ic.scope.Authority
	p.wordless.request(a)
	x := newExchange(p)
	defer x.finish()
	if r.ProtoMajor == 2 {
		defer x.countGivenUp(w, r, ic)
		x.turn.take(r.Context(), ic.turns)
		defer x.turn.end()
	}
	x.begin(r, a)
	if r.Context().Err() != nil {
		x.abort(context.Canceled)
		panic(http.ErrAbortHandler)
	}
	if !sameAuthority(r, a) {
		x.refuse(w, &refusal{Code: codeAuthorityMismatch, Message: "the request names another host than its tunnel, " + a.String(), Host: a.String(),
			Hint: "open a tunnel to the host that is meant", close: true})
		return
	}
	if refusedMethod(r.Method) {
		x.refuse(w, methodRefusal(r.Method, a))
		return
	}
	if ref := strict(r, a); ref != nil {
		x.refuse(w, ref)
		return
	}
	if ref := p.auditable(a); ref != nil {
		x.refuse(w, ref)
		return
	}
	scope, ref := p.scopeOf(ic)
	if ref != nil {
		x.refuse(w, ref)
		return
	}
	x.serve(w, r, scope)
}

// sameAuthority reports whether everything in r that names a host names a.
func sameAuthority(r *http.Request, a policy.Authority) bool {
	if r.URL.User != nil {
		return false
	}
	if r.URL.IsAbs() && (r.URL.Scheme != "https" || !a.Matches(r.URL.Host, 443)) {
		return false
	}
	if r.URL.Opaque != "" || r.URL.Host != "" && !r.URL.IsAbs() {
		return false
	}
	// h2 leaves a Host beside :authority in the header; net/http would drop it, and another reader might not.
	for _, host := range r.Header["Host"] {
		if !a.Matches(host, 443) {
			return false
		}
	}
	return a.Matches(r.Host, 443)
}
