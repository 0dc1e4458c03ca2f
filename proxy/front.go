package proxy

import (
	"bufio"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/elazarl/goproxy"

	"kz/proxy/audit"
	"kz/proxy/policy"
)

// serveFront is what clients of the listener talk to: CONNECT and absolute-form requests, with the session's credential
// or from a client that is vouched for.
func (p *Proxy) serveFront(w http.ResponseWriter, r *http.Request) {
	gotHead(clientOf(r.Context()))
	if !p.authenticated(r) && !p.vouched(r) {
		p.refuseStranger(w, r)
		return
	}
	p.welcome(r)
	r.Header.Del("Proxy-Authorization")
	if r.Method == http.MethodConnect {
		r.Header = http.Header{} // a tunnel lasts, and nothing asks for them again
		p.goproxy.ServeHTTP(replaying{w}, r)
		return
	}
	if !r.URL.IsAbs() {
		p.refuseDirect(w, r)
		return
	}
	p.servePlain(w, r)
}

// authenticated compares in constant time, before anything else is looked at.
func (p *Proxy) authenticated(r *http.Request) bool {
	scheme, encoded, _ := strings.Cut(r.Header.Get("Proxy-Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") || len(r.Header["Proxy-Authorization"]) != 1 {
		return false
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return false
	}
	_, password, _ := strings.Cut(string(decoded), ":")
	return subtle.ConstantTimeCompare([]byte(password), []byte(p.opts.Credential)) == 1
}

func (p *Proxy) refuseDirect(w http.ResponseWriter, _ *http.Request) {
	ref := &refusal{Code: policy.RequestInvalid, Message: "this is a proxy; it answers only proxy requests",
		Hint: "set it as HTTPS_PROXY rather than as the address of a request"}
	ref.write(w, p.nextRequest())
}

// servePlain is a request to http://: never swapped, its answer scrubbed.
func (p *Proxy) servePlain(w http.ResponseWriter, r *http.Request) {
	x := newExchange(p)
	defer x.finish()
	a, err := policy.ParseAuthority(r.URL.Host, 80)
	x.begin(r, a)
	switch {
	case r.URL.Scheme != "http" || err != nil || r.URL.User != nil:
		x.refuse(w, &refusal{Code: policy.RequestInvalid, Message: "the URL is not one that a proxy can forward", Host: a.String(),
			Hint: "use CONNECT for https:// and http://host/path without user and password", close: true})
		return
	case refusedMethod(r.Method):
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
	pol := p.policy.Load()
	if route := pol.Route(policy.ByURL, a); route.Action == policy.Deny {
		x.refuse(w, denial(route, a))
		return
	}
	x.serve(w, r, newDestination(pol.PlainScope(a), "http"))
}

func denial(route policy.Route, a policy.Authority) *refusal {
	return &refusal{Code: route.Code, Message: "no connection to " + a.String() + ": " + route.Reason, Hint: route.Hint, Host: a.String()}
}

func methodRefusal(method string, a policy.Authority) *refusal {
	return &refusal{Code: codeMethodRefused, Message: "request to " + a.String() + ": " + method + " is not forwarded", Host: a.String(), Hint: "use another method", close: true}
}

// connect decides about one CONNECT. It fixes the one authority of the tunnel.
func (p *Proxy) connect(host string, ctx *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
	start, id := time.Now(), p.nextRequest()
	reject := func(ref *refusal, a policy.Authority) (*goproxy.ConnectAction, string) {
		ref.close = true
		ctx.Resp = ref.response(ctx.Req, id)
		p.record(audit.Event{Time: start.UTC(), Request: id, Kind: audit.Refusal, Method: http.MethodConnect, Host: p.redact(a.Host), Port: int(a.Port),
			Status: ref.status(), DurationMS: milliseconds(time.Since(start)), Code: string(ref.Code), Reason: ref.Message})
		return &goproxy.ConnectAction{Action: goproxy.ConnectReject}, host
	}
	a, err := policy.ParseAuthority(ctx.Req.RequestURI, 0)
	if err != nil {
		return reject(&refusal{Code: policy.RequestInvalid, Message: "the CONNECT target is not a host and a port: " + err.Error(),
			Hint: "use host:port, as in api.example.com:443"}, a)
	}
	if ref := p.auditable(a); ref != nil {
		return reject(ref, a)
	}
	route := p.policy.Load().Route(policy.ByConnect, a)
	if route.Action == policy.Deny {
		return reject(denial(route, a), a)
	}
	if route.Action == policy.Intercept {
		return &goproxy.ConnectAction{Action: goproxy.ConnectHijack, Hijack: func(_ *http.Request, client net.Conn, _ *goproxy.ProxyCtx) {
			p.intercept(client, a)
		}}, host
	}
	upstream, err := p.dialer.dial(ctx.Req.Context(), a)
	if err != nil {
		return reject(p.dialRefusal(err, a), a)
	}
	return &goproxy.ConnectAction{Action: goproxy.ConnectHijack, Hijack: func(_ *http.Request, client net.Conn, _ *goproxy.ProxyCtx) {
		p.tunnel(client, upstream, a, id, start, route)
	}}, host
}

func (p *Proxy) redact(s string) string { return p.opts.Table.Redact(s) }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// replaying is a ResponseWriter whose Hijack loses nothing: bytes that the server has read behind the CONNECT, such as
// a ClientHello in the same segment, are read first from the connection it returns.
type replaying struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (w replaying) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, nil, err
	}
	n := rw.Reader.Buffered()
	if n == 0 {
		return conn, rw, nil
	}
	ahead := make([]byte, n)
	if _, err := io.ReadFull(rw.Reader, ahead); err != nil {
		return nil, nil, err
	}
	return &replayConn{Conn: conn, ahead: ahead}, rw, nil
}

// replayConn is a connection of which some bytes were read ahead.
type replayConn struct {
	net.Conn
	ahead []byte
}

func (c *replayConn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// CloseWrite half-closes a TCP connection.
func (c *replayConn) CloseWrite() error { return closeWrite(c.Conn) }
