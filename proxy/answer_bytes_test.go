package proxy_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kz/proxy"
	"kz/proxy/policy"
)

// TestAnAnswerThatComesByteByByteIsScrubbed has the upstream give each byte in a packet of its own: of the head, of hints, of
// chunks and of trailers.
func TestAnAnswerThatComesByteByByteIsScrubbed(t *testing.T) {
	t.Parallel()
	const value = `a"key/with%marks+and=5f3c`
	forms := []string{value, url.QueryEscape(value), hex.EncodeToString([]byte(value)), base64.StdEncoding.EncodeToString([]byte("x" + value + "y"))}
	for _, h2 := range []bool{false, true} {
		b := newBed(t, func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
			b.values.Store("KEY", value)
			b.serveTLS(o, []string{"http/1.1"}, func(conn *tls.Conn) {
				br := bufio.NewReader(conn)
				r, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body) // unread, it would make the end a reset
				form := forms[len(r.URL.Path)-1]
				answer := fmt.Sprintf("HTTP/1.1 103 %[1]s\r\nLink: %[1]s\r\n\r\nHTTP/1.1 200 %[1]s\r\nX-A: %[1]s\r\nX-%[2]x: 1\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n"+
					"%[3]x;%[2]x=%[2]x\r\n%[1]s\r\n2\r\n\r\n\r\n0\r\nX-End: %[1]s\r\nX-%[2]x: 1\r\n\r\n", form, value, len(form))
				for i := range answer {
					if _, err := io.WriteString(conn, answer[i:i+1]); err != nil {
						return
					}
				}
				endLike(conn, closeNotify)
			})
		})
		b.client = b.newClient(h2)
		for i, form := range forms {
			resp, err := b.client.Do(b.request("POST", "https://api.test"+strings.Repeat("/", i+1), "x"))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			all := fmt.Sprint(resp.Status, resp.Header, string(body), resp.Trailer)
			if _, found := b.proxy.Holds([]byte(all)); found || strings.Contains(all, form) || strings.Contains(strings.ToLower(all), fmt.Sprintf("%x", value)) {
				t.Errorf("%q came through: %s", form, all)
			}
			if got := strings.Count(all, b.mask("KEY")); got != 3 {
				t.Errorf("%q: %d masks in %s", form, got, all)
			}
		}
	}
}
