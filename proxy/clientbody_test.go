package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kz/proxy/audit"
)

// TestBrokenChunksEndTheConnection: what stands behind chunks that cannot be read is no request.
func TestBrokenChunksEndTheConnection(t *testing.T) {
	t.Parallel()
	for name, chunks := range map[string]string{
		"a size that is none": "g\r\n", "a size before a bare LF": "1\nx\r\n0\r\n\r\n", "an extension with LF": "0;\n", "a size that overflows": "ffffffffffffffff1\r\n",
		"a chunk that is too long": "1\r\nxx\r\n0\r\n\r\n", "a good chunk before": "1\r\nx\r\n-1\r\n", "a trailer that is none": "1\r\nx\r\n0\r\nX\r\n\r\n",
	} {
		for _, format := range []string{"text/plain", "application/json"} {
			t.Run(name+" in "+format, func(t *testing.T) {
				t.Parallel()
				b := newBed(t)
				conn := b.raw("api.test:443", "api.test")
				// Whether the body reaches the upstream before it is known to be broken is no matter: nothing may follow it.
				go func() {
					for range b.got {
					}
				}()
				head := "Host: api.test\r\nAuthorization: Bearer " + b.mask("KEY") + "\r\n"
				fmt.Fprint(conn, "POST /broken HTTP/1.1\r\n"+head+"Content-Type: "+format+"\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks+"GET /smuggled HTTP/1.1\r\n"+head+"\r\n")
				r := bufio.NewReader(conn)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				b.refused(answer{resp, string(body)}, 400, "request_invalid")
				if !resp.Close {
					t.Error("the connection goes on")
				}
				if left, err := io.ReadAll(r); err != nil || len(left) > 0 {
					t.Errorf("then came %q %v", left, err)
				}
				b.event(func(e audit.Event) bool { return e.Path == "/broken" && e.Kind == audit.Refusal })
				for _, e := range b.audit.Events() {
					if e.Path == "/smuggled" {
						t.Errorf("what stood behind was a request: %+v", e)
					}
				}
			})
		}
	}
}

// TestAnAnswerBeforeTheLastChunkEndsTheConnection: an upstream may answer early; what the client then sends as its body
// must not be read as a request.
func TestAnAnswerBeforeTheLastChunkEndsTheConnection(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/early" {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(http.StatusForbidden)
		}
	})
	conn := b.raw("api.test:443", "api.test")
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(conn, "POST /early HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 403 || !resp.Close {
		t.Fatalf("%+v %v", resp, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	fmt.Fprint(conn, "g\r\nGET /smuggled HTTP/1.1\r\nHost: api.test\r\n\r\n")
	if left, _ := io.ReadAll(r); len(left) > 0 {
		t.Errorf("then came %q", left)
	}
	b.event(func(e audit.Event) bool { return e.Path == "/early" })
	for _, e := range b.audit.Events() {
		if e.Path == "/smuggled" {
			t.Error("what stood behind was a request")
		}
	}
}

// TestChunksThatAreGoodKeepTheConnection, whether their body is held or sent on as it comes, and with trailers.
func TestChunksThatAreGoodKeepTheConnection(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	conn := b.raw("api.test:443", "api.test")
	r := bufio.NewReader(conn)
	for _, format := range []string{"text/plain", "application/json", "application/octet-stream"} {
		for _, end := range []string{"0\r\n\r\n", "0;a\r\nX-Sum: 1\r\n\r\n"} {
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: api.test\r\nContent-Type: "+format+"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\"a\r\n1\r\n\"\r\n"+end)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != 200 || resp.Close || !strings.HasSuffix(string(body), `"a"`) {
				t.Errorf("%s: %d %v %q %v", format, resp.StatusCode, resp.Close, body, err)
			}
		}
	}
}

// TestARefusalBeforeTheBodyIsReadSaysThatItIsTheLast: net/http ends the connection then, and would not say so.
func TestARefusalBeforeTheBodyIsReadSaysThatItIsTheLast(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, c := range []struct {
		rest string
		ends bool
	}{
		{"Content-Length: 3\r\n\r\nabc", true}, {"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", true},
		{"Content-Length: 0\r\n\r\n", false}, {"\r\n", false},
	} {
		conn := b.raw("api.test:443", "api.test")
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		a := b.speak(conn, "POST /"+b.mask("KEY")+" HTTP/1.1\r\nHost: api.test\r\n"+c.rest)
		b.refused(a, 403, "place_not_declared")
		if a.Close != c.ends {
			t.Errorf("%q: the connection ends: %v", c.rest, a.Close)
		}
		if c.ends {
			if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%q: then: %v", c.rest, err)
			}
		} else if a := b.speak(conn, "GET / HTTP/1.1\r\nHost: api.test\r\n\r\n"); a.StatusCode != 200 {
			t.Errorf("%q: then: %d", c.rest, a.StatusCode)
		}
	}
}
