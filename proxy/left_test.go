package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kz/proxy"
	"kz/proxy/policy"
)

// leaving is one way in which a client, or kz itself, ends what is under way. It returns when the client has nothing left;
// what it starts before stop is then still under way.
type leaving struct {
	name string
	do   func(b *bed, h2 bool, stop func())
	once bool // it has nothing to do with the version of HTTP
}

// abandon sends r, waits for ready and then stops kz or goes.
func (b *bed) abandon(r *http.Request, h2 bool, ready func(), stop func()) {
	client := b.newClient(h2)
	b.client = client // nothingLeft ends its connection
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err == nil {
			// Behind what kz does not take, its end would wait in the kernel, for the minutes that this lets an orphan live.
			err = conn.(*net.TCPConn).SetLinger(0)
		}
		return conn, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan bool)
	go func() {
		defer close(ended)
		if resp, err := client.Do(r.WithContext(ctx)); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}()
	ready()
	stop()
	cancel()
	if r.Body != nil {
		_ = r.Body.Close() // net/http waits for it
	}
	<-ended
}

// endless is a body of n bytes that then waits until it is closed.
type endless struct {
	io.Reader
	closed chan bool
	once   sync.Once
}

func newEndless(n int64) *endless {
	return &endless{Reader: io.LimitReader(zeroReader{}, n), closed: make(chan bool)}
}

func (e *endless) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err == io.EOF {
		<-e.closed
	}
	return n, err
}

func (e *endless) Close() error {
	e.once.Do(func() { close(e.closed) })
	return nil
}

// upload is a request to path with a body that never ends.
func (b *bed) upload(path, kind string, n int64) *http.Request {
	r := b.request("POST", "https://api.test"+path, "", "Content-Type: "+kind, "Authorization: Bearer "+b.mask("KEY"))
	r.Body, r.ContentLength = newEndless(n), -1
	return r
}

