package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// storm is a way to use HTTP/2 against its other side: once is done again and again on one connection.
type storm struct {
	name string
	once func(f *http2.Framer, n uint32, head []byte) error
}

var storms = []storm{
	{"streams that are reset at once", func(f *http2.Framer, n uint32, head []byte) error {
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*n + 1, BlockFragment: head, EndHeaders: true, EndStream: true}); err != nil {
			return err
		}
		return f.WriteRSTStream(2*n+1, http2.ErrCodeCancel)
	}},
	{"CONTINUATION without end", func(f *http2.Framer, n uint32, head []byte) error {
		if n == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
		}
		return f.WriteContinuation(1, false, bytes.Repeat([]byte{0x00, 0x01, 'a', 0x01, 'b'}, 3000))
	}},
	{"empty CONTINUATION", func(f *http2.Framer, n uint32, head []byte) error {
		if n == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
		}
		return f.WriteContinuation(1, false, nil)
	}},
	{"PING", func(f *http2.Framer, _ uint32, _ []byte) error { return f.WritePing(false, [8]byte{}) }},
	{"SETTINGS", func(f *http2.Framer, n uint32, _ []byte) error {
		return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: n % 70000})
	}},
	{"small windows", func(f *http2.Framer, n uint32, head []byte) error {
		if n < 100 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*n + 1, BlockFragment: head, EndHeaders: true, EndStream: true})
		}
		return f.WriteWindowUpdate(2*(n%100)+1, 1)
	}},
	{"empty DATA", func(f *http2.Framer, n uint32, head []byte) error {
		if n == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head, EndHeaders: true})
		}
		return f.WriteData(1, false, nil)
	}},
	{"streams that are left open", func(f *http2.Framer, n uint32, head []byte) error {
		if n >= 250 {
			time.Sleep(10 * time.Millisecond)
			return f.WritePing(false, [8]byte{})
		}
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*n + 1, BlockFragment: head, EndHeaders: true})
	}},
}

// headOf is a request in HPACK.
func headOf(method, host, path, bearer string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", host}, {":path", path}, {"authorization", "Bearer " + bearer}, {"content-type", "application/octet-stream"}} {
		_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return b.Bytes()
}

// TestStormsOfFrames has eight connections misuse HTTP/2 for a second each, and eight others again: what the first had must be free.
func TestStormsOfFrames(t *testing.T) {
	for _, storm := range storms {
		t.Run(storm.name, func(t *testing.T) {
			s := newSiege(t, nil)
			attack := func(ctx context.Context) (began int) {
				failed := many(ctx, 8, func(ctx context.Context, _ int) error {
					conn, err := s.inside("bad.wild.test", "h2")
					if err != nil {
						return err
					}
					defer conn.Close()
					end := time.Now().Add(time.Second)
					_ = conn.SetDeadline(end)
					go func() { _, _ = io.Copy(io.Discard, conn) }()
					if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
						return err
					}
					f := http2.NewFramer(conn, nil)
					f.AllowIllegalWrites = true
					if err := f.WriteSettings(); err != nil {
						return err
					}
					// The same encoded head each time: it changes no table.
					head := headOf("POST", "bad.wild.test", "/duplex?n=100000000", s.c.env["BAD_KEY"])
					for n := uint32(0); err == nil && time.Now().Before(end); n++ {
						err = storm.once(f, n, head)
					}
					return nil
				})
				return 8 - len(failed)
			}
			began := 8
			s.during(func(ctx context.Context) {
				for range 2 {
					began = min(began, attack(ctx))
				}
			})
			if began < 4 {
				t.Errorf("%d of 8 connections were made", began)
			}
			s.over()
		})
	}
}

// TestHeadsThatAreTooLong sends more than a head may have: it is answered with 431, or the connection ends.
func TestHeadsThatAreTooLong(t *testing.T) {
	s := newSiege(t, nil)
	var many strings.Builder
	for i := 0; many.Len() < 1<<20; i++ {
		fmt.Fprintf(&many, "X-%d: a\r\n", i)
	}
	for name, headers := range map[string]string{"many short headers": many.String(), "one long header": "X-A: " + strings.Repeat("a", 1<<20) + "\r\n"} {
		t.Run(name, func(t *testing.T) {
			inner := *s
			inner.t = t
			inner.during(repeated(8, func(i int) {
				target, line := "", "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n"
				conn, err := s.dial(target)
				if i%2 == 1 {
					_ = conn.Close()
					line = "GET / HTTP/1.1\r\nHost: bad.wild.test\r\n"
					conn, err = s.inside("bad.wild.test", "http/1.1")
				}
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				go func() { _, _ = io.WriteString(conn, line+headers+"\r\n") }()
				answer, _ := io.ReadAll(conn)
				if len(answer) > 0 && !strings.HasPrefix(string(answer), "HTTP/1.1 431 ") {
					t.Errorf("it was answered with %.60q", answer)
				}
			}))
		})
	}
	s.over()
}
