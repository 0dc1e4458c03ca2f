package proxy_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/net/http2"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

func TestABoundaryTellsNothingOfAValue(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("body:note"))
	post := func(boundary, before string) answer {
		body := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n" + before + b.mask("KEY") + "\r\n--" + boundary + "--\r\n"
		return b.do(b.request("POST", "https://api.test/", body, "Content-Type: multipart/form-data; boundary="+boundary))
	}
	for _, before := range []string{"--", "-", "a\r\n--", "a\n--", "a\r-"} {
		for _, guess := range []string{"x", keyValue[:1], keyValue[:5], keyValue} {
			e := b.refused(post(guess, before), 400, "request_invalid")
			if e.Secret != "KEY" {
				t.Errorf("%+v", e)
			}
		}
	}
	b.nothingSent()
	// A boundary begins a line.
	for _, before := range []string{"", "a-", "a--", "a\r\n", "a\r\n--b", "--- "} {
		if a := post("x", before); a.StatusCode != 200 {
			t.Errorf("%q: %s", before, a.body)
			continue
		}
		if got := b.upstreamGot().body; !strings.Contains(got, before+keyValue+"\r\n--x--") {
			t.Errorf("%q: the upstream received %q", before, got)
		}
	}
	b.values.Store("KEY", "abc--def-ghi")
	for _, guess := range []string{"d", "def", "x"} {
		if a := post(guess, ""); a.StatusCode != 200 {
			t.Errorf("%q: %s", guess, a.body)
		}
	}
}

// counting makes the upstream of the bed answer with the length of what it received.
func (b *bed) counting() {
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, r.ContentLength, err)
	})
}

// allocated is how many bytes f allocates, at least.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Not parallel: it counts what is allocated.
func TestWhatIsHeldOfABodyIsBounded(t *testing.T) {
	const most = 100 << 20 // unbounded, each of these takes more
	t.Run("many masks of a long value are sent as they are swapped", func(t *testing.T) {
		b := newBed(t, keyPlaces("body:*"))
		b.counting()
		b.values.Store("KEY", strings.Repeat("v", 64<<10))
		n := allocated(func() {
			a := b.do(b.request("POST", "https://api.test/", strings.Repeat(b.mask("KEY"), 1000), "Content-Type: text/plain"))
			if want := fmt.Sprint(1000*64<<10, -1, nil); a.body != want {
				t.Errorf("the upstream received %s, want %s", a.body, want)
			}
		})
		if n > 2*most { // 1000 values of 64 KiB go by
			t.Errorf("%d MiB were allocated", n>>20)
		}
		if e := b.event(func(e audit.Event) bool { return e.Status == 200 }); len(e.Swapped) != 1 || len(e.Withheld) != 0 {
			t.Errorf("%+v", e)
		}
	})
	t.Run("many masks of a long value in one field are refused", func(t *testing.T) {
		b := newBed(t, keyPlaces("body:note"))
		b.values.Store("KEY", strings.Repeat("v", 64<<10))
		n := allocated(func() {
			r := b.request("POST", "https://api.test/", `{"note":"`+strings.Repeat(b.mask("KEY"), 4000)+`"}`, "Content-Type: application/json")
			b.refused(b.do(r), 403, "value_unfit")
		})
		if n > most {
			t.Errorf("%d MiB were allocated", n>>20)
		}
		b.nothingSent()
	})
	t.Run("a coded body that cannot be coded as well again goes on as it is", func(t *testing.T) {
		b := newBed(t)
		b.counting()
		var z bytes.Buffer
		w, err := zstd.NewWriter(&z, zstd.WithWindowSize(8<<20))
		if err != nil {
			t.Fatal(err)
		}
		// What repeats lies further back than kz's own encoder looks.
		noise, spaces := make([]byte, 600<<10), bytes.Repeat([]byte(" "), 2<<20)
		_, _ = rand.Read(noise)
		fmt.Fprintf(w, `{"token":%q,"x":"`, b.mask("KEY"))
		for range 60 {
			_, _ = w.Write(noise)
			_, _ = w.Write(spaces)
		}
		_ = w.Close()
		if z.Len() > 1<<20 {
			t.Fatalf("the body has %d bytes", z.Len())
		}
		n := allocated(func() {
			a := b.do(b.request("POST", "https://api.test/", z.String(), "Content-Type: application/json", "Content-Encoding: zstd"))
			if want := fmt.Sprint(z.Len(), z.Len(), nil); a.body != want {
				t.Errorf("the upstream received %s, want %s", a.body, want)
			}
		})
		if n > most {
			t.Errorf("%d MiB were allocated", n>>20)
		}
		if e := b.event(func(e audit.Event) bool { return e.Status == 200 }); len(e.Swapped) != 0 || len(e.Withheld) != 1 {
			t.Errorf("%+v", e)
		}
	})
	t.Run("a length that is only said", func(t *testing.T) {
		b := newBed(t)
		var conn *tls.Conn
		n := allocated(func() {
			var fr *http2.Framer
			conn, fr = b.rawH2()
			for i := range uint32(240) {
				writeFields(fr, 2*i+1, false, ":method", "POST", ":scheme", "https", ":authority", "api.test", ":path", "/",
					"content-type", "application/json", "content-length", strconv.Itoa(1<<20))
			}
			for end := time.Now().Add(10 * time.Second); b.proxy.Begun() < 241 && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			// The good request comes behind the others.
			if a := b.do(b.request("GET", "https://api.test/", "")); a.StatusCode != 200 {
				t.Error(a.Status)
			}
		})
		_ = conn.Close()
		if n > most {
			t.Errorf("%d MiB were allocated", n>>20)
		}
	})
}

// rawH2 opens a tunnel to api.test and speaks h2 in it by hand.
func (b *bed) rawH2() (*tls.Conn, *http2.Framer) {
	b.t.Helper()
	conn := tls.Client(b.connect("api.test:443"), &tls.Config{RootCAs: b.pool, ServerName: "api.test", NextProtos: []string{"h2"}})
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		b.t.Fatal(err)
	}
	fr := http2.NewFramer(conn, conn)
	_ = fr.WriteSettings()
	return conn, fr
}

func TestTrailersBehindABodyOfKnownLengthArrive(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]bedOption{"HTTP/1.1": {overHTTP1}, "HTTP/2.0": nil} {
		b := newBed(t, options...)
		for _, token := range []string{b.mask("KEY"), "none"} {
			body := `{"token":"` + token + `"}`
			conn, fr := b.rawH2()
			writeFields(fr, 1, false, ":method", "POST", ":scheme", "https", ":authority", "api.test", ":path", "/", "content-type", "application/json",
				"content-length", strconv.Itoa(len(body)), "trailer", "x-end")
			_ = fr.WriteData(1, false, []byte(body))
			writeFields(fr, 1, true, "x-end", "v")
			got := b.upstreamGot()
			if want := strings.Replace(body, b.mask("KEY"), keyValue, 1); got.body != want || got.r.Proto != name || got.r.Trailer.Get("X-End") != "v" {
				t.Errorf("%s: the upstream received %s %q %v, want %q", name, got.r.Proto, got.body, got.r.Trailer, want)
			}
			_ = conn.Close()
		}
	}
}

// overHTTP1 makes api.test an upstream that does not speak h2.
func overHTTP1(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(b.serveUpstream))
	s.TLS = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return b.minter.Leaf(hello.ServerName) }}
	s.StartTLS()
	b.t.Cleanup(s.Close)
	b.pin(o, "api.test:443", s)
}
