package origin_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"kz/test/origin"
)

func TestEcho(t *testing.T) {
	t.Parallel()
	o := start(t)
	c := client(t, o, "tls", true)
	decode := map[string]func(io.Reader) (io.Reader, error){
		"gzip":    func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"deflate": func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) },
		"br":      func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
		"zstd":    func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	}
	for coding, open := range decode {
		t.Run("the answer is encoded as "+coding, func(t *testing.T) {
			t.Parallel()
			for _, r := range []*http.Request{
				request(t, "POST", "https://api.test/echo?coding="+coding, "hello"),
				request(t, "POST", "https://api.test/echo-auto", "hello", "Accept-Encoding", "x-odd, "+coding+";q=0.9"),
			} {
				resp, b := do(t, c, r)
				d, err := open(bytes.NewReader(b))
				if err != nil || resp.Header.Get("Content-Encoding") != coding {
					t.Fatalf("%s: %v, Content-Encoding %q", r.URL, err, resp.Header.Get("Content-Encoding"))
				}
				if text, err := io.ReadAll(d); err != nil || !strings.HasSuffix(string(text), "\n\nhello") {
					t.Errorf("%s: %q %v", r.URL, text, err)
				}
			}
		})
	}
	t.Run("JSON shows the headers as they were", func(t *testing.T) {
		t.Parallel()
		_, b := do(t, c, request(t, "POST", "https://api.test/echo?as=json", "<b>", "X-A", "<v>"))
		if !bytes.Contains(b, []byte(`"X-A":["<v>"]`)) || !bytes.Contains(b, []byte(`"body":"<b>"`)) {
			t.Errorf("echo: %s", b)
		}
	})
	t.Run("a body alone is streamed back while it is sent", func(t *testing.T) {
		t.Parallel()
		for _, h2 := range []bool{false, true} {
			pr, pw := io.Pipe()
			r := request(t, "POST", "https://api.test/echo?as=body", "")
			r.Body = pr
			r.ContentLength = -1
			go func() { _, _ = pw.Write(bytes.Repeat([]byte("a"), 64<<10)) }()
			resp, err := client(t, o, "tls", h2).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(resp.Body, make([]byte, 32<<10)); err != nil {
				t.Errorf("h2 %v: reading before the end was sent: %v", h2, err)
			}
			_ = pw.Close()
			_ = resp.Body.Close()
		}
	})
}

func TestBodies(t *testing.T) {
	t.Parallel()
	o := start(t)
	o.SetValue("v", []byte("INSERTED"))
	c := client(t, o, "tls", true)
	t.Run("bytes are those of Stream, with a value over them", func(t *testing.T) {
		t.Parallel()
		for _, q := range []string{"", "&chunked=1", "&step=7"} {
			resp, b := do(t, c, request(t, "GET", "https://api.test/bytes?n=1000&seed=3&at=995&value=v"+q, ""))
			want, _ := io.ReadAll(origin.Stream(3, 1000))
			copy(want[995:], "INSERTED")
			if !bytes.Equal(b, want) || (resp.ContentLength == 1000) == (q == "&chunked=1") {
				t.Errorf("%q: %d bytes, announced %d", q, len(b), resp.ContentLength)
			}
		}
	})
	t.Run("every form of a value can be had", func(t *testing.T) {
		t.Parallel()
		for _, form := range origin.Forms {
			want, err := origin.Encode(form, []byte("INSERTED"))
			if err != nil {
				t.Fatal(err)
			}
			_, b := do(t, c, request(t, "GET", "https://api.test/value?value=v&before=2&after=1&split=3&form="+form, ""))
			if string(b) != ".."+string(want)+"." {
				t.Errorf("%s: %q", form, b)
			}
		}
	})
	t.Run("ranges are obeyed", func(t *testing.T) {
		t.Parallel()
		resp, b := do(t, c, request(t, "GET", "https://api.test/range?value=v", "", "Range", "bytes=1000-1003"))
		if resp.StatusCode != 206 || string(b) != "INSE" {
			t.Errorf("%d %q", resp.StatusCode, b)
		}
	})
}

