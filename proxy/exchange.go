package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/elazarl/goproxy"

	"kz/proxy/audit"
	"kz/proxy/policy"
)

// exchange is one request and its answer, from the first byte to the audit line.
type exchange struct {
	p     *Proxy
	id    string
	start time.Time
	scope *destination
	scrub *scrubbers
	w     *responseWriter
	event audit.Event

	// refused is kz's own answer. Once it is set nothing goes upstream.
	refused *refusal
	edits   []edit
	trace   httptrace.ClientTrace
	hints   int // informational answers so far
	// unedited is the head before the edits, to begin from again after a 401.
	unedited *head
	body     *requestBody
	client   clientBody
	out      counter
	in       counter
	conn     net.Conn // the upstream's
	arrival  arrival  // of conn
	turn     turn
	unwatch  func() // set while the client is watched
	http11   bool   // the client understands informational answers

	mu       sync.Mutex // guards what follows: early hints and a body that is still being sent run beside the handler
	ended    bool
	aborted  error // set when the answer cannot be completed
	swapped  []audit.Swapped
	sent     []sent // the values that were swapped in, to know again after a 401
	withheld []audit.Withheld
	scrubbed []audit.Scrubbed

	// Room for what most requests have, so that it is not allocated piece by piece.
	roomForEdits [2]edit
	roomForSwaps [4]audit.Swapped
	roomForSent  [2]sent
	ctx          exchangeContext
	writer       responseWriter
	holding      holding
	peer         net.Conn // whose request it is; nil: not known
}

type exchangeKey struct{}

// exchangeContext is the context of a request with its exchange.
type exchangeContext struct {
	context.Context
	x *exchange
}

// Value implements context.Context.
func (c *exchangeContext) Value(key any) any {
	if key == (exchangeKey{}) {
		return c.x
	}
	return c.Context.Value(key)
}

func newExchange(p *Proxy) *exchange {
	x := &exchange{p: p, id: p.nextRequest(), start: time.Now()}
	x.edits, x.swapped, x.sent = x.roomForEdits[:0], x.roomForSwaps[:0], x.roomForSent[:0]
	return x
}

// begin notes what the audit says of r, whatever becomes of it.
func (x *exchange) begin(r *http.Request, a policy.Authority) {
	x.p.unrecorded.Add(1)
	x.event = audit.Event{Time: x.start.UTC(), Request: x.id, Kind: audit.Request, Method: r.Method, Host: x.p.redact(a.Host), Port: int(a.Port),
		Path: redactPath(x.p.opts.Table, r.URL)}
}

// serve runs r through goproxy: onRequest, the transport, onResponse, and back to w.
func (x *exchange) serve(w http.ResponseWriter, r *http.Request, scope *destination) {
	x.scope = scope
	x.w = &x.writer
	x.w.ResponseWriter, x.w.x, x.w.ctx, x.w.proto, x.w.length = w, x, r.Context(), r.ProtoMajor, -1
	x.http11 = r.ProtoAtLeast(1, 1)
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		// The answer may begin before the request has been read to its end.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	client := clientOf(r.Context())
	if !x.p.crowd.enter(client) {
		x.refuse(w, x.p.crowded(scope.Authority))
		return
	}
	defer x.p.crowd.leave(client)
	x.peer = client
	if !x.takeHeaders(r.Header) {
		panic(http.ErrAbortHandler)
	}
	r = x.outbound(r)
	x.watchBody(r)
	x.p.goproxy.ServeHTTP(x.w, r)
	x.w.endUpgraded()
	x.mu.Lock()
	aborted := x.aborted
	x.mu.Unlock()
	if aborted != nil {
		// The client must see a broken transfer, never a shorter success.
		if !x.http11 {
			breakOff(w)
		}
		panic(http.ErrAbortHandler)
	}
}

// outbound is r as goproxy takes it: with the scope's authority for a host, and the path as the client spelled it.
func (x *exchange) outbound(r *http.Request) *http.Request {
	raw := r.RequestURI
	if r.URL.IsAbs() {
		_, raw, _ = strings.Cut(raw, "://")
		raw = raw[min(len(raw), len(r.URL.Host)):]
	}
	u := *r.URL
	u.Scheme, u.Host = x.scope.scheme, x.scope.urlHost
	if path, _, _ := strings.Cut(raw, "?"); strings.HasPrefix(path, "/") && u.EscapedPath() != path {
		setRawPath(&u, path)
	}
	x.ctx = exchangeContext{r.Context(), x}
	x.trace.GetConn, x.trace.GotConn, x.trace.Got1xxResponse = x.getConn, x.gotConn, x.got1xx
	r = r.WithContext(httptrace.WithClientTrace(&x.ctx, &x.trace))
	r.URL, r.Host = &u, u.Host
	return r
}

