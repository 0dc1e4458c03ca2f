package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"kz/resolver"
)

// A value is replaced while it is being sent: what has come of it is kept back over that.
func TestAValueReplacedInTheMiddleOfItselfIsScrubbed(t *testing.T) {
	t.Parallel()
	head := strings.Repeat("it is long. ", 100_000) // too much to be held whole
	for _, measured := range []bool{false, true} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("of known length %v, HTTP/2 %v", measured, h2), func(t *testing.T) {
				t.Parallel()
				b := newBed(t)
				const next = "rotated-value-8c1e"
				begun := make(chan bool)
				b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if measured {
						w.Header().Set("Content-Length", fmt.Sprint(len(head)+len(keyValue)+len(next)+1))
					}
					_, _ = io.WriteString(w, head+keyValue[:12])
					w.(http.Flusher).Flush()
					<-begun
					if err := b.proxy.Learn("KEY", resolver.NewSecret(next)); err != nil {
						t.Error(err)
					}
					_, _ = io.WriteString(w, keyValue[12:]+" "+next)
				})
				resp, err := b.newClient(h2).Do(b.request("GET", "https://api.test/", "", "Authorization: Bearer "+b.mask("KEY")))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if _, err := io.ReadFull(resp.Body, make([]byte, len(head))); err != nil {
					t.Fatal(err)
				}
				close(begun) // the proxy has read the first part
				rest, err := io.ReadAll(resp.Body)
				want := b.mask("KEY") + " " + b.mask("KEY")
				if measured {
					want = b.mask("KEY")[:len(keyValue)] + " " + b.mask("KEY")[:len(next)]
				}
				if string(rest) != want || err != nil {
					t.Errorf("got %q, %v", rest, err)
				}
			})
		}
	}
}
