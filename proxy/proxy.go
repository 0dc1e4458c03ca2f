package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elazarl/goproxy"

	"kz/ca"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// Limits of the connections from clients.
const (
	headerTimeout   = 10 * time.Second
	idleTimeout     = 120 * time.Second
	maxHeaderBytes  = 64 << 10
	maxHTTP2Streams = 250

	// uploadWindow is what kz holds of an h2 request body that its upstream does not take; a client is near, so that little
	// keeps it busy. uploadWindows is that of a whole connection: 15 bodies can wait before they hold up the others. It is the
	// most that net/http allows, which by default lets the first one do that.
	uploadWindow  = 256 << 10
	uploadWindows = 4<<20 - 1

	// maxReadFrame is what a client may put into one h2 frame. A connection keeps a buffer as long as its longest frame, and
	// one that does not fit the window ends its stream; net/http says 1 MiB.
	maxReadFrame = 64 << 10
)

// Proxy is the edge for one session. Its methods are safe for concurrent use.
type Proxy struct {
	opts       Options
	policy     atomic.Pointer[policy.Policy] // read once for each decision
	log        *slog.Logger
	goproxy    *goproxy.ProxyHttpServer
	front      *http.Server
	inner      *http.Server
	intercepts *handover // intercepted connections on their way to inner
	tlsConfig  *tls.Config
	transports transports
	dialer     *dialer
	values     values
	tunnels    tunnels
	clients    presence
	wordless   wordless
	strangers  strangers
	crowd      crowd
	departures departures
	heads      *room         // for heads that are coming
	room       *room         // for bodies that are held
	coders     *room         // for what decoders and encoders work with
	heldTime   time.Duration // how long a body that is read whole may take to come
	requests   atomic.Uint64
	unrecorded atomic.Int64 // requests and tunnels that were begun and are not in the audit yet
	silenced   atomic.Bool  // it was said that the audit cannot be written; it is said once
	own        sync.Map     // netip.AddrPort of this proxy's listeners
}

// New checks o and makes a Proxy; every problem is reported at once. Serve starts it.
func New(o Options) (*Proxy, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.MaxConns == 0 {
		o.MaxConns = defaultMaxConns
	}
	if o.Roots == nil {
		o.Roots = x509.SystemCertPool
	}
	p := &Proxy{opts: o, log: o.Log}
	p.policy.Store(o.Policy)
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	minter, err := ca.NewMinter(o.Authority, ca.MinterOptions{})
	if err != nil {
		return nil, err
	}
	p.tlsConfig = clientTLS(minter)
	p.dialer = &dialer{
		pins: o.Resolve, allowPrivate: o.AllowPrivate, via: o.UpstreamProxy, own: p.isOwn,
		roots: sync.OnceValues(o.Roots), verifier: newVerifier(o.Authority.Certificate(), o.Distrust), sessions: tls.NewLRUClientSessionCache(1024),
	}
	p.transports = newTransports(p.dialer)
	p.departures.every, p.heldTime = departedEvery, defaultHeldTime
	p.tunnels.departures = &p.departures
	p.clients = presence{after: keptAlone, alone: p.transports.close}
	p.heads, p.room, p.coders = newRoom(headBytes, headGrace), newRoom(heldBytes, heldGrace), newRoom(coderBytes, coderGrace)
	p.crowd.most = min(o.MaxConns, maxExchanges)
	p.goproxy = p.newGoproxy()
	p.intercepts = newHandover()
	p.front = p.newServer(http.HandlerFunc(p.serveFront))
	p.front.ConnContext, p.front.ConnState = withClient, p.frontState
	p.strangers.record = p.record
	p.inner = p.newServer(http.HandlerFunc(p.serveInner))
	p.inner.ConnContext, p.inner.ConnState = withTunnel, p.wordState
	p.wordless = wordless{about: aboutThen, record: func(e audit.Event) { e.Request = p.nextRequest(); p.record(e) }}
	return p, nil
}

func (p *Proxy) newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ConnState:                    p.connState,
		DisableGeneralOptionsHandler: true,                       // OPTIONS * is a request like any other
		ErrorLog:                     log.New(io.Discard, "", 0), // net/http's lines quote what the peer sent
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxHTTP2Streams, MaxReceiveBufferPerStream: uploadWindow, MaxReceiveBufferPerConnection: uploadWindows,
			MaxReadFrameSize: maxReadFrame,
		},
	}
}