// refuse answers w without goproxy.
func (x *exchange) refuse(w http.ResponseWriter, ref *refusal) {
	x.refused = ref
	x.event.Status = ref.status()
	ref.write(w, x.id)
}

// finish records the exchange. It is deferred, so that an abort is recorded too.
func (x *exchange) finish() {
	defer x.p.unrecorded.Add(-1)
	if x.unwatch != nil {
		x.unwatch()
	}
	x.mu.Lock()
	x.ended = true
	e := x.event
	e.Swapped, e.Withheld, e.Scrubbed = x.swapped, x.withheld, x.scrubbed
	aborted, holding := x.aborted, x.holding
	x.mu.Unlock()
	holding.letGo()
	if x.body != nil {
		e.Withheld = append(e.Withheld, x.body.withheld()...)
	}
	e.BytesOut, e.BytesIn = x.out.load(), x.in.load()
	e.DurationMS = milliseconds(time.Since(x.start))
	switch {
	case x.refused != nil:
		e.Kind, e.Code, e.Reason = audit.Refusal, string(x.refused.Code), x.refused.Message
		if x.conn == nil { // else it may have gone up
			e.Swapped = nil
		}
	case aborted != nil:
		e.Reason = abortReason(aborted)
	}
	x.p.record(e)
}

func abortReason(err error) string {
	var frames *upgradeError
	switch {
	case errors.Is(err, errRoom):
		return "what it held was needed for others"
	case errors.Is(err, context.Canceled):
		return "the client went away"
	case errors.As(err, &frames):
		return frames.Error()
	}
	return "the upstream ended the answer early"
}

func (x *exchange) abort(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.aborted == nil {
		x.aborted = err
	}
}

func (x *exchange) didSwap(secret, place string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.ended {
		x.swapped = append(x.swapped, audit.Swapped{Secret: secret, Place: place})
	}
}

func (x *exchange) didWithhold(secret, place, reason string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.ended {
		x.withheld = append(x.withheld, audit.Withheld{Secret: secret, Place: place, Reason: reason})
	}
}

// didScrub returns the counter for one part of the answer.
func (x *exchange) didScrub(where string) func(name string) {
	return func(name string) {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.ended {
			return
		}
		for i := range x.scrubbed {
			if x.scrubbed[i].Secret == name && x.scrubbed[i].Where == where {
				x.scrubbed[i].Count++
				return
			}
		}
		x.scrubbed = append(x.scrubbed, audit.Scrubbed{Secret: name, Where: where, Count: 1})
	}
}

// scrubbedIn reports whether anything was taken out of that part of the answer.
func (x *exchange) scrubbedIn(where string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.ContainsFunc(x.scrubbed, func(s audit.Scrubbed) bool { return s.Where == where })
}

// onRequest is goproxy's hook before a request is sent.
func onRequest(r *http.Request, ctx *goproxy.ProxyCtx) (*http.Request, *http.Response) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	ctx.UserData = x
	ctx.RoundTripper = x
	if ref := x.prepare(r); ref != nil {
		x.refused = ref
		return r, ref.response(r, x.id)
	}
	return r, nil
}

// onResponse is goproxy's hook before an answer is sent on. resp is nil when there is none.
func onResponse(resp *http.Response, ctx *goproxy.ProxyCtx) *http.Response {
	x, ok := ctx.UserData.(*exchange)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	if x.refused == nil && resp == nil {
		x.refused = x.failure(ctx)
		resp = x.refused.response(ctx.Req, x.id)
	}
	if x.refused == nil {
		// Taken only now: values that were fetched for this very request are among those looked for.
		x.scrub = x.p.scrubbers()
		if ref := x.receive(resp, ctx.Req); ref != nil {
			x.refused = ref
			resp = ref.response(ctx.Req, x.id)
		}
	}
	if x.refused != nil {
		x.w.length = resp.ContentLength
	}
	x.event.Status = resp.StatusCode
	return resp
}

