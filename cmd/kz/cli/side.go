package cli

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"kz/resolver"
)

// sideAddress is what --metrics and --health name: a port alone is one of the loopback interface.
func sideAddress(flag, example, s string) (string, error) {
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		s = ":" + s
	}
	host, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "", misuse(fmt.Sprintf("as in %s %s, or %s 0.0.0.0:%s for other machines", flag, example, flag, example),
			"%s takes a port, or an address and a port", flag)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// maxSideConns bounds how many connections there are at the same time; a scraper or a prober has one.
const maxSideConns = 16

// side is what is served beside the proxy, at an address of its own and without a credential: counters, health.
type side struct {
	flag, address string
	what          string // "metrics"
	tells         string // what who can reach it learns
	routes        map[string]http.HandlerFunc
}

// sides joins those of one address.
func sides(all ...side) (joined []side) {
	for _, s := range all {
		if s.address == "" {
			continue
		}
		i := slices.IndexFunc(joined, func(j side) bool { return j.address == s.address })
		if i < 0 {
			s.routes = maps.Clone(s.routes)
			joined = append(joined, s)
			continue
		}
		maps.Copy(joined[i].routes, s.routes)
		joined[i].what += " and " + s.what
	}
	return joined
}

// serveSide answers until stop.
func (a *app) serveSide(s side) (stop func(), err error) {
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return nil, withHint(fmt.Errorf("listening on %s for %s: %s", s.address, s.what, because(err)), "choose another address with %s", s.flag)
	}
	loopback := onLoopback(l.Addr())
	if !loopback {
		a.ui.Warnf("the %s on %s can be read from other machines; %s", s.what, l.Addr(), s.tells)
	}
	server := &http.Server{
		Handler:           sideHandler(s.routes, loopback),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 8 << 10,
		ErrorLog:       slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelError),
	}
	go func() { _ = server.Serve(&fewConns{Listener: l, most: maxSideConns}) }()
	a.ui.Notef("%s on http://%s%s", s.what, l.Addr(), strings.Join(slices.Sorted(maps.Keys(s.routes)), ", "))
	return func() { _ = server.Close() }, nil
}

// metricsRoutes is the path of a session's counters.
func metricsRoutes(session string, report func() []resolver.Status) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{"/metrics": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", metricsType)
		_, _ = io.WriteString(w, metricsOf(session, report()))
	}}
}

// sideHandler answers the given paths. On the loopback interface it answers to addresses and localhost only, so that no
// web page reads it by a name that leads there.
func sideHandler(routes map[string]http.HandlerFunc, loopback bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		serve := routes[r.URL.Path]
		switch {
		case loopback && !isLocalName(r.Host):
			http.Error(w, "ask for an address, or localhost", http.StatusMisdirectedRequest)
		case serve == nil:
			http.Error(w, "there is "+strings.Join(slices.Sorted(maps.Keys(routes)), ", "), http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		default:
			serve(w, r)
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

// fewConns is a listener with room for a few connections: for one more it hangs up on the oldest, so that one who holds
// them all keeps nobody else out for long.
type fewConns struct {
	net.Listener
	most int

	mu   sync.Mutex
	open []*countedConn // the oldest first
}

// Accept implements net.Listener.
func (f *fewConns) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &countedConn{c, f}
	f.mu.Lock()
	var oldest *countedConn
	if len(f.open) == f.most {
		oldest = f.open[0]
		f.open = f.open[1:]
	}
	f.open = append(f.open, counted)
	f.mu.Unlock()
	if oldest != nil {
		_ = oldest.Conn.Close()
	}
	return counted, nil
}

type countedConn struct {
	net.Conn
	of *fewConns
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	c.of.mu.Lock()
	c.of.open = slices.DeleteFunc(c.of.open, func(o *countedConn) bool { return o == c })
	c.of.mu.Unlock()
	return c.Conn.Close()
}