// newGoproxy sets every default of goproxy that is not ours: a public CA key, proxies from the environment, a transport
// that does not verify, and a log that quotes URLs.
func (p *Proxy) newGoproxy() *goproxy.ProxyHttpServer {
	g := goproxy.NewProxyHttpServer()
	g.Logger = log.New(io.Discard, "", 0)
	g.Verbose = false
	g.Tr = p.transports.h1
	g.ConnectDial = nil
	g.ConnectDialWithReq = nil
	g.ConnectionErrHandler = nil
	g.CertStore = nil
	g.AllowHTTP2 = false
	g.KeepHeader = false
	g.KeepDestinationHeaders = false
	g.KeepAcceptEncoding = true
	g.PreventCanonicalization = false
	g.NonproxyHandler = http.HandlerFunc(p.refuseDirect)
	g.OnRequest().HandleConnectFunc(p.connect)
	g.OnRequest().DoFunc(onRequest)
	g.OnResponse().DoFunc(onResponse)
	return g
}

// Serve answers on l until Shutdown or Close, then returns nil. It may be called for several listeners.
func (p *Proxy) Serve(l net.Listener) error {
	if ap, err := netip.ParseAddrPort(l.Addr().String()); err == nil {
		p.own.Store(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), true)
	}
	go func() { _ = p.inner.Serve(p.intercepts) }()
	err := p.front.Serve(newLimitListener(l, p.opts.MaxConns, &p.clients))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// isOwn reports whether dialling a would reach this proxy itself.
func (p *Proxy) isOwn(a netip.AddrPort) bool {
	own := false
	p.own.Range(func(k, _ any) bool {
		l := k.(netip.AddrPort)
		// An unspecified address is this machine, to dial as well as to listen.
		own = l.Port() == a.Port() && (l.Addr() == a.Addr() || a.Addr().IsUnspecified() || l.Addr().IsUnspecified() && isLocal(a.Addr()))
		return !own
	})
	return own
}

func isLocal(a netip.Addr) bool {
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, ia := range addrs {
		if pfx, err := netip.ParsePrefix(ia.String()); err == nil && pfx.Addr().Unmap() == a {
			return true
		}
	}
	return false
}

// Shutdown stops taking connections and waits until what is in flight has ended or ctx is done; then it closes. All that
// was begun has been recorded when it returns.
func (p *Proxy) Shutdown(ctx context.Context) error {
	// Together: while one is waited for, the others must take nothing new.
	var front, inner, tunnels error
	var wg sync.WaitGroup
	wg.Go(func() { front = p.front.Shutdown(ctx) })
	wg.Go(func() { inner = p.inner.Shutdown(ctx) })
	wg.Go(func() { tunnels = p.tunnels.wait(ctx) })
	wg.Wait()
	err := errors.Join(front, inner, tunnels, p.Close())
	for end := time.Now().Add(recordTime); p.unrecorded.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	p.wordless.end()
	p.strangers.end()
	return err
}

// recordTime is how long Shutdown waits for what it has cut off to be recorded.
const recordTime = time.Second

// Close ends every connection at once.
func (p *Proxy) Close() error {
	err := errors.Join(p.front.Close(), p.inner.Close(), p.intercepts.Close())
	p.tunnels.closeAll()
	p.transports.close()
	p.dialer.close()
	return err
}

// Begun is how many requests and tunnels there have been. It only grows.
func (p *Proxy) Begun() uint64 { return p.requests.Load() }

// nextRequest is the id of one request: the session's first characters and a number.
func (p *Proxy) nextRequest() string {
	var room [32]byte
	id := append(append(room[:0], p.opts.Session[:min(8, len(p.opts.Session))]...), '-')
	return string(strconv.AppendUint(id, p.requests.Add(1), 10))
}

// record writes one event, without the masks that a client may have put where it names things. A failure shows in the
// sink's Err, which is asked before each request.
func (p *Proxy) record(e audit.Event) {
	e.Session = p.opts.Session
	e.Method, e.Reason = p.redact(e.Method), p.redact(e.Reason)
	for i := range e.Withheld {
		w := &e.Withheld[i]
		w.Place, w.Reason = p.redact(w.Place), p.redact(w.Reason)
	}
	if err := p.opts.Audit.Write(e); err != nil && p.silenced.CompareAndSwap(false, true) {
		p.log.Error("writing_audit", "error", err)
	}
}

// auditable refuses work that could not be recorded.
func (p *Proxy) auditable(a policy.Authority) *refusal {
	if p.opts.Audit.Err() == nil {
		return nil
	}
	return &refusal{Code: codeAuditUnavailable, Message: "no request to " + a.String() + ": the audit file cannot be written, so nothing is let through", Host: a.String(),
		Hint: "check the disk and the permissions of the audit file, then start again"}
}

// NewCredential is not a method: it makes the password of a session, 256 random bits in hex.
func NewCredential(random io.Reader) (string, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", err
	}
	return hex.EncodeToString(b), nil
}
