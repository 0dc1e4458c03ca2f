package cli

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"kz/resolver"
)

// metricsAddress is what --metrics names: a port alone is one of the loopback interface.
func metricsAddress(s string) (string, error) {
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		s = ":" + s
	}
	host, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "", misuse("as in --metrics 9464, or --metrics 0.0.0.0:9464 for other machines", "--metrics takes a port, or an address and a port")
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// maxMetricsConns bounds how many connections there are at the same time; a scraper has one.
const maxMetricsConns = 16

// serveMetrics answers GET /metrics at an address of its own, without a credential, until stop. It says names of backends
// and numbers.
func (a *app) serveMetrics(address, session string, report func() []resolver.Status) (stop func(), err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, withHint(fmt.Errorf("listening on %s for metrics: %s", address, because(err)), "choose another address with --metrics")
	}
	loopback := onLoopback(l.Addr())
	if !loopback {
		a.ui.Warnf("the metrics on %s can be read from other machines; they name the backends", l.Addr())
	}
	server := &http.Server{
		Handler:           metricsHandler(session, report, loopback),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 8 << 10,
		ErrorLog:       slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelError),
	}
	go func() { _ = server.Serve(&fewConns{Listener: l, room: make(chan struct{}, maxMetricsConns)}) }()
	a.ui.Notef("metrics on http://%s/metrics", l.Addr())
	return func() { _ = server.Close() }, nil
}

// metricsHandler answers one path. On the loopback interface it answers to addresses and localhost only, so that no web
// page reads it by a name that leads there.
func metricsHandler(session string, report func() []resolver.Status, loopback bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case loopback && !isLocalName(r.Host):
			http.Error(w, "ask for an address, or localhost", http.StatusMisdirectedRequest)
		case r.URL.Path != "/metrics":
			http.Error(w, "the metrics are at /metrics", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		default:
			w.Header().Set("Content-Type", metricsType)
			_, _ = io.WriteString(w, metricsOf(session, report()))
		}
	})
}

func isLocalName(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	_, err = netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}

// fewConns is a listener that hangs up on more connections than it has room for.
type fewConns struct {
	net.Listener
	room chan struct{}
}

// Accept implements net.Listener.
func (f *fewConns) Accept() (net.Conn, error) {
	for {
		c, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case f.room <- struct{}{}:
			return &countedConn{c, sync.OnceFunc(func() { <-f.room })}, nil
		default:
			_ = c.Close()
		}
	}
}

type countedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
