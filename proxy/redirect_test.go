package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestRedirectsAreTheClientsToFollow has a bound host send its client elsewhere. kz goes nowhere, and what the client asks
// for next is judged afresh.
func TestRedirectsAreTheClientsToFollow(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.got <- received{r: r}
		w.Header().Set("Location", r.URL.Query().Get("to")+"?key="+keyValue)
		w.Header().Set("Refresh", "0; url="+r.URL.Query().Get("to"))
		w.WriteHeader(map[string]int{"GET": 302, "POST": 307, "PUT": 308, "HEAD": 301}[r.Method])
	})
	for _, h2 := range []bool{false, true} {
		b.client = b.newClient(h2)
		for _, to := range []string{"https://evil.test/x", "http://api.test/x", "https://api.test:8443/x", "//evil.test/x", "/x"} {
			for _, method := range []string{"GET", "POST", "PUT", "HEAD"} {
				t.Run(fmt.Sprintf("%s to %s, h2: %v", method, to, h2), func(t *testing.T) {
					a := b.do(b.request(method, "https://api.test/?to="+to, "", "Authorization: Bearer "+b.mask("KEY")))
					if a.StatusCode/100 != 3 || a.Header.Get("Location") != to+"?key="+b.mask("KEY") {
						t.Errorf("the client received %d %q", a.StatusCode, a.Header.Get("Location"))
					}
					if got := b.upstreamGot().r; got.Host != "api.test" || got.Header.Get("Authorization") != "Bearer "+keyValue {
						t.Errorf("the upstream received %q %q", got.Host, got.Header)
					}
					if len(b.got) > 0 {
						t.Errorf("the redirect was followed, to %s", (<-b.got).r.Host)
					}
				})
			}
		}
	}
	// What a client that follows would send.
	for u, code := range map[string]string{"http://api.test/x": "cleartext", "https://other.test/x": "host_not_bound"} {
		a := b.do(b.request("GET", u, "", "Authorization: Bearer "+b.mask("KEY")))
		b.refused(a, 403, code)
		a = b.do(b.request("GET", u+"?key="+b.mask("KEY"), "", "Referer: https://api.test/"))
		if e := b.refused(a, 403, code); !strings.Contains(e.Message, "KEY") {
			t.Errorf("%+v", e)
		}
	}
	b.nothingSent()
}
