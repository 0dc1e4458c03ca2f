package main

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
)

// serveReverse is what net/http alone takes: it ends the client's TLS, and a bare httputil.ReverseProxy sends the requests on.
// It finds, swaps, scrubs, decides and records nothing.
func serveReverse(l net.Listener, dir, originAddr string) error {
	cert, roots, err := certsOf(dir)
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	transport := func(h2 bool) *http.Transport {
		return &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, network, originAddr)
			},
			TLSClientConfig:   &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(0)},
			ForceAttemptHTTP2: h2, DisableCompression: true, MaxIdleConnsPerHost: 256,
		}
	}
	clients := made{make(chan net.Conn), l.Addr()}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "https", r.In.Host },
		Transport: byProtocol{h1: transport(false), h2: transport(true)},
	}}
	go func() { _ = server.Serve(clients) }()
	return accept(l, func(raw net.Conn) error {
		if err := readConnect(raw); err != nil {
			return err
		}
		client := tls.Server(raw, config)
		if err := client.Handshake(); err != nil {
			return err
		}
		clients.conns <- client
		return errHandedOn
	})
}

// byProtocol speaks h2 for the clients that do.
type byProtocol struct{ h1, h2 *http.Transport }

func (b byProtocol) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ProtoMajor == 2 {
		return b.h2.RoundTrip(r)
	}
	return b.h1.RoundTrip(r)
}

// made is a listener of connections that were made elsewhere.
type made struct {
	conns chan net.Conn
	addr  net.Addr
}

func (m made) Accept() (net.Conn, error) { return <-m.conns, nil }
func (m made) Close() error              { return nil }
func (m made) Addr() net.Addr            { return m.addr }
