package load

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kz/test/bench/origin"
	"kz/test/bench/wire"
)

// aWhile is enough for some requests.
const aWhile = 30 * time.Millisecond

// loads are all that the generator can send. Each wants a right answer to each request.
var loads = map[string]func(r *Route) error{
	"http/1.1 requests": func(r *Route) error { return some(r.Requests(Clients{"http/1.1", 3, 1}, aWhile)) },
	"h2 requests":       func(r *Route) error { return some(r.Requests(Clients{"h2", 3, 1}, aWhile)) },
	"h2 streams":        func(r *Route) error { return some(r.Requests(Clients{"h2", 1, 16}, aWhile)) },
	"http/1.1 requests of net/http": func(r *Route) error {
		return some(r.GoClient(Clients{"http/1.1", 3, 1}, aWhile))
	},
	"h2 streams of net/http": func(r *Route) error { return some(r.GoClient(Clients{"h2", 1, 16}, aWhile)) },
	"connections to the same host": func(r *Route) error {
		res, _, err := r.Connections(SameHost, 2, aWhile)
		return some(res, err)
	},
	"connections to new hosts": func(r *Route) error {
		res, _, err := r.Connections(NewHost, 2, aWhile)
		return some(res, err)
	},
	"resumed connections": func(r *Route) error {
		res, resumed, err := r.Connections(Resumed, 2, aWhile)
		if err == nil && resumed != 1 {
			return errors.New("not resumed")
		}
		return some(res, err)
	},
	"http/1.1 down":   func(r *Route) error { return took(r.Down("http/1.1", 3<<20)) },
	"h2 down":         func(r *Route) error { return took(r.Down("h2", 3<<20)) },
	"http/1.1 up":     func(r *Route) error { return took(r.Up("http/1.1", 3<<20)) },
	"h2 up":           func(r *Route) error { return took(r.Up("h2", 3<<20)) },
	"http/1.1 events": func(r *Route) error { return events(r, "http/1.1") },
	"h2 events":       func(r *Route) error { return events(r, "h2") },
	"idle connections": func(r *Route) error {
		stop, err := r.Idle(3)
		stop()
		return err
	},
	"open http/1.1 streams": func(r *Route) error {
		stop, err := r.Open("http/1.1", 3, 1)
		stop()
		return err
	},
	"open h2 streams": func(r *Route) error {
		stop, err := r.Open("h2", 2, 5)
		stop()
		return err
	},
}

func some(res Result, err error) error {
	if err == nil && !(res.PerSecond() > 0) {
		return errors.New("nothing happened")
	}
	return err
}

func took(d time.Duration, err error) error {
	if err == nil && d <= 0 {
		return errors.New("it took no time")
	}
	return err
}

func events(r *Route, protocol string) error {
	times, err := r.Events(protocol, 5, time.Millisecond, 20*time.Second)
	if err == nil && (times.Head <= 0 || len(times.Latencies) != 5) {
		return errors.New("the times of events are missing")
	}
	return err
}

func TestLoads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := origin.WriteCerts(dir); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- origin.Serve(l, dir) }()
	t.Cleanup(func() {
		_ = l.Close()
		<-served
	})
	pem, err := os.ReadFile(filepath.Join(dir, origin.CAFile))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	route := func(token, upload string) *Route {
		return &Route{Address: l.Addr().String(), Roots: roots, Token: token, Upload: upload}
	}
	for name, run := range loads {
		t.Run(name+" reach the origin", func(t *testing.T) {
			t.Parallel()
			if err := run(route(wire.Value, wire.UploadValue)); err != nil {
				t.Error(err)
			}
		})
		t.Run(name+" fail when the value does not arrive", func(t *testing.T) {
			t.Parallel()
			err := run(route("kz_masked_0", "kz_masked_0"))
			if err == nil || !strings.Contains(err.Error(), "401") && !strings.HasPrefix(name, "open") {
				t.Error(err)
			}
		})
	}
}

// liar answers as the origin would, with another text in the place of the token, and never refuses anything.
func liar(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	const left = "a-value-that-was-not-scrubbed-from-the-answer-it-is"
	switch r.URL.Path {
	case wire.Chat, wire.Sink:
		_, _ = w.Write(wire.ChatAnswer(left))
	case wire.Bulk:
		_, _ = io.WriteString(w, strings.Repeat("x", 3<<20))
	case wire.Events:
		_ = http.NewResponseController(w).Flush()
		for range 5 {
			_, _ = io.WriteString(w, wire.Event(time.Now().UnixNano(), left))
		}
	}
}

func TestLies(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(liar))
	dir := t.TempDir()
	if err := origin.WriteCerts(dir); err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, origin.LeafFile), filepath.Join(dir, origin.LeafKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	s.TLS, s.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{cert}}, true
	s.StartTLS()
	t.Cleanup(s.Close)
	pem, err := os.ReadFile(filepath.Join(dir, origin.CAFile))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for name, run := range loads {
		if strings.HasPrefix(name, "open") {
			continue // they look at no whole answer
		}
		t.Run(name+" fail when the answer is another", func(t *testing.T) {
			t.Parallel()
			if err := run(&Route{Address: s.Listener.Addr().String(), Roots: roots, Token: wire.Value, Upload: wire.UploadValue}); err == nil {
				t.Error("taken for right")
			}
		})
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, answer, body string
		status             int // 0: an error
	}{
		{"takes a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP", "hello", 200},
		{"takes chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello", 200},
		{"takes other codes", "HTTP/1.1 401 Unauthorized\r\nX: y\r\ncontent-length: 0\r\n\r\n", "", 401},
		{"refuses an answer without length", "HTTP/1.1 200 OK\r\n\r\nhello", "", 0},
		{"refuses a short answer", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "", 0},
		{"refuses a short chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhe", "", 0},
		{"refuses chunks without an end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", "", 0},
		{"refuses a chunk longer than it says", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhel\r\n0\r\n\r\n", "", 0},
		{"refuses what is not HTTP", "SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &h1{r: bufio.NewReader(strings.NewReader(c.answer))}
			status, err := h.read()
			if c.status == 0 {
				if err == nil {
					t.Errorf("it is %d %q", status, h.body)
				}
				return
			}
			if err != nil || status != c.status || string(h.body) != c.body {
				t.Errorf("%d %q %v", status, h.body, err)
			}
		})
	}
}
