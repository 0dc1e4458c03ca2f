// Package peers has other interceptors, for tests and benchmarks to hold kz against.
//
//	g, err := peers.StartGoproxy(peers.Goproxy{Pins: map[string]string{"api.test:443": addr}, Roots: o.CAPEM()})
//	defer g.Close()
//	// use http://g.Addr as the proxy, trusting g.CAPEM
//
// Beside package proxy this is the only one that may import goproxy: here its own
// interception is used, with the defects that kz has to be free of.
package peers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/elazarl/goproxy"
	"github.com/elazarl/goproxy/ext/auth"
)

// Goproxy sets up goproxy with ConnectMitm, as its documentation shows it. What no
// field names is as goproxy.NewProxyHttpServer and http.Serve leave it.
type Goproxy struct {
	Listener net.Listener      `json:"-"` // nil: a port of 127.0.0.1
	Pins     map[string]string // host:port → the address to dial; others are dialled as they are
	Roots    []byte            // PEM: who may sign for upstreams beside the system's roots
	Tunnels  []string          // hosts whose tunnels are accepted instead of intercepted

	RSA         bool // the CA has an RSA key, as goproxy's own; false: P-256
	PublicCA    bool // goproxy's own CA, through goproxy.MitmConnect
	KeepLeaves  bool // CertStore is set, so that a leaf is made once for a host
	AllowHTTP2  bool
	KeepHeaders bool // PreventCanonicalization is set

	Replace  [2]string // OnResponse puts the second for the first in bodies, as they are read
	PanicAt  string    // OnRequest panics at this path
	Password string    // of the user "kz", asked for by goproxy's ext/auth
}

// RunningGoproxy is a goproxy that serves. It is safe for concurrent use.
type RunningGoproxy struct {
	Addr  string            // of its listener
	CA    *x509.Certificate // what clients must trust
	CAPEM []byte            // the same

	server *http.Server
	tr     *http.Transport
	done   chan struct{}
}

// StartGoproxy serves goproxy on loopback until Close.
func StartGoproxy(o Goproxy) (*RunningGoproxy, error) {
	authority, err := newAuthority(o.RSA)
	if err != nil {
		return nil, err
	}
	intercept := &goproxy.ConnectAction{Action: goproxy.ConnectMitm, TLSConfig: goproxy.TLSConfigFromCA(authority)}
	if o.PublicCA {
		authority, intercept = &goproxy.GoproxyCa, goproxy.MitmConnect
	}
	p := goproxy.NewProxyHttpServer()
	p.Logger = log.New(io.Discard, "", 0)
	p.AllowHTTP2 = o.AllowHTTP2
	p.PreventCanonicalization = o.KeepHeaders
	if o.KeepLeaves {
		p.CertStore = &leaves{}
	}
	if err := o.upstream(p.Tr); err != nil {
		return nil, err
	}
	p.OnRequest().HandleConnectFunc(func(host string, ctx *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
		if o.Password != "" {
			if action, _ := auth.BasicConnect("goproxy", o.allowed).HandleConnect(host, ctx); action.Action == goproxy.ConnectReject {
				return action, host
			}
		}
		if slices.Contains(o.Tunnels, host) {
			return &goproxy.ConnectAction{Action: goproxy.ConnectAccept}, host
		}
		return intercept, host
	})
	o.hooks(p)

	ca, err := x509.ParseCertificate(authority.Certificate[0])
	if err != nil {
		return nil, err
	}
	ln := o.Listener
	if ln == nil {
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
	}
	r := &RunningGoproxy{
		Addr: ln.Addr().String(), CA: ca, CAPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate[0]}),
		server: &http.Server{Handler: p, ErrorLog: p.Logger.(*log.Logger)}, tr: p.Tr, done: make(chan struct{}),
	}
	go func() {
		defer close(r.done)
		_ = r.server.Serve(ln)
	}()
	return r, nil
}

// Close stops the listener. Connections that goproxy has hijacked stay until their
// clients go: it keeps no account of them.
func (r *RunningGoproxy) Close() error {
	err := r.server.Close()
	<-r.done
	r.tr.CloseIdleConnections()
	return err
}

// upstream sets where tr dials and whom it trusts, and nothing else. The TLS
// configuration that is there belongs to all of goproxy, so it gets one of its own.
func (o Goproxy) upstream(tr *http.Transport) error {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return err
	}
	if len(o.Roots) > 0 && !roots.AppendCertsFromPEM(o.Roots) {
		return errors.New("peers: no certificate in Goproxy.Roots")
	}
	tr.TLSClientConfig = &tls.Config{RootCAs: roots}
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if pinned, ok := o.Pins[addr]; ok {
			addr = pinned
		}
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
	return nil
}

// hooks are what a user of goproxy would write.
func (o Goproxy) hooks(p *goproxy.ProxyHttpServer) {
	if o.Password != "" {
		p.OnRequest().Do(auth.Basic("goproxy", o.allowed))
	}
	if o.PanicAt != "" {
		p.OnRequest().DoFunc(func(r *http.Request, _ *goproxy.ProxyCtx) (*http.Request, *http.Response) {
			if r.URL.Path == o.PanicAt {
				panic("as a defect would")
			}
			return r, nil
		})
	}
	if o.Replace[0] != "" {
		p.OnResponse().DoFunc(func(resp *http.Response, _ *goproxy.ProxyCtx) *http.Response {
			if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
				resp.Body = &replacing{ReadCloser: resp.Body, from: []byte(o.Replace[0]), to: []byte(o.Replace[1])}
			}
			return resp
		})
	}
}

func (o Goproxy) allowed(user, password string) bool { return user == "kz" && password == o.Password }

// replacing replaces within each read: enough for tests whose values come in one.
type replacing struct {
	io.ReadCloser
	from, to []byte
	rest     []byte
}

func (r *replacing) Read(p []byte) (int, error) {
	if len(r.rest) > 0 {
		n := copy(p, r.rest)
		r.rest = r.rest[n:]
		return n, nil
	}
	n, err := r.ReadCloser.Read(p)
	out := bytes.ReplaceAll(p[:n:n], r.from, r.to)
	m := copy(p, out)
	r.rest = append([]byte(nil), out[m:]...)
	if len(r.rest) > 0 {
		return m, nil // the reader says err again
	}
	return m, err
}

// leaves is a goproxy.CertStorage that forgets nothing.
type leaves struct {
	mu   sync.Mutex
	list map[string]*tls.Certificate
}

// Fetch implements goproxy.CertStorage.
func (l *leaves) Fetch(host string, gen func() (*tls.Certificate, error)) (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.list[host]; c != nil {
		return c, nil
	}
	c, err := gen()
	if err == nil {
		if l.list == nil {
			l.list = map[string]*tls.Certificate{}
		}
		l.list[host] = c
	}
	return c, err
}
