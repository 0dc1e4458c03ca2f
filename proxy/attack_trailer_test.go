package proxy_test

import (
	"bufio"
	"fmt"
	"net/http"
	"testing"

	"kz/proxy/audit"
)

func TestOnlyTrailersThatMayBeOnesGoOn(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]bedOption{"HTTP/1.1": {overHTTP1}, "HTTP/2.0": nil} {
		b := newBed(t, options...)
		m := b.mask("KEY")
		for _, kind := range []string{"text/plain", "application/json"} {
			trailers := "X-End: v\r\nAuthorization: Bearer " + m + "\r\nContent-Encoding: gzip\r\nCookie: a\r\nX-Note: about " + m + "\r\nX-Unannounced: b\r\nHost: evil.test\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n"
			conn := b.raw("api.test:443", "api.test")
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: api.test\r\nContent-Type: "+kind+"\r\nTransfer-Encoding: chunked\r\nTrailer: X-End, Authorization, Content-Encoding, Cookie, X-Note\r\n\r\n2\r\n{}\r\n0\r\n"+trailers+"\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("%s: %v %v", name, err, resp)
			}
			want := http.Header{"X-End": {"v"}, "X-Note": {"about " + m}}
			if got := b.upstreamGot(); fmt.Sprint(got.r.Trailer) != fmt.Sprint(want) || got.body != "{}" {
				t.Errorf("%s, %s: the upstream received %v, want %v", name, kind, got.r.Trailer, want)
			}
			conn = b.raw("api.test:443", "api.test")
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: api.test\r\nContent-Type: "+kind+"\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n2\r\n{}\r\n0\r\n"+trailers+"\r\n")
			if resp, err = http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 {
				t.Fatalf("%s: %v %v", name, err, resp)
			}
			if got := b.upstreamGot(); len(got.r.Trailer) != 0 || got.body != "{}" {
				t.Errorf("%s, %s: the upstream received %v", name, kind, got.r.Trailer)
			}
		}
		b.event(func(e audit.Event) bool {
			return len(e.Withheld) == 1 && e.Withheld[0].Secret == "KEY" && e.Withheld[0].Place == "trailer:X-Note"
		})
	}
}