func TestHeads(t *testing.T) {
	t.Parallel()
	o := start(t)
	o.SetValue("v", []byte("INSERTED"))
	t.Run("the value stands in headers, their names, the reason and trailers", func(t *testing.T) {
		t.Parallel()
		h1 := client(t, o, "tls", false)
		resp, _ := do(t, h1, request(t, "GET", "https://api.test/headers?from=Authorization&header=X-Back&header=Set-Cookie&name=1&trailer=X-End", "", "Authorization", "Bearer tok"))
		if resp.Header.Get("X-Back") != "tok" || !strings.Contains(resp.Header.Get("Set-Cookie"), "tok") || resp.Header.Get("X-Tok") != "1" || resp.Trailer.Get("X-End") != "tok" {
			t.Errorf("headers %v, trailers %v", resp.Header, resp.Trailer)
		}
		resp, _ = do(t, h1, request(t, "GET", "https://api.test/headers?value=v&reason=1&status=404", ""))
		if resp.Status != "404 INSERTED" {
			t.Errorf("status %q", resp.Status)
		}
		resp, _ = do(t, h1, request(t, "GET", "https://api.test/redirect?to=https://other.test/&value=v", ""))
		if resp.Header.Get("Location") != "https://other.test/INSERTED" {
			t.Errorf("location %q", resp.Header.Get("Location"))
		}
	})
	t.Run("trailers come back", func(t *testing.T) {
		t.Parallel()
		for _, h2 := range []bool{false, true} {
			r := request(t, "POST", "https://api.test/trailers?value=v", "b")
			r.ContentLength, r.Trailer = -1, http.Header{"X-Sent": {"1"}}
			resp, _ := do(t, client(t, o, "tls", h2), r)
			if resp.Trailer.Get("X-Value") != "INSERTED" || resp.Trailer.Get("X-Request-Trailers") != `{"X-Sent":["1"]}` {
				t.Errorf("h2 %v: %v", h2, resp.Trailer)
			}
		}
	})
	t.Run("early hints come first", func(t *testing.T) {
		t.Parallel()
		for _, h2 := range []bool{false, true} {
			var hints []string
			r := request(t, "GET", "https://api.test/early-hints?value=v&codes=103,103", "")
			r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, h.Get("Link")))
				return nil
			}}))
			do(t, client(t, o, "tls", h2), r)
			if len(hints) != 2 || !strings.Contains(hints[0], "103") || !strings.Contains(hints[0], "INSERTED") {
				t.Errorf("h2 %v: %v", h2, hints)
			}
		}
	})
	t.Run("a body waits for 100 Continue", func(t *testing.T) {
		t.Parallel()
		c := client(t, o, "tls", false)
		c.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
		for path, want := range map[string]int{"/continue": 200, "/continue/refuse": 417} {
			read := false
			r := request(t, "POST", "https://api.test"+path, "")
			r.Body, r.ContentLength = io.NopCloser(noticed{strings.NewReader("abc"), &read}), 3
			r.Header.Set("Expect", "100-continue")
			if resp, _ := do(t, c, r); resp.StatusCode != want || read != (want == 200) {
				t.Errorf("%s: %d, body sent %v", path, resp.StatusCode, read)
			}
		}
	})
}

type noticed struct {
	io.Reader
	read *bool
}

func (n noticed) Read(p []byte) (int, error) { *n.read = true; return n.Reader.Read(p) }

func TestCredentials(t *testing.T) {
	t.Parallel()
	o := start(t)
	c := client(t, o, "tls", true)
	get := func(path string, header ...string) int {
		resp, _ := do(t, c, request(t, "GET", "https://api.test"+path, "", header...))
		return resp.StatusCode
	}
	if got := get("/basic"); got != 401 {
		t.Errorf("basic without credentials set: %d", got)
	}
	o.SetBasic("u", "p")
	o.SetBearer("tok")
	if a, b := get("/basic", "Authorization", "Basic dTpw"), get("/basic", "Authorization", "Basic dTpx"); a != 200 || b != 401 {
		t.Errorf("basic: right %d, wrong %d", a, b)
	}
	if a, b := get("/bearer", "Authorization", "Bearer tok"), get("/bearer"); a != 200 || b != 401 {
		t.Errorf("bearer: right %d, none %d", a, b)
	}
	if a, b := get("/flaky?key=k&status=500"), get("/flaky?key=k"); a != 500 || b != 200 {
		t.Errorf("flaky: %d then %d", a, b)
	}
	if a, b := get("/status/418"), get("/status/none"); a != 418 || b != 400 {
		t.Errorf("status: %d, %d", a, b)
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	o := start(t)
	o.SetValue("v", []byte("INSERTED"))
	c := client(t, o, "tls", true)
	t.Run("events come one by one", func(t *testing.T) {
		t.Parallel()
		resp, err := c.Do(request(t, "GET", "https://api.test/sse?count=2&ms=300&value=v&split=1", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b := make([]byte, 4096)
		n, _ := resp.Body.Read(b)
		if !strings.HasSuffix(string(b[:n]), "INSE") {
			t.Errorf("first part %q", b[:n])
		}
		rest, err := io.ReadAll(resp.Body)
		if err != nil || strings.Count(string(rest), "\n\n") != 2 {
			t.Errorf("rest %q %v", rest, err)
		}
	})
	t.Run("lines of JSON parse", func(t *testing.T) {
		t.Parallel()
		_, b := do(t, c, request(t, "GET", "https://api.test/ndjson?count=3", ""))
		lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
		var v struct{ N int }
		if err := json.Unmarshal(lines[len(lines)-1], &v); err != nil || v.N != 2 || len(lines) != 3 {
			t.Errorf("%s: %v", b, err)
		}
	})
	t.Run("a slow answer takes its time", func(t *testing.T) {
		t.Parallel()
		begin := time.Now()
		do(t, c, request(t, "GET", "https://api.test/slow?ms=50&body_ms=50&n=2", ""))
		if d := time.Since(begin); d < 150*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
	t.Run("gRPC has its status in the trailers", func(t *testing.T) {
		t.Parallel()
		resp, b := do(t, c, request(t, "POST", "https://api.test/grpc", "frame"))
		if string(b) != "frame" || resp.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("%q %v", b, resp.Trailer)
		}
	})
}
