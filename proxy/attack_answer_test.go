package proxy_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kz/proxy"
	"kz/proxy/policy"
	"kz/resolver"
)

// h2Upstream makes api.test an upstream that answers the first stream of each connection with f.
func h2Upstream(f func(fr *http2.Framer, stream uint32)) bedOption {
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
				go func() {
					defer conn.Close()
					tc := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"h2"}})
					preface := make([]byte, len(http2.ClientPreface))
					if _, err := io.ReadFull(tc, preface); err != nil {
						return
					}
					fr := http2.NewFramer(tc, tc)
					_ = fr.WriteSettings()
					for {
						frame, err := fr.ReadFrame()
						if err != nil {
							return
						}
						switch frame := frame.(type) {
						case *http2.SettingsFrame:
							if !frame.IsAck() {
								_ = fr.WriteSettingsAck()
							}
						case *http2.HeadersFrame:
							f(fr, frame.StreamID)
						}
					}
				}()
			}
		}()
	}
}

// writeFields sends one HEADERS frame.
func writeFields(fr *http2.Framer, stream uint32, end bool, fields ...string) {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: b.Bytes(), EndHeaders: true, EndStream: end})
}

func TestTrailersOfBodilessAnswersAreScrubbed(t *testing.T) {
	t.Parallel()
	for _, fields := range [][]string{{":status", "204"}, {":status", "304"}, {":status", "200", "content-length", "0"}, {":status", "200"},
		{":status", "204", "trailer", "x-late"}, {":status", "200", "content-length", "0", "content-encoding", "gzip"}} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(fmt.Sprint(method, fields), func(t *testing.T) {
				t.Parallel()
				b := newBed(t, h2Upstream(func(fr *http2.Framer, stream uint32) {
					writeFields(fr, stream, false, fields...)
					writeFields(fr, stream, true, "x-late", keyValue)
				}))
				b.client = b.newClient(true)
				a := b.do(b.request(method, "https://api.test/", ""))
				if late := a.Trailer.Get("X-Late"); method == "GET" && late != b.mask("KEY") {
					t.Errorf("the trailer became %q", late)
				}
			})
		}
	}
}

func TestACodingThatEndsBeforeItsFramingDoesNotHideACut(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"br", "deflate", "bare deflate", "gzip", "zstd"} {
		for _, size := range []int{100, 3 << 20} {
			text := strings.Repeat("s", size)
			c := coded(t, coding, text)
			name := strings.TrimPrefix(coding, "bare ")
			head := "HTTP/1.1 200 OK\r\nContent-Encoding: " + name + "\r\n"
			for what, raw := range map[string]string{
				"length": head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(c)+5, c),
				"chunks": head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(c), c),
			} {
				t.Run(fmt.Sprint(coding, size, what), func(t *testing.T) {
					t.Parallel()
					b := newBed(t, rawUpstream(raw, closeNotify))
					resp, err := b.client.Do(b.request("POST", "https://api.test/", "x"))
					if err == nil {
						_, err = io.ReadAll(resp.Body)
						_ = resp.Body.Close()
					}
					if err == nil {
						t.Error("a success")
					}
				})
			}
		}
	}
}

func TestTrailersBehindACodedBodyArrive(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"br", "deflate", "bare deflate", "gzip", "zstd"} {
		c := coded(t, coding, "hello")
		name := strings.TrimPrefix(coding, "bare ")
		b := newBed(t, rawUpstream(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nTrailer: X-Late\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Late: a%sb\r\n\r\n",
			name, len(c), c, keyValue), closeNotify))
		a := b.do(b.request("POST", "https://api.test/", "x"))
		if a.body != "hello" || a.Trailer.Get("X-Late") != "a"+b.mask("KEY")+"b" {
			t.Errorf("%s: %q %v", coding, a.body, a.Trailer)
		}
	}
}

func TestACutReachesAClientOfHTTP10(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "HTTP/1.1 200 OK\r\n\r\nhello"} {
		b := newBed(t, rawUpstream(raw, fin))
		conn := b.raw("api.test:443", "api.test")
		fmt.Fprint(conn, "GET / HTTP/1.0\r\nHost: api.test\r\n\r\n")
		all, err := io.ReadAll(conn)
		if err == nil && bytes.HasSuffix(all, []byte("hello")) {
			t.Errorf("a success: %q", all)
		}
	}
}

func TestAValueOfLaterIsTakenOutOfAStreamThatBeganBefore(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for s := range next {
			fmt.Fprintf(w, "data: %s\n\n", s)
			w.(http.Flusher).Flush()
		}
	}))
	go func() { next <- "one" }()
	resp, err := b.client.Do(b.request("GET", "https://api.test/", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	_, _ = br.ReadString('\n')
	_, _ = br.ReadString('\n')
	const rotated = "rotated-key-77aa66bb55"
	if err := b.proxy.Learn("KEY", resolver.NewSecret(rotated)); err != nil {
		t.Fatal(err)
	}
	next <- rotated
	close(next)
	line, _ := br.ReadString('\n')
	if strings.Contains(line, rotated) {
		t.Errorf("%q", line)
	}
}

func TestAnOddStatusIsABadGateway(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"000", "099", "999", "100", "199"} {
		b := newBed(t, rawUpstream("HTTP/1.1 "+status+" Odd\r\nContent-Length: 0\r\n\r\n", closeNotify))
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		resp, err := b.client.Do(b.request("POST", "https://api.test/", "x").WithContext(ctx))
		cancel()
		if err != nil {
			t.Errorf("%s: %v", status, err)
			continue
		}
		_ = resp.Body.Close()
		if want := map[string]int{"999": 999}[status]; resp.StatusCode != cmp.Or(want, 502) {
			t.Errorf("%s became %d", status, resp.StatusCode)
		}
	}
}

func TestAnEarlyHintBehindACancelledRequestDoesNoHarm(t *testing.T) {
	t.Parallel()
	// All arrive at once, so that some are still read when the request is over.
	b := newBed(t, rawUpstream(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat(keyValue, 20)+"\r\n\r\n", 16), fin))
	for _, h2 := range []bool{true, false} {
		b.client = b.newClient(h2)
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(12_000))*time.Microsecond)
			resp, err := b.client.Do(b.request("GET", "https://api.test/", "").WithContext(ctx))
			if err == nil {
				_ = resp.Body.Close()
			}
			cancel()
		}
	}
}

func TestATypeOfGRPCDoesNotCarryAValueOut(t *testing.T) {
	t.Parallel()
	message := func(flags byte, n int, body string) string {
		return string(binary.BigEndian.AppendUint32([]byte{flags}, uint32(n))) + body
	}
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct{ method, raw string }{
		"cut by a length that was not asked for": {"GET", message(0, len(keyValue)-1, keyValue)},
		"the same, long":                         {"GET", message(0, len(long)+len(keyValue)-1, long+keyValue)},
		"said to be compressed":                  {"POST", message(1, len(keyValue), keyValue)},
		"said to be compressed, long":            {"POST", message(1, len(long)+len(keyValue), long+keyValue)},
	} {
		for _, h2 := range []bool{true, false} {
			b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/grpc")
				_, _ = io.WriteString(w, c.raw)
			}))
			b.client = b.newClient(h2)
			r := b.request(c.method, "https://api.test/", "")
			if c.method == "POST" {
				r.Header.Set("Content-Type", "application/grpc")
			}
			resp, err := b.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if strings.Contains(string(got), keyValue[:len(keyValue)-1]) {
				t.Errorf("%s: %q", name, got[max(0, len(got)-50):])
			}
		}
	}
}
