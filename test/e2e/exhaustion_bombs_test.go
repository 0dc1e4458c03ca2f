package e2e_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"kz/test/bed"
	"kz/test/origin"
)

// folded applies a coding, or two.
func folded(t *testing.T, codings string, p []byte) []byte {
	t.Helper()
	for coding := range strings.SplitSeq(codings, ", ") {
		var b bytes.Buffer
		var w io.WriteCloser
		switch coding {
		case "gzip":
			w = gzip.NewWriter(&b)
		case "deflate":
			w = zlib.NewWriter(&b)
		case "br":
			w = brotli.NewWriter(&b)
		case "zstd":
			w, _ = zstd.NewWriter(&b, zstd.WithWindowSize(8<<20))
		}
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		p = b.Bytes()
	}
	return p
}

// repeated runs one by clients clients, each again and again for a second.
func repeated(clients int, one func(client int)) func(ctx context.Context) {
	return func(ctx context.Context) {
		end := time.Now().Add(time.Second)
		many(ctx, clients, func(ctx context.Context, i int) error {
			for ctx.Err() == nil && time.Now().Before(end) {
				one(i)
			}
			return nil
		})
	}
}

// bad is a client of kz that trusts it, with HTTP/2 or without.
func (s *siege) bad(h2 bool) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, Proxy: http.ProxyURL(s.c.wayOut(s.t)), ForceAttemptHTTP2: h2, DisableCompression: true}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// TestBombs sends bodies that unfold a thousandfold, both ways, in every coding, to be swapped in and to be scrubbed.
func TestBombs(t *testing.T) {
	const unfolded, clients = 96 << 20, 4
	for _, coding := range []string{"gzip", "deflate", "br", "zstd", "gzip, gzip", "zstd, br"} {
		t.Run(coding, func(t *testing.T) {
			s := newSiege(t, func(b *bed.Bed) { b.Pin("raw.wild.test:443", "raw") })
			mask := s.c.env["BAD_KEY"]
			body := folded(t, coding, []byte(`{"token":"`+mask+`","rest":"`+strings.Repeat("0", unfolded)+`"}`))
			if len(body) > unfolded/900 {
				t.Fatalf("%d bytes are no bomb", len(body))
			}
			head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\n", coding)
			s.b.Origin.SetRaw("held", origin.Script{Answer: fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body), End: origin.EndKeep})
			s.b.Origin.SetRaw("streamed", origin.Script{Answer: fmt.Appendf(nil, "%s\r\n%s", head, body), End: origin.EndClose})
			client := s.bad(false)
			ask := func(method, url, coding string, body io.Reader) {
				r, err := http.NewRequest(method, url, body)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+mask)
				r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
				if body != nil {
					r.Header.Set("Content-Type", "application/json")
					r.Header.Set("Content-Encoding", coding)
				}
				if resp, err := client.Do(r); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			}
			s.during(repeated(clients, func(i int) {
				switch i % 4 {
				case 0:
					ask("GET", "https://raw.wild.test/held", "", nil)
				case 1:
					ask("GET", "https://raw.wild.test/streamed", "", nil)
				case 2:
					ask("POST", "https://bad.wild.test/sink", coding, bytes.NewReader(body))
				case 3:
					ask("POST", "https://bad.wild.test/sink", coding, struct{ io.Reader }{bytes.NewReader(body)})
				}
			}))
			s.over()
		})
	}
}

