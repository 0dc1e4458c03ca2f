package proxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"kz/proxy"
	"kz/proxy/policy"
	"kz/resolver"
)

func TestAMaskStandsInAPlaceOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("header:X-Sig", "path"))
	m := b.mask("KEY")
	for _, r := range []*http.Request{
		b.request("GET", "https://api.test/", "", "X-Sig: a="+m+";b="+m),
		b.request("GET", "https://api.test/a/"+m+"x"+m, ""),
	} {
		b.refused(b.do(r), 400, "request_invalid")
	}
	b.nothingSent()
}

func TestAnEscapedMaskInAHeaderIsAMask(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	escaped := strings.ReplaceAll(b.mask("KEY"), "_", "%5F")
	b.refused(b.do(b.request("GET", "https://api.test/", "", "X-Link: /?t="+escaped)), 403, "place_not_declared")
	b.nothingSent()
	if a := b.do(b.request("GET", "https://api.test/", "", "Referer: /?t="+escaped)); a.StatusCode != 200 {
		t.Errorf("in a reflected header: %d", a.StatusCode)
	}
}

func TestValuesThatWouldMeanMoreThanThemselvesAreUnfit(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("basic", "path"))
	b.values.Store("KEY", "a-user:with-a-colon")
	b.refused(b.do(b.request("GET", "https://api.test/", "", "Authorization: Basic "+basic(b.mask("KEY"), "x"))), 403, "value_unfit")
	b.values.Store("KEY", "..")
	b.refused(b.do(b.request("GET", "https://api.test/a/"+b.mask("KEY")+"/b", "")), 403, "value_unfit")
	b.nothingSent()
	if err := b.proxy.Learn("KEY", resolver.NewSecret("x"+b.mask("OTHER"))); err == nil {
		t.Error("a value that holds a mask was taken")
	}
}

// zeros is n zero bytes in zstd, with this window.
func zeros(t *testing.T, n int64, window int) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(window))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeroReader{}, n); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	return b.String()
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestCodingsThatAskForTooMuchAreBrokenOff(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"a bomb": zeros(t, 80<<20, 1<<20), "a window": zeros(t, 20<<20, 16<<20)} {
		b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "zstd")
			_, _ = io.WriteString(w, body)
		}))
		resp, err := b.client.Do(b.request("GET", "https://api.test/", ""))
		var n int64
		if err == nil {
			n, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: a success of %d bytes", name, n)
		}
	}
	b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip, gzip, gzip")
		_, _ = io.WriteString(w, coded(t, "gzip", coded(t, "gzip", coded(t, "gzip", keyValue))))
	}))
	b.refused(b.do(b.request("GET", "https://api.test/", "", "Authorization: Bearer "+b.mask("KEY"))), 502, "response_unscannable")
}

func TestDigestsOfALongAnswerGo(t *testing.T) {
	t.Parallel()
	b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(2<<20))
		w.Header().Set("Content-MD5", "x")
		w.Header().Set("Repr-Digest", "x")
		_, _ = io.CopyN(w, zeroReader{}, 2<<20)
	}))
	if a := b.do(b.request("GET", "https://api.test/", "")); a.Header.Get("Content-MD5")+a.Header.Get("Repr-Digest") != "" || len(a.body) != 2<<20 {
		t.Errorf("%v", a.Header)
	}
}

func TestTooManyEarlyHintsAreABadGateway(t *testing.T) {
	t.Parallel()
	b := newBed(t, rawUpstream(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 40)+"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", closeNotify))
	b.refused(b.do(b.request("POST", "https://api.test/", "x")), 502, "upstream_unreachable")
}

func TestAHeaderHasALimit(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, h2 := range []bool{false, true} {
		b.client = b.newClient(h2)
		resp, err := b.client.Do(b.request("GET", "https://api.test/", "", "X-Long: "+strings.Repeat("x", 100<<10)))
		if err != nil {
			continue // h2 may end the stream instead
		}
		if resp.StatusCode != 431 {
			t.Errorf("h2 %v: %d", h2, resp.StatusCode)
		}
		_ = resp.Body.Close()
	}
	b.nothingSent()
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) { o.MaxConns = 2 })
	var conns []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		conns = append(conns, conn)
		if len(conns) < 3 {
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = conns[2].SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := conns[2].Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a third connection was served: %v", err)
	}
	_ = conns[0].Close()
	_ = conns[2].SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := conns[2].Read(make([]byte, 1)); err != nil {
		t.Errorf("it was not served later: %v", err)
	}
}

func TestTheProxyIsNotReachedThroughItself(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		o.AllowPrivate = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	})
	_, port, _ := net.SplitHostPort(b.address)
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "[::]"} {
		_, status := b.tryConnect(host+":"+port, "Proxy-Authorization: Basic "+basic("kz", credential)+"\r\n")
		if status != 403 {
			t.Errorf("%s: %d", host, status)
		}
	}
}

func TestAnAnswersHeaderHasALimit(t *testing.T) {
	t.Parallel()
	b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 8 {
			w.Header().Set(fmt.Sprintf("X-Long-%d", i), strings.Repeat("x", 60<<10))
		}
	}))
	for _, h2 := range []bool{false, true} {
		b.client = b.newClient(h2)
		b.refused(b.do(b.request("GET", "https://api.test/", "")), 502, "upstream_unreachable")
	}
}
