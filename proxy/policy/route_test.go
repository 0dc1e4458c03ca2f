package policy

import (
	"strings"
	"testing"
)

func patterns(t *testing.T, ss ...string) []HostPattern {
	t.Helper()
	var ps []HostPattern
	for _, s := range ss {
		p, err := ParseEgressPattern(s)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

// TestOneDecisionForEveryForm asks for the same destinations by CONNECT and in absolute form. Where the answers may differ
// is written out: a binding opens no cleartext, and port 443 of an entry for it is TLS's.
func TestOneDecisionForEveryForm(t *testing.T) {
	t.Parallel()
	bound := []Secret{{Name: "A", Hosts: patterns(t, "api.test", "db.test:8443", "*.wild.test")}}
	anyHost := []Secret{{Name: "A", Any: true}}
	allow, deny := patterns(t, "docs.test", "plain.test:80", "all.test:*", "git.test:22", "mail.test:25", "api.test:80"), patterns(t, "bad.test:*", "*.bad.test:*", "docs.test:8080")
	policies := map[string]*Policy{
		"permissive":               New(bound, Egress{Allow: allow, Deny: deny}),
		"strict":                   New(bound, Egress{Strict: true, Allow: allow, Deny: deny}),
		"permissive, intercepting": New(bound, Egress{InterceptAll: true, Allow: allow, Deny: deny}),
		"strict, intercepting":     New(bound, Egress{Strict: true, InterceptAll: true, Allow: allow, Deny: deny}),
		"for any host":             New(anyHost, Egress{Allow: allow, Deny: deny}),
		"strict, for any host":     New(anyHost, Egress{Strict: true, Allow: allow, Deny: deny}),
	}
	hosts := []string{"api.test", "db.test", "x.wild.test", "wild.test", "docs.test", "plain.test", "all.test", "git.test", "mail.test", "bad.test", "x.bad.test", "other.test", "10.0.0.1"}
	for name, p := range policies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, h := range hosts {
				for _, port := range []uint16{22, 25, 80, 443, 8080, 8443} {
					a := Authority{h, port}
					tunnel, plain := p.Route(ByConnect, a), p.Route(ByURL, a)
					for form, r := range map[string]Route{"CONNECT": tunnel, "absolute form": plain} {
						if (r.Action == Deny) != (r.Code == EgressDenied) || (r.Action == Deny) != (r.Hint != "") || r.Reason == "" {
							t.Errorf("%s by %s: incomplete answer %+v", a, form, r)
						}
					}
					if plain.Action == Intercept || plain.Opening != AnyOpening {
						t.Errorf("%s: cleartext is %+v", a, plain)
					}
					differs := (tunnel.Action == Deny) != (plain.Action == Deny)
					may := p.bound(a) || p.egress.Strict && port == 443 && h != "all.test"
					switch {
					case differs && !may:
						t.Errorf("%s: CONNECT is %+v, absolute form %+v", a, tunnel, plain)
					case tunnel.Action == Deny && plain.Action != Deny:
						t.Errorf("%s: absolute form passes where CONNECT is refused", a)
					case strings.HasSuffix(h, "bad.test") && tunnel.Action != Deny:
						t.Errorf("%s: deny does not win", a)
					}
				}
			}
		})
	}
}

func TestOpeningsOfTunnels(t *testing.T) {
	t.Parallel()
	allow := patterns(t, "docs.test", "plain.test:80", "all.test:*", "git.test:22", "mail.test:25", "alt.test:8443", "both.test", "both.test:*")
	strict := New(nil, Egress{Strict: true, Allow: allow})
	permissive := New(nil, Egress{Allow: allow})
	for to, want := range map[string]Opening{
		"docs.test:443": NamedWithTLS, "alt.test:8443": NamedWithTLS,
		"plain.test:80": NamedIfTLS, "git.test:22": NamedIfTLS, "mail.test:25": NamedIfTLS,
		"all.test:443": NamedIfTLS, "all.test:5432": NamedIfTLS, "both.test:443": NamedIfTLS,
	} {
		if r := strict.Route(ByConnect, authority(t, to)); r.Action != Tunnel || r.Opening != want {
			t.Errorf("%s: %+v, want %v", to, r, want)
		}
		if r := permissive.Route(ByConnect, authority(t, to)); r.Action != Tunnel || r.Opening != AnyOpening {
			t.Errorf("%s in permissive mode: %+v", to, r)
		}
	}
}

func TestServerNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host, sni string
		want      bool
	}{
		{"api.test", "api.test", true}, {"api.test", "API.Test", true},
		{"api.test", "", false}, {"api.test", "evil.test", false}, {"api.test", "x.api.test", false}, {"api.test", "api.test.", false},
		{"api.test", "api.test:443", false}, {"api.test", "ａpi.test", false}, {"api.test", "api.test\x00", false}, {"api.test", " api.test", false},
		{"kube.test", "\u212aube.test", false},
		{"10.0.0.1", "", true}, {"10.0.0.1", "10.0.0.1", true}, {"10.0.0.1", "evil.test", false}, {"[2606:4700::1]", "", true}, {"[2606:4700::1]", "evil.test", false},
	} {
		if got := authority(t, c.host).Named(c.sni); got != c.want {
			t.Errorf("%s named %q: %v", c.host, c.sni, got)
		}
	}
}
