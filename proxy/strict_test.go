package proxy_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestWhatServersReadInDifferentWaysIsRefused, over HTTP/1.1; for h2 see TestATargetWithASpaceMakesNoRequestLine.
func TestWhatServersReadInDifferentWaysIsRefused(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"a path with a fragment":       "GET /a#/b HTTP/1.1\r\nHost: api.test\r\n\r\n",
		"GET of all":                   "GET * HTTP/1.1\r\nHost: api.test\r\n\r\n",
		"expecting two things":         "POST / HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
		"expecting what looks like it": "POST / HTTP/1.1\r\nHost: api.test\r\nExpect: y 100-continue\r\nContent-Length: 1\r\n\r\nx",
		"expecting it and something":   "POST / HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue, y\r\nContent-Length: 1\r\n\r\nx",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.refused(b.speak(b.raw("api.test:443", "api.test"), request), 400, "request_invalid")
			b.nothingSent()
		})
	}
	t.Run("the same in cleartext", func(t *testing.T) {
		t.Parallel()
		b := newBed(t)
		b.refused(b.do(b.request("POST", "http://api.test/", "x", "Expect: 100-continue, y")), 400, "request_invalid")
		b.nothingSent()
	})
}

// TestExpectIsSentInOneWay, and where there is nothing to wait for not at all.
func TestExpectIsSentInOneWay(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for head, want := range map[string]string{
		"POST / HTTP/1.1\r\nExpect: 100-CONTINUE\r\nContent-Length: 1\r\n":                        "100-continue",
		"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n":                        "",
		"GET / HTTP/1.1\r\nExpect: 100-continue\r\n":                                              "",
		"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n":                        "",
		"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Type: a/b\r\n":                        "",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nX-Expect: 100-continue\r\n":                      "",
		"POST / HTTP/1.1\r\nConnection: Expect\r\nExpect:\t100-continue\r\nContent-Length: 1\r\n": "",
	} {
		conn := b.raw("api.test:443", "api.test")
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, head+"Host: api.test\r\n\r\n"+strings.Repeat("x", strings.Count(head, "Length: 1")))
		if got := b.upstreamGot().r.Header["Expect"]; fmt.Sprint(got) != fmt.Sprint(strings.Fields(want)) {
			t.Errorf("%q: %q", head, got)
		}
		_ = conn.Close()
	}
}

// TestOddLengthsAndMethodsOfH2AreRefused: net/http reads an odd length as nought, and sends a method as it is.
func TestOddLengthsAndMethodsOfH2AreRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	answered := func(body bool, method string, fields ...string) string {
		t.Helper()
		conn := tls.Client(b.connect("api.test:443"), &tls.Config{RootCAs: b.pool, ServerName: "api.test", NextProtos: []string{"h2"}})
		defer conn.Close()
		_, _ = io.WriteString(conn, http2.ClientPreface)
		fr := http2.NewFramer(conn, conn)
		fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		_ = fr.WriteSettings()
		writeFields(fr, 1, !body, append([]string{":method", method, ":scheme", "https", ":authority", "api.test", ":path", "/"}, fields...)...)
		if body {
			_ = fr.WriteData(1, true, []byte("abc"))
		}
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if head, ok := f.(*http2.MetaHeadersFrame); ok {
				return head.PseudoValue("status")
			}
			if f.Header().Type == http2.FrameRSTStream || f.Header().Type == http2.FrameGoAway {
				return "reset"
			}
		}
	}
	for _, lengths := range [][]string{{"+3"}, {"0x3"}, {"3, 3"}, {"03"}, {""}, {"3", "0"}, {"3", "3"}, {"18446744073709551619"}} {
		var fields []string
		for _, l := range lengths {
			fields = append(fields, "content-length", l)
		}
		if got := answered(true, "POST", fields...); got != "400" && got != "reset" { // net/http may see first that there is more than nought
			t.Errorf("the lengths %q: %s", lengths, got)
		}
	}
	if got := answered(false, "GET", "content-length", "3"); got != "400" {
		t.Errorf("a length without a body: %s", got)
	}
	if got := answered(false, "GET /smuggled"); got != "400" {
		t.Errorf("a method with a space: %s", got)
	}
	b.nothingSent()
	for _, fields := range [][]string{nil, {"content-length", "3"}} {
		if got := answered(true, "POST", fields...); got != "200" || b.upstreamGot().body != "abc" {
			t.Errorf("%q: %s", fields, got)
		}
	}
	if got := answered(false, "GET", "content-length", "0"); got != "200" {
		t.Errorf("a length of nought: %s", got)
	}
}
