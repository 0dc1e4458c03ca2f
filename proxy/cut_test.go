package proxy_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"kz/proxy"
	"kz/proxy/policy"
)

// The ways an upstream ends a connection.
const (
	closeNotify = "close_notify" // TLS ends, then TCP
	fin         = "fin"          // TCP ends, TLS says nothing
	reset       = "reset"
)

// rawUpstream makes api.test an upstream that reads one request's head, writes raw and ends the connection.
func rawUpstream(raw, end string) bedOption {
	return func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { _ = l.Close() })
		b.pinTo(o, "api.test:443", l.Addr().String())
		leaf, err := b.minter.Leaf("api.test")
		if err != nil {
			b.t.Fatal(err)
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go serveRaw(conn.(*net.TCPConn), leaf, raw, end)
			}
		}()
	}
}

func serveRaw(conn *net.TCPConn, leaf *tls.Certificate, raw, end string) {
	tc := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"http/1.1"}})
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(tc))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, r.Body) // unread, it would make every end a reset
	_, _ = io.WriteString(tc, raw)
	switch end {
	case closeNotify:
		_ = tc.Close()
	case reset:
		_ = conn.SetLinger(0)
	}
}

func TestAnAnswerCutShortIsAnAbortedTransfer(t *testing.T) {
	t.Parallel()
	short, long := strings.Repeat("s", 100), strings.Repeat("l", 3<<20)
	length := func(body string, more int) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body)+more, body)
	}
	gz := func(body string) string { return coded(t, "gzip", body) }
	half := func(s string) string { return s[:len(s)/2] }
	cases := map[string]struct {
		raw   string
		end   string
		whole bool
	}{
		"length, one byte missing":               {length(short, 1), closeNotify, false},
		"length, one byte missing, reset":        {length(short, 1), reset, false},
		"length, no byte":                        {length("", 5), closeNotify, false},
		"long length, one byte missing":          {length(long, 1), closeNotify, false},
		"long length, reset":                     {length(long, 100), reset, false},
		"a value at the cut":                     {length(keyValue[:10], 90), closeNotify, false},
		"chunks without an end":                  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", closeNotify, false},
		"a chunk cut":                            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", closeNotify, false},
		"chunks cut in the last line":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", fin, false},
		"until the end, without close_notify":    {"HTTP/1.1 200 OK\r\n\r\n" + short, fin, false},
		"until the end, reset":                   {"HTTP/1.1 200 OK\r\n\r\n" + short, reset, false},
		"gzip of a length, cut":                  {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(gz(short))) + half(gz(short)), closeNotify, false},
		"gzip that ends early in a whole body":   {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(half(gz(short)))) + half(gz(short)), closeNotify, false},
		"gzip in chunks, cut":                    {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + gz(short)[:5] + "\r\n", closeNotify, false},
		"whole, of a length":                     {length(short, 0), fin, true},
		"whole, in chunks":                       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + short + "\r\n0\r\n\r\n", fin, true},
		"whole, until the end with close_notify": {"HTTP/1.1 200 OK\r\n\r\n" + short, closeNotify, true},
	}
	for name, c := range cases {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, h2 %v", name, h2), func(t *testing.T) {
				t.Parallel()
				b := newBed(t, rawUpstream(c.raw, c.end))
				b.client = b.newClient(h2)
				resp, err := b.client.Do(b.request("POST", "https://api.test/", "x"))
				var body []byte
				if err == nil {
					body, err = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
				}
				if c.whole && (err != nil || string(body) != short) {
					t.Errorf("got %q, %v", body, err)
				}
				if !c.whole && err == nil {
					t.Errorf("a success of %d bytes, status %d", len(body), resp.StatusCode)
				}
			})
		}
	}
}

func TestAnH2StreamCutShortIsAnAbortedTransfer(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 100_000, 3 << 20} {
		for _, known := range []bool{true, false} {
			b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
				if known {
					w.Header().Set("Content-Length", fmt.Sprint(size+1))
				}
				_, _ = io.WriteString(w, strings.Repeat("x", size))
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}))
			b.client = b.newClient(true)
			resp, err := b.client.Do(b.request("GET", "https://api.test/", ""))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if err == nil {
				t.Errorf("%d bytes, known %v: a success", size, known)
			}
		}
	}
}

func TestARequestCutShortIsCutForTheUpstream(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 10)
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		failed <- err
	}))
	for _, head := range []string{"Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "Content-Length: 3000000\r\nContent-Type: application/json\r\n\r\n{\"a\":"} {
		conn := b.raw("api.test:443", "api.test")
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: api.test\r\n"+head)
		_ = conn.Close()
		if err := <-failed; !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: the upstream read %v", head, err)
		}
	}
}
