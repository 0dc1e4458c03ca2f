package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// slowKind is one way to be slow: begin brings a connection to where it stalls, then a byte of more comes each second.
type slowKind struct {
	name  string
	begin func(s *siege) (net.Conn, error)
	more  string
}

// smallHeaders is a head that does not end: as many short headers as the limit of 64 KiB takes.
func smallHeaders() string {
	var b bytes.Buffer
	for i := 0; b.Len() < 60<<10; i++ {
		fmt.Fprintf(&b, "%x:\r\n", i)
	}
	return b.String()
}

func writing(conn net.Conn, err error, text string) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(conn, text)
	return conn, err
}

func inHTTP(text string) func(s *siege) (net.Conn, error) {
	return func(s *siege) (net.Conn, error) {
		conn, err := s.inside("bad.wild.test", "http/1.1")
		if err != nil {
			return nil, err
		}
		_ = conn.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10)
		return writing(conn, nil, strings.ReplaceAll(text, "MASK", s.c.env["BAD_KEY"]))
	}
}

var slowKinds = []slowKind{
	{"heads before CONNECT", func(s *siege) (net.Conn, error) {
		conn, err := s.dial("")
		return writing(conn, err, "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\nX-A: ")
	}, "a"},
	{"many small headers before CONNECT", func(s *siege) (net.Conn, error) {
		conn, err := s.dial("")
		return writing(conn, err, "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n"+smallHeaders())
	}, "a"},
	{"one long header before CONNECT", func(s *siege) (net.Conn, error) {
		conn, err := s.dial("")
		return writing(conn, err, "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\nX-A: "+strings.Repeat("a", 60<<10))
	}, "a"},
	{"TLS handshakes", func(s *siege) (net.Conn, error) {
		conn, err := s.dial("bad.wild.test:443")
		return writing(conn, err, "\x16\x03\x01\x40\x00\x01\x00\xff\xf0\x03\x03")
	}, "a"},
	{"long TLS handshakes", func(s *siege) (net.Conn, error) {
		conn, err := s.dial("bad.wild.test:443")
		record := "\x16\x03\x01\x40\x00" + strings.Repeat("a", 16<<10)
		return writing(conn, err, "\x16\x03\x01\x40\x00\x01\x00\xff\xf0\x03\x03"+strings.Repeat("a", 16<<10-6)+record+record+record[:16<<10])
	}, "a"},
	{"heads inside", inHTTP("GET / HTTP/1.1\r\nHost: bad.wild.test\r\nX-A: "), "a"},
	{"many small headers inside", inHTTP("GET / HTTP/1.1\r\nHost: bad.wild.test\r\n" + smallHeaders()), "a"},
	// Beyond 256 KiB there is room made for all of it.
	{"JSON of 1 MiB, held", inHTTP("POST /sink HTTP/1.1\r\nHost: bad.wild.test\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n\r\n\"" + strings.Repeat("a", 260<<10)), "a"},
	{"chunked JSON of 1 MiB, held", inHTTP("POST /sink HTTP/1.1\r\nHost: bad.wild.test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n\"" + strings.Repeat("a", 260<<10)), "a"},
	{"long JSON", inHTTP("POST /sink HTTP/1.1\r\nHost: bad.wild.test\r\nContent-Type: application/json\r\nContent-Length: 10485760\r\n\r\n{\"token\":\"" + strings.Repeat("a", 520<<10)), "a"},
	{"bytes", inHTTP("POST /sink HTTP/1.1\r\nHost: bad.wild.test\r\nContent-Type: application/octet-stream\r\nContent-Length: 10485760\r\n\r\n" + strings.Repeat("a", 1<<17)), "a"},
	{"large answers", inHTTP("GET /bytes?n=100000000 HTTP/1.1\r\nHost: bad.wild.test\r\nAuthorization: Bearer MASK\r\n\r\n"), ""},
	{"large answers of no length", inHTTP("GET /bytes?n=100000000&chunked=1 HTTP/1.1\r\nHost: bad.wild.test\r\nAuthorization: Bearer MASK\r\n\r\n"), ""},
	{"answers that do not come", inHTTP("GET /hang HTTP/1.1\r\nHost: bad.wild.test\r\nAuthorization: Bearer MASK\r\n\r\n"), ""},
}

// TestSlowConnections has a thousand of each kind.
func TestSlowConnections(t *testing.T) {
	const attackers = 1000
	for _, kind := range slowKinds {
		t.Run(kind.name, func(t *testing.T) {
			s := newSiege(t, nil)
			s.during(func(ctx context.Context) {
				ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
				defer cancel()
				var began sync.WaitGroup
				began.Add(attackers)
				go func() {
					began.Wait()
					time.Sleep(time.Second) // they are all there
					cancel()
				}()
				failed := many(ctx, attackers, func(ctx context.Context, _ int) error {
					conn, err := kind.begin(s)
					began.Done()
					if err != nil {
						return err
					}
					stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
					defer stop()
					defer conn.Close()
					for err == nil && ctx.Err() == nil {
						if kind.more == "" {
							_, err = conn.Read(make([]byte, 1))
						} else {
							_, err = io.WriteString(conn, kind.more)
						}
						select {
						case <-ctx.Done():
						case <-time.After(time.Second):
						}
					}
					return nil
				})
				// What holds much may have been turned out while it began.
				if len(failed) > attackers/2 {
					t.Errorf("%d were not slow; the first one: %v", len(failed), failed[0])
				}
			})
			s.over()
		})
	}
}
