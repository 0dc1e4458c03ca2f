package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// TestARequestWithoutTheCredentialIsRecorded: a program that does not use what it was given is to be found. Nothing of what was sent
// but the host and the method is in the line.
func TestARequestWithoutTheCredentialIsRecorded(t *testing.T) {
	t.Parallel()
	wrong := "Proxy-Authorization: Basic " + basic("kz", strings.Repeat("0", 64)) + "\r\n"
	good := "Proxy-Authorization: Basic " + basic("kz", credential) + "\r\n"
	for name, c := range map[string]struct {
		say  []string // requests of one connection
		want string
	}{
		"a wrong one":            {[]string{"CONNECT API.test:443 HTTP/1.1\r\nHost: api.test\r\n" + wrong}, "CONNECT api.test:443 the proxy credential is wrong"},
		"none":                   {[]string{"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n"}, "CONNECT api.test:443 the proxy credential is missing"},
		"none, several times":    {[]string{"CONNECT api.test:443 HTTP/1.1\r\nHost: x\r\n", "GET http://b.test/ HTTP/1.1\r\nHost: b.test\r\n"}, "CONNECT api.test:443 the proxy credential is missing"},
		"none of a GET":          {[]string{"GET http://api.test/secret?q=1 HTTP/1.1\r\nHost: api.test\r\n"}, "GET api.test:80 the proxy credential is missing"},
		"none until it is asked": {[]string{"GET http://none.test/ HTTP/1.1\r\nHost: none.test\r\n", "GET http://none.test/ HTTP/1.1\r\nHost: none.test\r\n" + good}, "GET none.test:80 egress_denied"},
		"none, and no proxy":     {[]string{"GET / HTTP/1.1\r\nHost: api.test\r\n"}, ""},
		"none, and no host":      {[]string{"CONNECT nonsense HTTP/1.1\r\nHost: nonsense\r\n"}, ""},
		"a wrong one, no method": {[]string{strings.Repeat("A", 4000) + " http://api.test/ HTTP/1.1\r\nHost: api.test\r\n" + wrong}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, func(_ *bed, _ *proxy.Options, _ *[]policy.Secret, e *policy.Egress) {
				e.Deny = hosts(t, "none.test:80")
			})
			conn := b.dialProxy()
			var asked answer
			for _, request := range c.say {
				asked = b.speak(conn, request+"\r\n")
			}
			_ = conn.Close()
			b.shutdown()
			var got []string
			for _, e := range b.audit.Events() {
				why := e.Reason
				if e.Code != "proxy_credential" {
					why = e.Code
				} else if e.Status != http.StatusProxyAuthRequired || e.Kind != audit.Refusal || e.Path != "" || e.Session == "" || e.Time.IsZero() || e.Request == "" {
					t.Errorf("the line is %+v", e)
				} else if len(c.say) == 1 && !strings.Contains(asked.body, e.Request) {
					t.Errorf("the answer is of another request than the line: %s", asked.body)
				}
				got = append(got, fmt.Sprintf("%s %s:%d %s", e.Method, e.Host, e.Port, why))
			}
			if strings.Join(got, "; ") != c.want {
				t.Errorf("the audit has %q, not %q", got, c.want)
			}
		})
	}
	t.Run("a hundred are two lines", func(t *testing.T) {
		t.Parallel()
		b := newBed(t)
		for range 100 {
			if _, status := b.tryConnect("api.test:443", wrong); status != http.StatusProxyAuthRequired {
				t.Fatalf("status %d", status)
			}
		}
		b.shutdown()
		if n := len(b.audit.Events()); n < 2 || n > 10 {
			t.Errorf("the audit has %d lines", n)
		}
	})
}
