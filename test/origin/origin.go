// Package origin plays the APIs that kz talks to in end-to-end tests: a TLS
// server with a certificate authority of its own, which remembers every request
// it receives byte for byte and answers with whatever a test asks for.
//
//	o, err := origin.Start(origin.Options{})
//	defer o.Close()
//	// dial o.Addr("tls") as api.test, trusting o.CAPEM()
//	for _, r := range o.Requests() { … r.Header.Get("Authorization") … }
//
// Requests choose the answer by path; see [Origin.routes] for the list and the
// handlers for their parameters. A second, plain listener on loopback serves the
// record and takes settings for tests in other languages; the methods of Origin
// do the same in process.
//
// Bodies are streamed: a gigabyte either way takes constant memory. Of each
// request body the first [KeepBody] bytes are kept, beside its length and hash.
package origin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultHosts are the names the origin has good certificates for.
var DefaultHosts = []string{"api.test", "other.test", "evil.test", "git.test", "*.wild.test"}

// Options sets up an Origin. The zero value serves [DefaultHosts] on loopback.
type Options struct {
	Hosts  []string // names with a good certificate; nil: DefaultHosts
	Dir    string   // where ca.pem and the git repository go; "": a temporary directory, removed by Close
	Listen string   // address of the listeners, port 0; "": 127.0.0.1:0
	NoKeep bool     // do not record requests (for load tests)
}

// Origin is a running set of listeners. It is safe for concurrent use.
type Origin struct {
	opts     Options
	dir      string
	ownDir   bool
	ca       *authority
	addrs    map[string]string
	servers  []*http.Server
	raw      net.Listener
	closing  chan struct{}
	wg       sync.WaitGroup
	stats    stats
	records  recorder
	settings settings
	git      gitRepo
}

// stats counts what reached the listeners.
type stats struct {
	accepted, open, badHandshakes, requests, bytesIn atomic.Int64
}

// Start listens and serves. The caller must Close the result.
func Start(opts Options) (*Origin, error) {
	if opts.Hosts == nil {
		opts.Hosts = DefaultHosts
	}
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	o := &Origin{opts: opts, dir: opts.Dir, addrs: map[string]string{}, closing: make(chan struct{})}
	o.settings.init()
	if err := o.start(); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

func (o *Origin) start() (err error) {
	if o.dir == "" {
		o.ownDir = true
		if o.dir, err = os.MkdirTemp("", "kz-origin-"); err != nil {
			return err
		}
	}
	if o.ca, err = newAuthority("kz test origin CA"); err != nil {
		return fmt.Errorf("making the test CA: %w", err)
	}
	if err = os.WriteFile(o.CAFile(), o.CAPEM(), 0o644); err != nil {
		return err
	}
	handler := o.recorded(o.routes())
	for name, config := range o.tlsConfigs() {
		if err = o.serve(name, config, handler); err != nil {
			return err
		}
	}
	if err = o.serve("plain", nil, handler); err != nil {
		return err
	}
	if err = o.serve("control", nil, o.control()); err != nil {
		return err
	}
	return o.serveRaw()
}

// serve adds one HTTP listener; config nil means cleartext.
func (o *Origin) serve(name string, config *tls.Config, handler http.Handler) error {
	ln, err := o.listen(name)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           handler,
		TLSConfig:         config,
		ReadHeaderTimeout: 30 * time.Second,
		MaxHeaderBytes:    8 << 20,
		ErrorLog:          log.New(handshakeCounter{&o.stats.badHandshakes}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, connInfo{listener: name, conn: c})
		},
	}
	o.servers = append(o.servers, srv)
	o.wg.Go(func() {
		if config == nil {
			_ = srv.Serve(ln)
			return
		}
		_ = srv.ServeTLS(ln, "", "")
	})
	return nil
}

// listen opens the listener of the given name and notes its address.
func (o *Origin) listen(name string) (net.Listener, error) {
	ln, err := net.Listen("tcp", o.opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for %s: %w", name, err)
	}
	o.addrs[name] = ln.Addr().String()
	if name == "control" {
		return ln, nil
	}
	return &countingListener{Listener: ln, stats: &o.stats}, nil
}

// Close ends every listener and connection at once, and removes what Start made.
func (o *Origin) Close() error {
	var errs []error
	close(o.closing)
	for _, srv := range o.servers {
		errs = append(errs, srv.Close())
	}
	if o.raw != nil {
		errs = append(errs, o.raw.Close())
	}
	o.wg.Wait()
	if o.ownDir && o.dir != "" {
		errs = append(errs, os.RemoveAll(o.dir))
	}
	return errors.Join(errs...)
}

// Addr is the host:port of a listener:
//
//	tls          good certificates, HTTP/1.1 and h2
//	h1           good certificates, HTTP/1.1 only
//	wrong-name   a good certificate of another name
//	self-signed  a certificate that signs itself
//	untrusted    a certificate of an unknown authority
//	expired      a certificate that ended an hour ago
//	old-tls      good certificates, TLS 1.1 at most
//	raw          good certificates, scripted bytes for answers; see SetRaw
//	plain        cleartext HTTP
//	control      the record and the settings
//
// It panics on any other name.
func (o *Origin) Addr(name string) string {
	addr, ok := o.addrs[name]
	if !ok {
		panic("origin: unknown listener " + name)
	}
	return addr
}

// Addrs maps each listener's name to its host:port.
func (o *Origin) Addrs() map[string]string { return o.addrs }

// CAPEM is the certificate of the authority that signed the good certificates.
func (o *Origin) CAPEM() []byte { return o.ca.pem }

// CAFile is a file that holds CAPEM.
func (o *Origin) CAFile() string { return filepath.Join(o.dir, "ca.pem") }

// Stats is a snapshot of what has reached the listeners, control excepted.
type Stats struct {
	Connections   int64 `json:"connections"`    // accepted since the start
	Open          int64 `json:"open"`           // of those, not yet closed
	BadHandshakes int64 `json:"bad_handshakes"` // TLS handshakes that failed
	Requests      int64 `json:"requests"`       // requests whose head was read
	BytesIn       int64 `json:"bytes_in"`       // bytes read from sockets, TLS included
}

// Stats reports the counters; they are not reset by Reset.
func (o *Origin) Stats() Stats {
	return Stats{
		Connections: o.stats.accepted.Load(), Open: o.stats.open.Load(), BadHandshakes: o.stats.badHandshakes.Load(),
		Requests: o.stats.requests.Load(), BytesIn: o.stats.bytesIn.Load(),
	}
}

// countingListener counts connections and the bytes they bring.
type countingListener struct {
	net.Listener
	stats *stats
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.stats.accepted.Add(1)
	l.stats.open.Add(1)
	return &countingConn{Conn: c, stats: l.stats}, nil
}

type countingConn struct {
	net.Conn
	stats *stats
	in    atomic.Int64
	once  sync.Once
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	c.stats.bytesIn.Add(int64(n))
	return n, err
}

func (c *countingConn) Close() error {
	c.once.Do(func() { c.stats.open.Add(-1) })
	return c.Conn.Close()
}

// abort sends RST in place of the rest.
func (c *countingConn) abort() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// handshakeCounter takes an http.Server's error log: almost all it says is that
// a TLS handshake failed.
type handshakeCounter struct{ n *atomic.Int64 }

func (h handshakeCounter) Write(p []byte) (int, error) {
	if len(p) > 4 && string(p[:4]) == "http" {
		h.n.Add(1)
	}
	return len(p), nil
}

var _ io.Writer = handshakeCounter{}
