package origin_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/coder/websocket"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"kz/test/origin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) *origin.Origin {
	t.Helper()
	o, err := origin.Start(origin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

// client reaches the named listener under any host name.
func client(t *testing.T, o *origin.Origin, listener string, h2 bool) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(o.CAPEM())
	tr := &http.Transport{
		TLSClientConfig:    &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2:  h2,
		DisableCompression: true,
		Dial:               func(string, string) (net.Conn, error) { return net.Dial("tcp", o.Addr(listener)) },
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func do(t *testing.T, c *http.Client, r *http.Request) (*http.Response, []byte) {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, b
}

func request(t *testing.T, method, url, body string, header ...string) *http.Request {
	t.Helper()
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, b)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// settled waits until n requests are done.
func settled(t *testing.T, o *origin.Origin, n int) []origin.Record {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		list := o.Requests()
		if len(list) >= n && !slices.ContainsFunc(list, func(r origin.Record) bool { return !r.Done }) {
			return list
		}
	}
	t.Fatalf("requests recorded: %d, want %d, all done", len(o.Requests()), n)
	return nil
}

func TestRecord(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("a request is recorded as it came, h2 %v", h2), func(t *testing.T) {
			t.Parallel()
			o := start(t)
			r := request(t, "POST", "https://api.test/echo?a=1&b=%2F", "the body", "Authorization", "Bearer x", "X-Two", "1", "X-Two", "2")
			r.Trailer = http.Header{"X-After": {"t"}}
			r.ContentLength = -1
			_, _ = do(t, client(t, o, "tls", h2), r)
			got := settled(t, o, 1)[0]
			sum := sha256.Sum256([]byte("the body"))
			switch {
			case got.Method != "POST", got.Host != "api.test", got.Path != "/echo", got.Query != "a=1&b=%2F", got.Target != "/echo?a=1&b=%2F",
				got.SNI != "api.test", got.Header.Get("Authorization") != "Bearer x", len(got.Header["X-Two"]) != 2,
				string(got.Body) != "the body", got.BodyLen != 8, got.BodySHA != hex.EncodeToString(sum[:]), got.Trailer.Get("X-After") != "t",
				got.ConnBytesIn == 0, (got.Proto == "HTTP/2.0") != h2:
				t.Errorf("record is off: %+v", got)
			}
			if !bytes.Contains(got.All(), []byte("Authorization: Bearer x")) || !bytes.Contains(got.All(), []byte("the body")) {
				t.Errorf("All lacks something: %s", got.All())
			}
			o.Reset()
			if n := len(o.Requests()); n != 0 {
				t.Errorf("requests after Reset: %d", n)
			}
		})
	}

	t.Run("a long body is counted whole and kept in part", func(t *testing.T) {
		t.Parallel()
		o := start(t)
		const n = 5 << 20
		r := request(t, "POST", "https://api.test/sink", "")
		r.Body, r.ContentLength = io.NopCloser(origin.Stream(7, n)), n
		_, b := do(t, client(t, o, "tls", false), r)
		var answer struct {
			Length int64
			SHA256 string
		}
		if err := json.Unmarshal(b, &answer); err != nil || answer.Length != n || answer.SHA256 != origin.StreamSHA(7, n) {
			t.Errorf("sink: %s %v", b, err)
		}
		if got := settled(t, o, 1)[0]; got.BodyLen != n || len(got.Body) != origin.KeepBody || got.BodySHA != origin.StreamSHA(7, n) {
			t.Errorf("record: %d bytes, %d kept, %s", got.BodyLen, len(got.Body), got.BodySHA)
		}
	})

	t.Run("the control port serves the record and takes settings", func(t *testing.T) {
		t.Parallel()
		o := start(t)
		_, _ = do(t, client(t, o, "tls", true), request(t, "GET", "https://api.test/x", ""))
		base := "http://" + o.Addr("control")
		resp, b := do(t, client(t, o, "control", false), request(t, "GET", base+"/requests?wait=1&path=/x", ""))
		var list []origin.Record
		if err := json.Unmarshal(b, &list); err != nil || len(list) != 1 || list[0].Path != "/x" || resp.StatusCode != 200 {
			t.Fatalf("GET /requests: %d %s %v", resp.StatusCode, b, err)
		}
		_, _ = do(t, client(t, o, "control", false), request(t, "PUT", base+"/value?name=v", "stored"))
		if _, b := do(t, client(t, o, "tls", true), request(t, "GET", "https://api.test/value?value=v", "")); string(b) != "stored" {
			t.Errorf("value: %q", b)
		}
		_, b = do(t, client(t, o, "control", false), request(t, "GET", base+"/stats", ""))
		if !bytes.Contains(b, []byte(`"requests":2`)) {
			t.Errorf("stats: %s", b)
		}
	})
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	o := start(t)
	t.Run("the good listener verifies under each of its names", func(t *testing.T) {
		t.Parallel()
		for _, host := range []string{"api.test", "other.test", "a.wild.test"} {
			if resp, _ := do(t, client(t, o, "tls", true), request(t, "GET", "https://"+host+"/", "")); resp.StatusCode != 200 {
				t.Errorf("%s: %d", host, resp.StatusCode)
			}
		}
	})
	for listener, want := range map[string]string{
		"wrong-name": "not api.test", "self-signed": "unknown authority", "untrusted": "unknown authority", "expired": "expired", "old-tls": "protocol version",
	} {
		t.Run("the listener "+listener+" is refused", func(t *testing.T) {
			t.Parallel()
			_, err := client(t, o, listener, true).Do(request(t, "GET", "https://api.test/", ""))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}
	t.Run("a name without a certificate is refused", func(t *testing.T) {
		t.Parallel()
		for _, host := range []string{"nobody.test", "wild.test", "a.b.wild.test"} {
			if _, err := client(t, o, "tls", true).Do(request(t, "GET", "https://"+host+"/", "")); err == nil {
				t.Errorf("%s verified", host)
			}
		}
	})
}

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

func TestCut(t *testing.T) {
	t.Parallel()
	o := start(t)
	for _, c := range []struct {
		query string
		h2    bool
		whole bool
	}{
		{"framing=length&end=rst", false, false},
		{"framing=length&end=fin", false, false},
		{"framing=length&end=close", false, false},
		{"framing=chunked&end=rst", false, false},
		{"framing=chunked&end=close", false, false},
		{"framing=chunked&end=close&between=1", false, false},
		{"framing=close&end=close", false, true},
		{"framing=close&end=fin", false, true}, // crypto/tls takes FIN without close_notify for an end
		{"framing=close&end=rst", false, false},
		{"framing=length&end=rst", true, false},
		{"framing=length&end=fin", true, false},
		{"framing=chunked&end=close", true, false},
		{"framing=chunked&end=rst", true, false},
	} {
		t.Run(fmt.Sprintf("%s h2=%v ends early", c.query, c.h2), func(t *testing.T) {
			t.Parallel()
			resp, err := client(t, o, "tls", c.h2).Do(request(t, "GET", "https://api.test/cut?at=1000&"+c.query, ""))
			if err != nil {
				if strings.Contains(c.query, "rst") {
					return // RST may overtake the head
				}
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if (err == nil) != c.whole || len(b) > 1000 {
				t.Errorf("read %d bytes, error %v, want whole %v", len(b), err, c.whole)
			}
		})
	}
	t.Run("drop gives no answer", func(t *testing.T) {
		t.Parallel()
		for _, end := range []string{"rst", "fin", "close"} {
			if _, err := client(t, o, "tls", false).Do(request(t, "POST", "https://api.test/drop?end="+end, "x")); err == nil {
				t.Errorf("%s: answered", end)
			}
		}
	})
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	o := start(t)
	c, _, err := websocket.Dial(t.Context(), "wss://api.test/ws?hello=1", &websocket.DialOptions{
		HTTPClient: client(t, o, "tls", false), HTTPHeader: http.Header{"Authorization": {"Bearer x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if _, b, err := c.Read(t.Context()); err != nil || string(b) != "Bearer x" {
		t.Errorf("hello %q %v", b, err)
	}
	if err := c.Write(t.Context(), websocket.MessageText, []byte("message")); err != nil {
		t.Fatal(err)
	}
	if _, b, err := c.Read(t.Context()); err != nil || string(b) != "message" {
		t.Errorf("echo %q %v", b, err)
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
	if got := settled(t, o, 1)[0]; string(got.Body) != "message" {
		t.Errorf("recorded %q", got.Body)
	}
}

func TestGit(t *testing.T) {
	t.Parallel()
	git, err := exec.LookPath("git")
	if err != nil {
		if os.Getenv("KZ_TEST_REQUIRE") == "1" {
			t.Fatal("git is not installed")
		}
		t.Skip("git is not installed: smart HTTP was not tried")
	}
	o := start(t)
	o.SetBasic("", "tok")
	dir := t.TempDir()
	run := func(user string, args ...string) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, git, append([]string{
			"-c", "http.sslCAInfo=" + o.CAFile(), "-c", "credential.helper=",
		}, args...)...)
		cmd.WaitDelay = time.Second
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", user, err, out)
		}
		return nil
	}
	_, port, _ := net.SplitHostPort(o.Addr("tls"))
	url := func(user string) string { return "https://" + user + "@git.test:" + port + "/repo.git" }
	resolve := "http.curloptResolve=git.test:" + port + ":127.0.0.1"
	if err := run("x:tok", "-c", resolve, "clone", "-q", url("x:tok"), filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a", "README")); err != nil || string(b) != "hello\n" {
		t.Errorf("README %q %v", b, err)
	}
	if err := run("x:bad", "-c", resolve, "clone", "-q", url("x:bad"), filepath.Join(dir, "b")); err == nil {
		t.Error("a wrong password was taken")
	}
	// A push, past git's buffer, so that it is chunked; over HTTP/1.1, because
	// libcurl 7.88 may stall while it sends such a body over h2.
	big, _ := io.ReadAll(origin.Stream(1, 3<<20))
	if err := os.WriteFile(filepath.Join(dir, "a", "big"), big, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"add", "big"},
		{"-c", "user.name=x", "-c", "user.email=x@x.test", "commit", "-qm", "big"},
		{"-c", "http.version=HTTP/1.1", "push", "-q", "origin", "HEAD:main"},
	} {
		if err := run("x:tok", append([]string{"-C", filepath.Join(dir, "a"), "-c", resolve}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	o := start(t)
	names := o.ScriptNames()
	if len(names) < 30 {
		t.Fatalf("scripts: %d", len(names))
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(o.CAPEM())
	ask := func(path string) ([]byte, error) {
		raw, err := net.Dial("tcp", o.Addr("raw"))
		if err != nil {
			return nil, err
		}
		under := &eofConn{Conn: raw}
		c := tls.Client(under, &tls.Config{RootCAs: roots, ServerName: "api.test"})
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", path)
		b, err := io.ReadAll(c)
		if err == nil && under.eof {
			err = io.ErrUnexpectedEOF // crypto/tls takes FIN without close_notify for an end
		}
		return b, err
	}
	t.Run("an answer is sent byte for byte", func(t *testing.T) {
		t.Parallel()
		o.SetRaw("mine", origin.Script{Answer: []byte("odd\x00bytes"), Split: 2, End: origin.EndClose})
		if b, err := ask("/mine"); err != nil || string(b) != "odd\x00bytes" {
			t.Errorf("%q %v", b, err)
		}
		for _, r := range o.Requests() {
			if r.Path == "/mine" && !bytes.HasSuffix(r.Raw, []byte("\r\n2\r\nhi\r\n0\r\n\r\n")) {
				t.Errorf("recorded %q", r.Raw)
			}
		}
	})
	t.Run("the end is the one asked for", func(t *testing.T) {
		t.Parallel()
		for end, want := range map[origin.End]error{origin.EndClose: nil, origin.EndFIN: io.ErrUnexpectedEOF} {
			o.SetRaw(string(end), origin.Script{Answer: []byte("x"), End: end})
			if _, err := ask("/" + string(end)); !errors.Is(err, want) {
				t.Errorf("%s: %v", end, err)
			}
		}
		if _, err := ask("/reset-before-answer"); err == nil {
			t.Error("reset: no error")
		}
	})
	t.Run("a client gets an ordinary answer too", func(t *testing.T) {
		t.Parallel()
		if _, b := do(t, client(t, o, "raw", false), request(t, "GET", "https://api.test/ok", "")); string(b) != "ok" {
			t.Errorf("%q", b)
		}
	})
}

// eofConn notices FIN.
type eofConn struct {
	net.Conn
	eof bool
}

func (c *eofConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.eof = c.eof || err == io.EOF
	return n, err
}