// TestLongBodies sends what is long, deep or much inside.
func TestLongBodies(t *testing.T) {
	s := newSiege(t, nil)
	mask, client := s.c.env["BAD_KEY"], s.bad(false)
	client.Timeout = 10 * time.Minute
	post := func(kind string, body io.Reader) error {
		r, err := http.NewRequest("POST", "https://bad.wild.test/sink", struct{ io.Reader }{body})
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+mask)
		r.Header.Set("Content-Type", kind)
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			return errors.Join(err, errors.New(resp.Status))
		}
		return nil
	}
	zeros := func(n int64) io.Reader { return io.LimitReader(repeat('0'), n) }
	var parts, headers bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&parts, "--b\r\nContent-Disposition: form-data; name=\"p%d\"\r\n\r\n%d\r\n", i, i)
		fmt.Fprintf(&headers, "X-%d: %d\r\n", i, i)
	}
	for name, body := range map[string]func() (string, io.Reader){
		"nested JSON": func() (string, io.Reader) {
			return "application/json", strings.NewReader(strings.Repeat("[", 100_000) + `"` + mask + `"` + strings.Repeat("]", 100_000))
		},
		"nested objects": func() (string, io.Reader) {
			return "application/json", strings.NewReader(strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000))
		},
		"very many members": func() (string, io.Reader) {
			var b strings.Builder
			for i := range 200_000 {
				fmt.Fprintf(&b, `,"k%d":%d`, i, i)
			}
			return "application/json", strings.NewReader(`{"token":"` + mask + `"` + b.String() + "}")
		},
		"a string of 1 GiB": func() (string, io.Reader) {
			return "application/json", io.MultiReader(strings.NewReader(`{"token":"`), zeros(1<<30), strings.NewReader(`"}`))
		},
		"very many parts": func() (string, io.Reader) {
			return "multipart/form-data; boundary=b", io.MultiReader(bytes.NewReader(parts.Bytes()), strings.NewReader("--b--\r\n"))
		},
		"a part with very many headers": func() (string, io.Reader) {
			return "multipart/form-data; boundary=b", io.MultiReader(strings.NewReader("--b\r\n"), bytes.NewReader(headers.Bytes()), strings.NewReader("\r\nx\r\n--b--\r\n"))
		},
		"a form of very many fields": func() (string, io.Reader) {
			return "application/x-www-form-urlencoded", strings.NewReader(strings.Repeat("a=b&", 1<<20) + "token=" + mask)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inner := *s
			inner.t = t
			inner.during(func(ctx context.Context) {
				failed := many(ctx, 1, func(context.Context, int) error { return post(body()) })
				if len(failed) > 0 && name != "nested JSON" && name != "nested objects" {
					t.Errorf("%v", failed[0])
				}
			})
		})
	}
	s.over()
}

type repeat byte

func (r repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

// TestLongMessages has upstreams send frames and messages of the greatest lengths, compressed ones too.
func TestLongMessages(t *testing.T) {
	s := newSiege(t, func(b *bed.Bed) { b.Pin("raw.wild.test:443", "raw") })
	frame := binary.BigEndian.AppendUint64([]byte{0x82, 127}, 1<<62)
	s.b.Origin.SetRaw("ws", origin.Script{Answer: append([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
		append(frame, make([]byte, 8<<20)...)...), End: origin.EndClose})
	message := func(flag byte, body []byte, said int) []byte {
		head := binary.BigEndian.AppendUint32([]byte{flag}, uint32(said))
		return append([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Encoding: gzip\r\n\r\n"), append(head, body...)...)
	}
	bomb := folded(t, "gzip", make([]byte, 96<<20))
	s.b.Origin.SetRaw("long", origin.Script{Answer: message(0, make([]byte, 8<<20), 1<<32-1), End: origin.EndClose})
	s.b.Origin.SetRaw("bomb", origin.Script{Answer: message(1, bomb, len(bomb)), End: origin.EndClose})
	s.b.Origin.SetRaw("folded", origin.Script{Answer: message(1, make([]byte, 5<<20-20), 5<<20), End: origin.EndClose})
	for _, name := range []string{"ws", "long", "bomb", "folded"} {
		t.Run(name, func(t *testing.T) {
			inner := *s
			inner.t = t
			inner.during(repeated(16, func(int) {
				conn, err := s.inside("raw.wild.test", "http/1.1")
				if err != nil {
					return
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
				extra := "Content-Type: application/grpc\r\nTE: trailers\r\n"
				if name == "ws" {
					extra = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
				}
				fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: raw.wild.test\r\nAuthorization: Bearer %s\r\n%s\r\n", name, s.c.env["BAD_KEY"], extra)
				_, _ = io.Copy(io.Discard, conn)
			}))
		})
	}
	s.over()
}