func leavings(reached chan bool) []leaving {
	wait := func() { <-reached }
	briefly := func() { time.Sleep(20 * time.Millisecond) } // nothing tells that kz has come so far
	return []leaving{
		{name: "an answer is awaited", do: func(b *bed, h2 bool, stop func()) {
			b.abandon(b.request("GET", "https://api.test/wait", ""), h2, wait, stop)
		}},
		{name: "an answer is coming", do: func(b *bed, h2 bool, stop func()) {
			b.abandon(b.request("GET", "https://api.test/flow", ""), h2, wait, stop)
		}},
		{name: "an answer is stalled", do: func(b *bed, h2 bool, stop func()) {
			b.abandon(b.request("GET", "https://api.test/some", ""), h2, wait, stop)
		}},
		{name: "a body is on its way", do: func(b *bed, h2 bool, stop func()) {
			b.abandon(b.upload("/wait", "text/plain", 8<<20), h2, wait, stop)
		}},
		{name: "a body with a swap is on its way", do: func(b *bed, h2 bool, stop func()) {
			b.abandon(b.upload("/wait", "application/json", 8<<20), h2, wait, stop)
		}},
		{name: "a body that is read whole does not come", do: func(b *bed, h2 bool, stop func()) {
			b.abandon(b.upload("/wait", "application/json", 100), h2, briefly, stop)
		}},
		{name: "both directions are under way", do: func(b *bed, h2 bool, stop func()) {
			b.abandon(b.upload("/echo", "text/plain", 8<<20), h2, wait, stop)
		}},
		{name: "the upstream resets a body", do: func(b *bed, h2 bool, stop func()) {
			b.abandon(b.upload("/reset", "text/plain", 8<<20), h2, wait, stop)
		}},
		{name: "the client says nothing", once: true, do: func(b *bed, _ bool, stop func()) {
			conn, err := net.Dial("tcp", b.address)
			if err != nil {
				b.t.Fatal(err)
			}
			stop()
			_ = conn.Close()
		}},
		{name: "the client is not let in", once: true, do: func(b *bed, _ bool, stop func()) {
			conn, _ := b.tryConnect("api.test:443", "")
			stop()
			_ = conn.Close()
		}},
		{name: "the client does not begin its TLS", once: true, do: func(b *bed, _ bool, stop func()) {
			conn := b.connect("api.test:443")
			stop()
			_ = conn.Close()
		}},
		{name: "the client breaks off its TLS", once: true, do: func(b *bed, _ bool, stop func()) {
			conn := b.connect("api.test:443")
			_, _ = io.WriteString(conn, "\x16\x03\x01\x02\x00\x01\x00")
			stop()
			_ = conn.Close()
		}},
		{name: "the client breaks off its head", once: true, do: func(b *bed, _ bool, stop func()) {
			conn := b.raw("api.test:443", "api.test")
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHos")
			stop()
			_ = conn.NetConn().Close()
		}},
		{name: "a tunnel is open", once: true, do: func(b *bed, _ bool, stop func()) {
			conn := b.connect("tunnel.test:443")
			tc := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			_, _ = io.WriteString(tc, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
			wait()
			stop()
			_ = conn.Close()
		}},
		{name: "a tunnel is half closed", once: true, do: func(b *bed, _ bool, stop func()) {
			conn := b.connect("tunnel.test:443").(*net.TCPConn)
			_ = conn.CloseWrite()
			stop()
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}},
		{name: "a tunnel's upstream takes nothing", once: true, do: func(b *bed, _ bool, stop func()) {
			conn := b.connect("evil.test:443").(*net.TCPConn)
			_ = conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			_, _ = io.Copy(conn, zeroReader{})
			<-reached
			stop()
			_ = conn.SetLinger(0)
			_ = conn.Close()
		}},
		{name: "a WebSocket is open", once: true, do: func(b *bed, _ bool, stop func()) {
			conn, _, _ := b.rawSocket("")
			wait()
			stop()
			_ = conn.Close()
		}},
		{name: "the upstream does not begin its TLS", do: func(b *bed, h2 bool, stop func()) {
			b.abandon(b.request("GET", "https://other.test/", ""), h2, wait, stop)
		}},
		{name: "a plain request is under way", once: true, do: func(b *bed, _ bool, stop func()) {
			conn, err := net.Dial("tcp", b.address)
			if err != nil {
				b.t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET http://api.test/wait HTTP/1.1\r\nHost: api.test\r\nProxy-Authorization: Basic %s\r\n\r\n", basic("kz", credential))
			wait()
			stop()
			_ = conn.Close()
		}},
	}
}

// leftBed is a bed whose upstreams say when they are reached.
func leftBed(t *testing.T, reached chan bool) *bed {
	over := make(chan bool)
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		switch r.URL.Path {
		case "/flow":
			_, _ = io.WriteString(w, "begun")
			reached <- true
			_, _ = io.Copy(w, zeroReader{})
		case "/some":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, strings.Repeat("x", 50))
			_ = rc.Flush()
			reached <- true
			<-r.Context().Done()
		case "/echo":
			_ = rc.EnableFullDuplex()
			reached <- true
			_, _ = io.Copy(w, r.Body)
		case "/reset":
			_, _ = io.ReadFull(r.Body, make([]byte, 1<<20))
			reached <- true
			panic(http.ErrAbortHandler)
		case "/ws":
			conn, rw, err := rc.Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			reached <- true
			_, _ = io.Copy(io.Discard, rw)
		default:
			reached <- true
			select {
			case <-r.Context().Done():
			case <-over: // net/http hears nothing of its client while the body is not read
			}
		}
	}), func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = silent.Close() })
		go func() {
			for {
				conn, err := silent.Accept()
				if err != nil {
					return
				}
				_, _ = bufio.NewReader(conn).Peek(1)
				reached <- true
				t.Cleanup(func() { _ = conn.Close() })
			}
		}()
		b.pinTo(o, "other.test:443", silent.Addr().String())
		b.pinTo(o, "evil.test:443", silent.Addr().String())
		plain := httptest.NewServer(http.HandlerFunc(b.serveUpstream))
		t.Cleanup(plain.Close)
		b.pin(o, "api.test:80", plain)
	})
	t.Cleanup(func() { close(over) })
	return b
}

// nothingLeft waits until nothing runs but what ran before.
func (b *bed) nothingLeft(before goleak.Option) {
	b.t.Helper()
	var err error
	upstream := goleak.IgnoreAnyFunction("kz/proxy_test.leftBed.func1")
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b.client.CloseIdleConnections()
		if err = goleak.Find(before, upstream); err == nil {
			return
		}
	}
	b.t.Error(err)
}

// TestNothingIsLeftOfWhatEnds ends every kind of connection at every stage, from every side, and looks for what goes on.
func TestNothingIsLeftOfWhatEnds(t *testing.T) {
	ends := []struct {
		name string
		stop func(b *bed)
	}{
		{"the client leaves", func(*bed) {}},
		{"kz closes", func(b *bed) { _ = b.proxy.Close() }},
		{"kz shuts down", func(b *bed) {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			_ = b.proxy.Shutdown(ctx)
		}},
	}
	reached := make(chan bool, 10)
	for _, end := range ends {
		for _, l := range leavings(reached) {
			for _, h2 := range []bool{false, true} {
				if l.once && h2 {
					continue
				}
				t.Run(fmt.Sprintf("%s while %s, h2 %v", end.name, l.name, h2), func(t *testing.T) {
					b := leftBed(t, reached)
					b.proxy.KeepAlone(10 * time.Millisecond)
					b.proxy.LookFor(20 * time.Millisecond)
					conn, _ := b.tryConnect("api.test:443", "") // so that it surely serves
					_ = conn.Close()
					before := goleak.IgnoreCurrent()
					l.do(b, h2, func() { end.stop(b) })
					b.nothingLeft(before)
				})
			}
		}
	}
}
