package proxy_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
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