// failure turns an error of the transport into an answer.
func (x *exchange) failure(ctx *goproxy.ProxyCtx) *refusal {
	if x.body != nil {
		if ref := x.body.refusal(); ref != nil {
			return ref
		}
	}
	if ctx.Req.Context().Err() != nil || errors.Is(ctx.Error, context.Canceled) {
		x.abort(context.Canceled)
		panic(http.ErrAbortHandler)
	}
	if x.client.broken.Load() {
		return x.framingRefusal()
	}
	return x.p.dialRefusal(ctx.Error, x.scope.Authority)
}

// dialRefusal says why an upstream could not be used. The error's own text may quote the upstream and goes nowhere.
func (p *Proxy) dialRefusal(err error, a policy.Authority) *refusal {
	var addr *addressError
	var verify *verifyError
	var ref *refusal
	var timeout net.Error
	var via *proxyError
	switch {
	case errors.As(err, &ref):
		return ref
	case errors.As(err, &addr):
		r := &refusal{Code: codePrivateAddress, Host: a.String(), Message: a.String() + " is not dialled: " + addr.Error()}
		switch {
		case addr.own:
			r.Hint = "a proxy is not reached through itself"
		case addr.class == policy.Metadata:
			r.Hint = "metadata services are never reached through kz"
		default:
			r.Hint = `if it is meant, add its network to allow_private in [egress], as in allow_private = ["10.1.0.0/16"]`
		}
		return r
	case errors.As(err, &verify):
		return &refusal{Code: codeUpstreamUnverified, Host: a.String(), Message: a.String() + " could not prove its name with a trusted certificate; nothing was sent",
			Hint: "if its authority is a private one, name its file in [egress]: upstream_ca = \"roots.pem\""}
	case errors.As(err, &via):
		r := &refusal{Code: codeUpstreamUnreachable, Host: a.String(), Hint: "ask those who run it whether this host may be reached",
			Message: "no connection to " + a.String() + ": the upstream proxy opened no tunnel to it (status " + strconv.Itoa(via.status) + ")"}
		if via.status == http.StatusProxyAuthRequired {
			r.Hint = `give its user and password, as in upstream_proxy = "http://user:password@proxy.corp:3128"`
		}
		return r
	case errors.As(err, &timeout) && timeout.Timeout() && !isDial(err):
		return &refusal{Code: codeUpstreamTimeout, Host: a.String(), Message: a.String() + " did not answer in time", Hint: "try again later"}
	}
	return &refusal{Code: codeUpstreamUnreachable, Host: a.String(), Message: "no connection to " + a.String() + " could be made or kept",
		Hint: "check the host's name and port, and that it can be reached from this machine"}
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// send picks the pool. Early hints are passed on until there is an answer.
func (x *exchange) send(r *http.Request) (*http.Response, error) {
	tr := x.p.transports.of(r, x.w.proto, x.p.crowd.density())
	if x.w.proto == 1 && x.body != nil && x.body.kept() == nil {
		// While the upstream takes nothing of this body, net/http does not hear that the client has gone.
		ctx, cancel := context.WithCancel(r.Context())
		stop := x.p.departures.watch(clientOf(ctx), true, cancel)
		x.unwatch = func() { stop(); cancel() }
		r = r.WithContext(ctx)
	}
	x.w.awaiting(true)
	resp, err := tr.RoundTrip(r)
	if d := upstreamOf(x.conn); d != nil {
		d.head.done()
	}
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	x.w.waits = false
	if x.w.gone && err == nil {
		_ = resp.Body.Close()
		return nil, context.Canceled
	}
	return resp, err
}

func (x *exchange) getConn(string) { x.arrival.reset() }

func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.arrival.arrived()
	x.turn.end()
	x.conn = info.Conn
	if d := upstreamOf(info.Conn); d != nil {
		d.head.begin(x.p.heads, func() { _ = d.Close() })
	}
}

func (x *exchange) got1xx(code int, header textproto.MIMEHeader) error {
	if x.hints++; x.hints > maxInformational {
		return errors.New("too many informational answers")
	}
	if code == http.StatusEarlyHints {
		x.w.earlyHints(http.Header(header))
	}
	return nil
}

// maxInformational is how many 1xx answers one request may have; net/http's own limit is 5 where nobody looks at them.
const maxInformational = 16
