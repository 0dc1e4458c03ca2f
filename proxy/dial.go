package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kz/proxy/policy"
)

// dialTimeout and handshakeTimeout bound one connection to an upstream.
const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
)

// dialer opens connections to upstreams. It is the one place that turns a name into an address, and the address that it
// checks is the one of the very socket that is connected.
type dialer struct {
	pins         []policy.Pin
	allowPrivate []netip.Prefix
	via          *url.URL // upstream proxy; nil: direct
	own          func(netip.AddrPort) bool
	resolver     *net.Resolver
	roots        func() (*x509.CertPool, error)
	verifier     verifier
	sessions     tls.ClientSessionCache

	mu     sync.Mutex
	open   map[*dialled]bool
	closed bool
}

// addressError says that an address may not be dialled.
type addressError struct {
	class policy.AddressClass
	own   bool
}

func (e *addressError) Error() string {
	switch {
	case e.own:
		return "the address is the proxy's own"
	case e.class == policy.Metadata:
		return "the address is a cloud's metadata service"
	}
	return "the address is not on the open internet"
}

// verifyError says that the upstream could not prove to be what it was dialled as.
type verifyError struct{ err error }

func (e *verifyError) Error() string { return "verifying the upstream: " + e.err.Error() }
func (e *verifyError) Unwrap() error { return e.err }

// proxyError says that the upstream proxy opened no tunnel.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	return fmt.Sprintf("the upstream proxy answered %d", e.status)
}

// dial connects to a, through the upstream proxy where one is set. close ends the connection.
func (d *dialer) dial(ctx context.Context, a policy.Authority) (net.Conn, error) {
	conn, err := d.connect(ctx, a)
	if err != nil {
		return nil, err
	}
	return d.keep(conn)
}

func (d *dialer) connect(ctx context.Context, a policy.Authority) (net.Conn, error) {
	for _, pin := range d.pins {
		if pin.Match.Match(a) {
			return d.dialAddress(ctx, pin.Addr.String(), false)
		}
	}
	if d.via == nil {
		return d.dialAddress(ctx, net.JoinHostPort(a.Host, fmt.Sprint(a.Port)), false)
	}
	// A name is that proxy's to judge, an address is not.
	if ip, err := netip.ParseAddr(a.Host); err == nil {
		if err := d.check(netip.AddrPortFrom(ip, a.Port)); err != nil {
			return nil, err
		}
	}
	return d.dialVia(ctx, a)
}

func (d *dialer) dialAddress(ctx context.Context, address string, exempt bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nd := net.Dialer{KeepAlive: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		switch {
		case err != nil:
			return err
		case !exempt:
			return d.check(ap)
		case d.isOwn(ap):
			return &addressError{own: true}
		}
		return nil
	}}
	addrs, err := d.lookup(ctx, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	return race(ctx, addrs, func(ctx context.Context, ap netip.AddrPort) (net.Conn, error) {
		return nd.DialContext(ctx, "tcp", ap.String())
	})
}

// check refuses addresses that are not on the open internet, unless the configuration allows them.
func (d *dialer) check(ap netip.AddrPort) error {
	ip := ap.Addr().Unmap().WithZone("")
	class := policy.ClassOf(ip)
	if class == policy.Metadata {
		return &addressError{class: class}
	}
	if d.isOwn(ap) {
		return &addressError{own: true}
	}
	if class == policy.Private {
		for _, p := range d.allowPrivate {
			if p.Contains(ip) {
				return nil
			}
		}
		return &addressError{class: class}
	}
	return nil
}

// isOwn reports whether dialling ap would reach kz itself.
func (d *dialer) isOwn(ap netip.AddrPort) bool {
	return d.own != nil && d.own(netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()))
}

// dialVia opens a tunnel to a through the upstream proxy. That proxy's own address is exempt from check, unless it is kz's.
func (d *dialer) dialVia(ctx context.Context, a policy.Authority) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+handshakeTimeout)
	defer cancel()
	port := d.via.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[d.via.Scheme]
		if port == "" {
			port = "80"
		}
	}
	conn, err := d.dialAddress(ctx, net.JoinHostPort(d.via.Hostname(), port), true)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	tunnel, err := d.openVia(ctx, conn, a)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return tunnel, nil
}

func (d *dialer) openVia(ctx context.Context, conn net.Conn, a policy.Authority) (net.Conn, error) {
	if d.via.Scheme == "https" {
		roots, err := d.roots()
		if err != nil {
			return nil, err
		}
		tc := tls.Client(conn, d.verifier.config(d.via.Hostname(), roots))
		if err := tc.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = tc
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: a.String()}, Host: a.String(), Header: http.Header{}}
	if u := d.via.User; u != nil {
		pass, _ := u.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+pass)))
	}
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	br := bufio.NewReader(io.LimitReader(conn, 64<<10))
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &proxyError{resp.StatusCode}
	}
	if n := br.Buffered(); n > 0 {
		// A server that speaks first is heard as soon as the tunnel is open.
		ahead, err := br.Peek(n)
		return &replayConn{Conn: conn, ahead: ahead}, err
	}
	return conn, nil
}

// dialTLS connects to a and verifies it as a.
func (d *dialer) dialTLS(ctx context.Context, a policy.Authority, protocols []string) (net.Conn, error) {
	raw, err := d.dial(ctx, a)
	if err != nil {
		return nil, err
	}
	roots, err := d.roots()
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	config := d.verifier.config(a.Host, roots)
	config.NextProtos, config.ClientSessionCache = protocols, d.sessions
	conn := tls.Client(&upstreamConn{Conn: raw}, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		if isVerification(err) {
			return nil, &verifyError{err}
		}
		return nil, err
	}
	return conn, nil
}

// isVerification tells "is not what it claims, or not TLS at all" from "could not be reached".
func isVerification(err error) bool {
	var own *verifyError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &own) || errors.As(err, &cert) || errors.As(err, &record) || errors.As(err, &alert)
}

// upstreamConn remembers whether the peer ended the connection below TLS. A body that lasts until the connection's end
// is whole only if TLS ended first, with close_notify (RFC 9112, section 9.8).
type upstreamConn struct {
	net.Conn
	cut atomic.Bool
}

func (c *upstreamConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.cut.Store(true)
	}
	return n, err
}

// wasCut reports whether conn, an upstream's, ended without close_notify.
func wasCut(conn net.Conn) bool {
	tc, ok := conn.(*tls.Conn)
	if !ok {
		return false
	}
	uc, ok := tc.NetConn().(*upstreamConn)
	return ok && uc.cut.Load()
}
