package proxy_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// answering makes the upstream of api.test answer with f.
func answering(f http.HandlerFunc) bedOption {
	return func(b *bed, _ *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) { b.handler = f }
}

func coded(t *testing.T, coding, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "bare deflate":
		w, _ = flate.NewWriter(&b, 5)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	default:
		return text
	}
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestValuesAreTakenOutOfBodiesInEveryCoding(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"", "gzip", "deflate", "bare deflate", "br", "zstd"} {
		for _, size := range []int{0, 100, 2 << 20} {
			for _, known := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %d %v", coding, size, known), func(t *testing.T) {
					t.Parallel()
					pad := strings.Repeat("padding ", size/8)
					text := pad + keyValue + pad
					sent := coded(t, coding, text)
					b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
						if coding != "" {
							w.Header().Set("Content-Encoding", strings.TrimPrefix(coding, "bare "))
						}
						w.Header().Set("Content-Md5", "x")
						w.Header().Set("Etag", `"e"`)
						if known {
							w.Header().Set("Content-Length", strconv.Itoa(len(sent)))
						} else {
							w.(http.Flusher).Flush()
						}
						_, _ = io.WriteString(w, sent)
					}))
					a := b.do(b.request("GET", "https://api.test/", "", "Accept-Encoding: gzip, deflate, br, zstd"))
					want := pad + b.mask("KEY") + pad
					if coding == "" && known && size > 1<<20 {
						want = pad + b.mask("KEY")[:len(keyValue)] + pad
						if a.ContentLength != int64(len(text)) {
							t.Errorf("length %d", a.ContentLength)
						}
					}
					if a.body != want {
						t.Errorf("got %d bytes, want %d: %.80q", len(a.body), len(want), strings.TrimPrefix(a.body, pad))
					}
					if a.Header.Get("Content-Encoding") != "" || a.Header.Get("Content-Md5") != "" || a.Header.Get("Etag") == "" {
						t.Errorf("headers %v", a.Header)
					}
					if size == 0 && known && coding == "" && a.ContentLength != int64(len(want)) {
						t.Errorf("length %d, want %d", a.ContentLength, len(want))
					}
				})
			}
		}
	}
}

func TestEveryFormOfAValueIsTakenOut(t *testing.T) {
	t.Parallel()
	forms := map[string]string{
		"plain": keyValue, "base64": base64.StdEncoding.EncodeToString([]byte(keyValue)), "base64 after one byte": base64.StdEncoding.EncodeToString([]byte("x" + keyValue)),
		"base64 after two": base64.StdEncoding.EncodeToString([]byte("xy" + keyValue)), "basic": basic("user", keyValue), "hex": hex.EncodeToString([]byte(keyValue)),
		"HEX": strings.ToUpper(hex.EncodeToString([]byte(keyValue))), "query": url.QueryEscape(keyValue),
		"PEM in JSON": strings.ReplaceAll(pemValue, "\n", `\n`), "PEM": pemValue, "PEM in a query": url.QueryEscape(pemValue),
	}
	for name, form := range forms {
		b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "<%s>", form) }))
		a := b.do(b.request("GET", "https://api.test/", ""))
		if !strings.Contains(a.body, "kz_masked_") || strings.Contains(a.body, form) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}

func TestHeadersTrailersAndHintsAreScrubbed(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</x?"+keyValue+">")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Trailer", "X-Sum, X-"+keyValue)
			w.Header().Set("X-"+keyValue, "1")
			w.Header().Set("X-Value", "a "+keyValue)
			w.Header().Add("Set-Cookie", "k="+keyValue)
			w.Header().Set("Alt-Svc", `h3=":443"`)
			w.WriteHeader(201)
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-Sum", keyValue)
			w.Header().Set("X-"+keyValue, "1")
			w.Header().Set(http.TrailerPrefix+"X-Late", keyValue)
		}))
		b.client = b.newClient(h2)
		var hint string
		r := b.request("GET", "https://api.test/", "")
		r = r.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hint = fmt.Sprint(code, h)
			return nil
		}}))
		a := b.do(r)
		m := b.mask("KEY")
		if !strings.HasPrefix(hint, "103") || !strings.Contains(hint, m) || strings.Contains(hint, keyValue) {
			t.Errorf("h2 %v: early hints: %s", h2, hint)
		}
		if a.Header.Get("X-Value") != "a "+m || a.Header.Get("Set-Cookie") != "k="+m || a.Header.Get("Alt-Svc") != "" || a.StatusCode != 201 {
			t.Errorf("h2 %v: headers %v", h2, a.Header)
		}
		if strings.Contains(strings.ToLower(fmt.Sprint(a.Header, a.Trailer)), keyValue) {
			t.Errorf("h2 %v: a header's name: %v %v", h2, a.Header, a.Trailer)
		}
		if a.Trailer.Get("X-Sum") != m || a.Trailer.Get("X-Late") != m || a.body != "body" {
			t.Errorf("h2 %v: trailers %v, body %q", h2, a.Trailer, a.body)
		}
		e := b.event(func(e audit.Event) bool { return e.Kind == audit.Request })
		where := map[string]int{}
		for _, s := range e.Scrubbed {
			where[s.Where] += s.Count
		}
		if where["header"] < 2 || where["trailer"] < 2 || where["early_hints"] != 1 {
			t.Errorf("h2 %v: %+v", h2, e.Scrubbed)
		}
	}
}

