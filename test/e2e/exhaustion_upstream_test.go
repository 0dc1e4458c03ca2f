package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"kz/ca"
	"kz/test/bed"
)

// badUpstream is an upstream for bad.wild.test: serve has each connection whose TLS has begun.
func badUpstream(t *testing.T, alpn string, serve func(conn net.Conn)) func(b *bed.Bed) {
	t.Helper()
	authority, err := ca.New(ca.Options{Name: "hostile"})
	if err != nil {
		t.Fatal(err)
	}
	minter, err := ca.NewMinter(authority, ca.MinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{NextProtos: []string{alpn}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return minter.Leaf("bad.wild.test")
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				serve(conn)
			}()
		}
	}()
	return func(b *bed.Bed) {
		b.Pin("bad.wild.test:443", l.Addr().String())
		if err := os.WriteFile(b.Path("etc/ca.pem"), append(b.Origin.CAPEM(), authority.CertPEM()...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// endless writes text, then more again and again, which may count.
func endless(text, more string) func(conn net.Conn) {
	return func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		_, err := io.WriteString(conn, text)
		for n := 0; err == nil; {
			var b bytes.Buffer
			for b.Len() < 8<<10 {
				b.WriteString(strings.ReplaceAll(more, "#", fmt.Sprint(n)))
				n++
			}
			_, err = conn.Write(b.Bytes())
		}
	}
}

// TestHostileUpstreams has sixteen clients ask an upstream that does not end.
func TestHostileUpstreams(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, c := range []struct {
		name  string
		serve func(conn net.Conn)
	}{
		{"100 without end", endless("", "HTTP/1.1 100 Continue\r\n\r\n")},
		{"103 without end", endless("", "HTTP/1.1 103 Early Hints\r\nLink: </#>\r\n\r\n")},
		{"a head without end", endless(ok, "X-#: a\r\n")},
		{"a header without end", endless(ok+"X-A: ", "aaaaaaaaaaaaaaaa")},
		{"trailers without end", endless(ok+"Transfer-Encoding: chunked\r\nTrailer: X-1\r\n\r\n0\r\n", "X-#: a\r\n")},
		{"a chunk's extension without end", endless(ok+"Transfer-Encoding: chunked\r\n\r\n1;", "a=#;")},
		{"chunks of nothing but extensions", endless(ok+"Transfer-Encoding: chunked\r\n\r\n", "1;"+strings.Repeat("a", 1000)+"\r\na\r\n")},
		{"a head that trickles", func(conn net.Conn) {
			for err := error(nil); err == nil; time.Sleep(50 * time.Millisecond) {
				_, err = io.WriteString(conn, "H")
			}
		}},
		{"an answer before the request is complete", func(conn net.Conn) {
			_, _ = io.WriteString(conn, ok+"Content-Length: 2\r\n\r\nok")
			_, _ = io.Copy(io.Discard, conn)
		}},
		{"a reset", func(conn net.Conn) {
			_ = conn.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
			_ = conn.(*tls.Conn).NetConn().Close()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSiege(t, badUpstream(t, "http/1.1", c.serve))
			client := s.bad(false)
			client.Timeout = 2 * time.Second
			s.during(repeated(16, func(int) { s.post(client) }))
			s.over()
		})
	}
}

// post sends a body that a hostile upstream may or may not take.
func (s *siege) post(client *http.Client) {
	r, err := http.NewRequest("POST", "https://bad.wild.test/", io.LimitReader(repeat('0'), 64<<10))
	if err != nil {
		s.t.Error(err)
		return
	}
	r.Header.Set("Authorization", "Bearer "+s.c.env["BAD_KEY"])
	if resp, err := client.Do(r); err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<20))
		_ = resp.Body.Close()
	}
}

// TestHostileUpstreamsOfHTTP2 is the same for frames.
func TestHostileUpstreamsOfHTTP2(t *testing.T) {
	head := headOf("x", "x", "x", "x")
	status := []byte{0x88}                                    // :status 200
	hint := append([]byte{0x48, 0x03}, "103"...)              // :status 103
	long := bytes.Repeat([]byte("\x00\x02xa\x01b"), 16<<10/6) // literal headers
	for name, once := range map[string]func(f *http2.Framer, stream uint32, n int) error{
		"GOAWAY": func(f *http2.Framer, stream uint32, _ int) error { return f.WriteGoAway(stream, http2.ErrCodeNo, head) },
		"streams reset": func(f *http2.Framer, stream uint32, _ int) error {
			return f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
		},
		"PING": func(f *http2.Framer, _ uint32, _ int) error { return f.WritePing(false, [8]byte{}) },
		"SETTINGS": func(f *http2.Framer, _ uint32, n int) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(n % 70000)})
		},
		"103 without end": func(f *http2.Framer, stream uint32, _ int) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: hint, EndHeaders: true})
		},
		"headers without end": func(f *http2.Framer, stream uint32, n int) error {
			if n == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: status})
			}
			return f.WriteContinuation(stream, false, long)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSiege(t, badUpstream(t, "h2", func(conn net.Conn) {
				if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
					return
				}
				f := http2.NewFramer(conn, conn)
				f.AllowIllegalWrites = true
				_ = f.WriteSettings()
				for {
					frame, err := f.ReadFrame()
					if err != nil {
						return
					}
					if frame.Header().Type != http2.FrameHeaders {
						continue
					}
					go func() { _, _ = io.Copy(io.Discard, conn) }()
					for n := 0; err == nil; n++ {
						err = once(f, frame.Header().StreamID, n)
					}
					return
				}
			}))
			client := s.bad(true)
			client.Timeout = 2 * time.Second
			s.during(repeated(16, func(int) { s.post(client) }))
			s.over()
		})
	}
}

// TestWhoHoldsAllConnections has one client hold as many as there may be: another's request comes through, and kz ends in time.
func TestWhoHoldsAllConnections(t *testing.T) {
	const all = 4096
	s := newSiege(t, nil)
	s.during(func(ctx context.Context) {
		var conns []net.Conn
		defer func() {
			for _, conn := range conns {
				_ = conn.Close()
			}
		}()
		for i := range all + 200 {
			conn, err := s.dial("bad.wild.test:443")
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			// A handshake that does not end would be over in time by itself; a quiet connection is what stays.
			conns = append(conns, conn)
		}
		time.Sleep(time.Second)
	})
	s.over()
}
