package proxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"kz/proxy"
	"kz/proxy/policy"
	"kz/resolver"
)

// journal is what was logged.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// listening gets a TLS listener for one of the proxy's upstreams, which speaks alpn and answers each connection with f.
func (b *bed) listening(o *proxy.Options, host, alpn string, f func(net.Conn)) {
	b.t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{NextProtos: []string{alpn}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return b.minter.Leaf(strings.TrimSuffix(host, ":443"))
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				f(c)
			}()
		}
	}()
	b.pinTo(o, host, l.Addr().String())
}

// farewell is an upstream of HTTP/2 that ends the connection at the first request, and says text.
func farewell(text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := http2.NewFramer(c, c)
		_ = f.WriteSettings()
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if h, ok := frame.(*http2.HeadersFrame); ok {
				_ = f.WriteGoAway(h.StreamID, http2.ErrCodeProtocol, []byte(text))
				return
			}
		}
	}
}

// says answers one request with text.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := c.Read(make([]byte, 4096)); err == nil {
			_, _ = io.WriteString(c, text)
		}
	}
}

// TestNoLogQuotesAPeer is not parallel: it listens to the standard logger, which net/http's servers use unless told otherwise.
func TestNoLogQuotesAPeer(t *testing.T) {
	var said journal
	was, flags := log.Writer(), log.Flags()
	log.SetOutput(&said)
	t.Cleanup(func() { log.SetOutput(was); log.SetFlags(flags) })
	answers := map[string]string{
		"no status line": keyValue + "\r\n\r\n", "no number": "HTTP/1.1 " + keyValue + " OK\r\n\r\n", "a version": "HTTP/" + keyValue + " 200 OK\r\n\r\n",
		"no colon": "HTTP/1.1 200 OK\r\n" + keyValue + "\r\n\r\n", "no name": "HTTP/1.1 200 OK\r\n" + keyValue + " : 1\r\n\r\n",
		"a length": "HTTP/1.1 200 OK\r\nContent-Length: " + keyValue + "\r\n\r\n", "a framing": "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + keyValue + "\r\n\r\n",
		"a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + keyValue + "\r\nok\r\n0\r\n\r\n", "a coding": "HTTP/1.1 200 OK\r\nContent-Encoding: " + keyValue + "\r\nContent-Length: 2\r\n\r\nok",
		"bytes after a body": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok" + keyValue, "an early answer": "HTTP/1.1 199 " + keyValue + "\r\nX: " + keyValue + "\r\n\r\nHTTP/1.1 x\r\n\r\n",
	}
	var broken, odd atomic.Value // what the store does, what h1.test answers
	broken.Store("")
	b := newBed(t, func(b *bed, o *proxy.Options, secrets *[]policy.Secret, _ *policy.Egress) {
		o.Log = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
		(*secrets)[0].Hosts = hosts(b.t, "api.test", "h1.test", "h2.test", "cert.test")
		b.listening(o, "h2.test:443", "h2", farewell(keyValue))
		b.listening(o, "h1.test:443", "http/1.1", func(c net.Conn) { says(odd.Load().(string))(c) })
		values := o.Values
		o.Values = func(ctx context.Context, name string) (resolver.Secret, error) {
			switch broken.Load() {
			case "panic":
				panic(fmt.Sprintf("a store broke: %s", keyValue))
			case "error":
				return resolver.Secret{}, fmt.Errorf("%w: %s", net.ErrClosed, "the store's own words")
			}
			return values(ctx, name)
		}
	})
	ask := func(client *http.Client, u string) string {
		resp, err := client.Do(b.request("GET", u, "", "Authorization: Bearer "+b.mask("KEY")))
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return fmt.Sprint(resp.Status, resp.Header, string(body), resp.Trailer, err)
	}
	check := func(what, answer string) {
		t.Helper()
		if strings.Contains(answer, keyValue) || strings.Contains(said.String(), keyValue) {
			t.Errorf("%s: the value is in the answer or in a log:\n%s\n%s", what, answer, said.String())
		}
	}
	for name, text := range answers {
		odd.Store(text)
		check(name, ask(b.client, "https://h1.test/x"))
	}
	for range 3 {
		check("GOAWAY", ask(b.newClient(true), "https://h2.test/x"))
	}
	broken.Store("panic")
	check("a panic", ask(b.client, "https://api.test/x"))
	check("a panic, h2", ask(b.newClient(true), "https://api.test/x"))
	broken.Store("error")
	if got := ask(b.client, "https://api.test/x"); !strings.Contains(got, "secret_unavailable") {
		t.Errorf("an error of the store: %s", got)
	}
	broken.Store("")
	// Clients that say what is no request, or no handshake.
	for _, text := range []string{keyValue + "\r\n\r\n", "GET / HTTP/" + keyValue + "\r\n\r\n", "GET / HTTP/1.1\r\n" + keyValue + "\r\n\r\n"} {
		for _, open := range []func() net.Conn{
			func() net.Conn { c, _ := net.Dial("tcp", b.address); return c },
			func() net.Conn { return b.connect("api.test:443") },
			func() net.Conn { return b.raw("api.test:443", "api.test") },
		} {
			c := open()
			_ = c.SetDeadline(time.Now().Add(2 * time.Second))
			_, _ = io.WriteString(c, text)
			answer, _ := io.ReadAll(c)
			_ = c.Close()
			check("a client that says "+text, string(answer))
		}
	}
	check("a client that does not trust", fmt.Sprint(tls.Client(b.connect("api.test:443"), &tls.Config{ServerName: "api.test"}).Handshake()))
	if got := ask(b.client, "https://api.test/x"); !strings.HasPrefix(got, "200") {
		t.Errorf("afterwards: %s", got)
	}
	if s := said.String(); !strings.Contains(s, "resolving_secret") {
		t.Errorf("the log is not where it was looked for: %q", s)
	} else if strings.Contains(s, "goroutine ") || strings.Contains(s, "http: ") {
		t.Errorf("a library speaks:\n%s", s)
	}
}