func TestTheReasonPhraseIsTheStandardOne(t *testing.T) {
	t.Parallel()
	b := newBed(t, rawUpstream("HTTP/1.1 200 "+keyValue+"\r\nContent-Length: 2\r\n\r\nok", closeNotify))
	conn := b.raw("api.test:443", "api.test")
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n")
	all, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(all), "HTTP/1.1 200 OK\r\n") || strings.Contains(string(all), keyValue) {
		t.Errorf("%q", all)
	}
}

func TestAnswersThatCannotBeScrubbedAreRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/part" {
			w.WriteHeader(http.StatusPartialContent)
		} else {
			w.Header().Set("Content-Encoding", "rot13")
		}
		fmt.Fprint(w, keyValue)
	}))
	auth := "Authorization: Bearer " + b.mask("KEY")
	b.refused(b.do(b.request("GET", "https://api.test/coding", "", auth)), 502, "response_unscannable")
	b.refused(b.do(b.request("GET", "https://api.test/part", "", auth)), 502, "response_unscannable")
	// Without a swap an unknown coding passes, scrubbed as it is.
	if a := b.do(b.request("GET", "https://api.test/coding", "")); a.body != b.mask("KEY") || a.Header.Get("Content-Encoding") != "rot13" {
		t.Errorf("%q %v", a.body, a.Header)
	}
}

func TestRangesPassWhereTheyAreAllowed(t *testing.T) {
	t.Parallel()
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x", time.Time{}, strings.NewReader("0123456789"))
	}), func(_ *bed, _ *proxy.Options, s *[]policy.Secret, _ *policy.Egress) { (*s)[0].Ranges = true })
	a := b.do(b.request("GET", "https://api.test/", "", "Range: bytes=2-4"))
	if a.StatusCode != 206 || a.body != "234" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
	if a := b.do(b.request("GET", "https://other.test/", "", "Range: bytes=2-4")); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
}

func TestEventsArriveOneByOne(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		next := make(chan string)
		b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			for e := range next {
				fmt.Fprintf(w, "data: %s\n\n", e)
				w.(http.Flusher).Flush()
			}
		}))
		b.client = b.newClient(h2)
		resp, err := b.client.Do(b.request("GET", "https://api.test/", "")) // the head comes before any event
		if err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(resp.Body)
		read := func() string {
			if !sc.Scan() {
				t.Fatal(sc.Err())
			}
			line := sc.Text()
			sc.Scan()
			return line
		}
		next <- "one"
		if got := read(); got != "data: one" {
			t.Errorf("got %q", got)
		}
		next <- keyValue
		if got := read(); got != "data: "+b.mask("KEY") {
			t.Errorf("got %q", got)
		}
		close(next)
		if sc.Scan() || sc.Err() != nil {
			t.Errorf("after the end: %q %v", sc.Text(), sc.Err())
		}
		_ = resp.Body.Close()
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	conn := b.raw("api.test:443", "api.test")
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: api.test\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(b.mask("KEY"))+12)
	br := bufio.NewReader(conn)
	if line, _ := br.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q", line)
	}
	_, _ = br.ReadString('\n')
	fmt.Fprintf(conn, `{"token":"%s"}`, b.mask("KEY"))
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	if got := b.upstreamGot().body; got != `{"token":"`+keyValue+`"}` {
		t.Errorf("got %s", got)
	}
}

func TestHeadAndBodilessAnswers(t *testing.T) {
	t.Parallel()
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.WriteHeader(304)
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", "999")
		default:
			w.Header().Set("Content-Length", "12345")
		}
	}))
	for _, c := range []struct {
		method, path string
		status       int
		length       int64
	}{{"HEAD", "/", 200, 12345}, {"HEAD", "/gzip", 200, -1}, {"GET", "/204", 204, 0}, {"GET", "/304", 304, 0}} {
		a := b.do(b.request(c.method, "https://api.test"+c.path, "", "Accept-Encoding: gzip"))
		if a.StatusCode != c.status || a.ContentLength != c.length || a.body != "" {
			t.Errorf("%s %s: %d, length %d, %q", c.method, c.path, a.StatusCode, a.ContentLength, a.body)
		}
	}
}

func TestRequestTrailersAndHTTP10(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	conn := b.raw("api.test:443", "api.test")
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: api.test\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	got := b.upstreamGot()
	if got.body != "abc" || got.r.Trailer.Get("X-Sum") != "7" {
		t.Errorf("%q %v", got.body, got.r.Trailer)
	}
	conn = b.raw("api.test:443", "api.test")
	fmt.Fprint(conn, "GET / HTTP/1.0\r\nHost: api.test\r\n\r\n")
	all, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(all, []byte("HTTP/1.0 200 OK\r\n")) {
		t.Errorf("%q %v", all, err)
	}
}

func TestNothingIsAddedToAnAnswer(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"<html>", strings.Repeat("x", 3<<20)} {
		b := newBed(t, rawUpstream(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-One: 1\r\n\r\n%s", len(body), body), closeNotify))
		for _, h2 := range []bool{false, true} {
			b.client = b.newClient(h2)
			a := b.do(b.request("POST", "https://api.test/", "x"))
			if len(a.Header) != 2 || a.Header.Get("X-One") != "1" || a.ContentLength != int64(len(body)) || a.body != body {
				t.Errorf("h2 %v: %v, length %d", h2, a.Header, a.ContentLength)
			}
		}
	}
}
