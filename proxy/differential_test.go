package proxy_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kz/proxy"
	"kz/proxy/policy"
)

// TestEveryFormGetsTheSameDecision asks for each destination under each policy by CONNECT, by a request of HTTP/1.1 and one
// of h2 inside a tunnel that is open already, and in absolute form, on a connection of its own and on one that is kept.
func TestEveryFormGetsTheSameDecision(t *testing.T) {
	t.Parallel()
	patterns := func(ss ...string) (ps []policy.HostPattern) {
		for _, s := range ss {
			p, err := policy.ParseEgressPattern(s)
			if err != nil {
				t.Fatal(err)
			}
			ps = append(ps, p)
		}
		return ps
	}
	targets := []string{"api.test:443", "api.test:8443", "docs.test:443", "docs.test:80", "bad.test:443", "x.bad.test:8443", "all.test:443", "all.test:22",
		"other.test:443", "other.test:80", "other.test:22", "other.test:25", "mail.test:25"}
	b := newBed(t, func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		// TLS at every port; what comes in the clear is answered with 400, silently.
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.EnableHTTP2, s.Config.ErrorLog = true, log.New(io.Discard, "", 0)
		s.TLS = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return b.minter.Leaf(hello.ServerName) }}
		s.StartTLS()
		t.Cleanup(s.Close)
		for _, target := range targets {
			b.pin(o, target, s)
		}
	})
	bound := []policy.Secret{{Name: "KEY", Hosts: patterns("api.test"), Places: policy.DefaultPlaces()}}
	allow, deny := patterns("docs.test", "docs.test:80", "all.test:*", "mail.test:25", "api.test:8443"), patterns("bad.test:*", "*.bad.test:*")
	open := policy.New(nil, policy.Egress{InterceptAll: true, Allow: patterns("other.test:*", "all.test:*", "mail.test:*")})
	for name, c := range map[string]struct {
		policy  *policy.Policy
		refused string // the targets that no form reaches
		clear   string // those that absolute form does not, where CONNECT does
	}{
		"permissive": {policy.New(bound, policy.Egress{Allow: allow, Deny: deny}),
			"bad.test:443 x.bad.test:8443 other.test:22 other.test:25", ""},
		"permissive, intercepting all": {policy.New(bound, policy.Egress{InterceptAll: true, Allow: allow, Deny: deny}),
			"bad.test:443 x.bad.test:8443 other.test:22 other.test:25", ""},
		"for any host": {policy.New([]policy.Secret{{Name: "KEY", Any: true, Places: policy.DefaultPlaces()}}, policy.Egress{Allow: allow, Deny: deny}),
			"bad.test:443 x.bad.test:8443 other.test:22 other.test:25", ""},
		"strict": {policy.New(bound, policy.Egress{Strict: true, Allow: allow, Deny: deny}),
			"bad.test:443 x.bad.test:8443 other.test:443 other.test:80 other.test:22 other.test:25", "api.test:443 docs.test:443"},
		"strict, all denied": {policy.New(bound, policy.Egress{Strict: true, Allow: allow, Deny: patterns("*.test:*")}), strings.Join(targets, " "), ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range targets {
				refused := strings.Contains(" "+c.refused+" ", " "+target+" ")
				refusedClear := refused || strings.Contains(" "+c.clear+" ", " "+target+" ")
				host, _, _ := strings.Cut(target, ":")
				answers := map[string]func() string{}
				// Tunnels that were opened when everything was allowed.
				b.proxy.SetPolicy(open)
				for proto, h2 := range map[string]bool{"HTTP/1.1": false, "h2": true} {
					client := b.newClient(h2)
					get := func() string {
						resp, err := client.Get("https://" + target + "/")
						if err != nil {
							t.Fatalf("%s by %s: %v", target, proto, err)
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
						return resp.Header.Get("Kz-Error")
					}
					if code := get(); code != "" {
						t.Fatalf("%s by %s: %s before there was a policy", target, proto, code)
					}
					answers[proto+" inside its tunnel"] = get
				}
				b.proxy.SetPolicy(c.policy)
				answers["CONNECT"] = func() string {
					conn, status := b.tryConnect(target, "Proxy-Authorization: Basic "+basic("kz", credential)+"\r\n")
					_ = conn.Close()
					return map[int]string{200: "", 403: "egress_denied"}[status]
				}
				clear := func() string {
					return b.do(b.request(http.MethodGet, "http://"+target+"/", "")).Header.Get("Kz-Error")
				}
				answers["absolute form"], answers["absolute form, again"] = clear, clear
				for form, ask := range answers {
					want := refused
					if strings.HasPrefix(form, "absolute") {
						want = refusedClear
					}
					if got := ask(); got != map[bool]string{true: "egress_denied"}[want] {
						t.Errorf("%s by %s: %q", target, form, got)
					}
				}
				// And no form carries another destination past the decision.
				for _, relayed := range []string{"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", "GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n", "GET https://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n", "GET / HTTP/1.1\r\nX: %s\r\nHost: %s\r\n\r\n"} {
					if refused && c.policy.Route(policy.ByConnect, policy.Authority{Host: "api.test", Port: 443}).Action == policy.Intercept && host != "api.test" {
						a := b.speak(b.raw("api.test:443", "api.test"), fmt.Sprintf(relayed, target, target))
						if code := a.Header.Get("Kz-Error"); code != "authority_mismatch" && code != "method_refused" {
							t.Errorf("%s relayed by %.12q: %d %s", target, relayed, a.StatusCode, code)
						}
					}
				}
			}
		})
	}
}
