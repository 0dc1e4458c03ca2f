package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kz/proxy"
	"kz/proxy/policy"
)

// TestABindingToAPortForCleartextSwapsNothing has a secret bound to port 80, where no binding can mean TLS.
func TestABindingToAPortForCleartextSwapsNothing(t *testing.T) {
	t.Parallel()
	got := make(chan string, 10)
	plain := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("Authorization") + string(body)
	}))
	defer plain.Close()
	b := newBed(t, keyPlaces("header", "basic", "body:*", "query:key", "path"), func(b *bed, o *proxy.Options, s *[]policy.Secret, _ *policy.Egress) {
		(*s)[0].Hosts = hosts(t, "api.test:80")
		b.pin(o, "api.test:80", plain)
	})
	mask := b.mask("KEY")
	for _, r := range []*http.Request{
		b.request("GET", "http://api.test/", "", "Authorization: Bearer "+mask),
		b.request("GET", "http://api.test/", "", "Authorization: Basic "+basic("u", mask)),
		b.request("GET", "http://api.test/?key="+mask, ""),
		b.request("GET", "http://api.test/"+mask, ""),
	} {
		b.refused(b.do(r), 403, "cleartext")
	}
	if b.do(b.request("POST", "http://api.test/", "a "+mask)); len(got) != 1 {
		t.Fatalf("the upstream received %d requests, want that with the body alone", len(got))
	}
	if body := <-got; !strings.Contains(body, mask) {
		t.Errorf("the upstream received %q", body)
	}
}
