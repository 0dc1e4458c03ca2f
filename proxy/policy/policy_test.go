package policy

import (
	"net/netip"
	"strings"
	"testing"
)

func pattern(t testing.TB, s string) HostPattern {
	t.Helper()
	p, err := ParseEgressPattern(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func authority(t testing.TB, s string) Authority {
	t.Helper()
	a, err := ParseAuthority(s, 443)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func places(t testing.TB, ss ...string) []Place {
	t.Helper()
	var ps []Place
	for _, s := range ss {
		p, err := ParsePlace(s)
		if err != nil {
			t.Fatal(err)
		}
		if p.String() != s {
			t.Fatalf("place %q is written back as %q", s, p)
		}
		ps = append(ps, p)
	}
	return ps
}

func TestSpellingsOfOneAuthorityAreEqual(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"API.Example.COM":             "api.example.com:443",
		"api.example.com.":            "api.example.com:443",
		"api.example.com:8443":        "api.example.com:8443",
		"bücher.example":              "xn--bcher-kva.example:443",
		"ａｐｉ．example.com":             "api.example.com:443",
		"127.0.0.1":                   "127.0.0.1:443",
		"[2001:DB8::1]":               "[2001:db8::1]:443",
		"[2001:db8:0:0:0:0:0:1]:8443": "[2001:db8::1]:8443",
		"a_b.example.com":             "a_b.example.com:443",
	} {
		if a, err := ParseAuthority(in, 443); err != nil || a.String() != want {
			t.Errorf("%q: got %v, %v, want %s", in, a, err, want)
		}
	}
}

func TestAmbiguousAuthoritiesAreRefused(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", ".", "..", "a..b", "a.b..", "user@api.test", "api.test\x00.evil.test", "api%2etest", "api test", "api.test/",
		"127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.01", "1.2.3.4.5", "[::ffff:127.0.0.1]", "[::1%25lo]", "[::1", "::1",
		"api.test:", "api.test:0", "api.test:65536", "api.test:+443", "api.test:0443", "api.test:44a", "[::1]x", "-a.test", "a-.test",
		strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 127) + "test", "é\x00.test", "api.0x7f"} {
		if a, err := ParseAuthority(in, 443); err == nil {
			t.Errorf("%q was read as %v", in, a)
		}
	}
	if _, err := ParseAuthority("api.test", 0); err == nil {
		t.Error("a missing port was accepted without a default")
	}
}

func TestPatternsMatchLabelByLabel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, host string
		want          bool
	}{
		{"api.test", "api.test", true},
		{"api.test", "API.test.", true},
		{"api.test", "api.test:8443", false},
		{"api.test:8443", "api.test:8443", true},
		{"api.test:8443", "api.test", false},
		{"good.test", "good.test.evil.test", false},
		{"good.test", "evilgood.test", false},
		{"good.test", "sub.good.test", false},
		{"*.good.test", "good.test", false},
		{"*.good.test", "a.good.test", true},
		{"*.good.test", "a.b.good.test", true},
		{"*.good.test", "evilgood.test", false},
		{"*.good.test", "a.good.test.evil.test", false},
		{"*.good.test:8443", "a.good.test:8443", true},
		{"docs.test:*", "docs.test:1234", true},
		{"docs.test:*", "docs.testx:1234", false},
		{"[2001:db8::1]", "[2001:db8:0::1]", true},
		{"10.0.0.1", "10.0.0.1", true},
	} {
		if got := pattern(t, c.pattern).Match(authority(t, c.host)); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.host, got)
		}
	}
	if (HostPattern{}).Match(Authority{}) {
		t.Error("the zero pattern matches")
	}
}

func TestBadPatternsAreRefused(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "*", "**", "*.*", "a.*.b", "*a.test", "https://api.test/", "api.test/v1", "u@api.test", "*.10.0.0.1", "2001:db8::1", "api.test:*", "127.1"} {
		if p, err := ParseHostPattern(in); err == nil {
			t.Errorf("%q was read as %v", in, p)
		}
	}
}

func TestBadPlacesAreRefused(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "query", "headers", "header:", "header:a b", "body:", "body:/a~2", "basic:x", "cookie:x"} {
		if p, err := ParsePlace(in); err == nil {
			t.Errorf("%q was read as %v", in, p)
		}
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	secrets := []Secret{{Name: "A", Hosts: []HostPattern{pattern(t, "api.test"), pattern(t, "db.test:8443")}}}
	permissive := New(secrets, Egress{Deny: []HostPattern{pattern(t, "bad.test:*"), pattern(t, "*.bad.test:*")}})
	strict := New(secrets, Egress{Strict: true, Allow: []HostPattern{pattern(t, "docs.test"), pattern(t, "plain.test:80"), pattern(t, "api.test")},
		Deny: []HostPattern{pattern(t, "x.docs.test")}})
	all := New(secrets, Egress{InterceptAll: true})
	anyHost := New([]Secret{{Name: "A", Any: true}}, Egress{})
	denied := New(secrets, Egress{Deny: []HostPattern{pattern(t, "api.test")}, Allow: []HostPattern{pattern(t, "api.test")}})
	for _, c := range []struct {
		name   string
		policy *Policy
		to     string
		want   Action
	}{
		{"a bound host is intercepted", permissive, "api.test", Intercept},
		{"a bound host is intercepted in strict mode", strict, "api.test", Intercept},
		{"a bound port is intercepted", permissive, "db.test:8443", Intercept},
		{"another port of a bound host is tunnelled", permissive, "db.test", Tunnel},
		{"an unknown host is tunnelled", permissive, "docs.test", Tunnel},
		{"an unknown host is refused in strict mode", strict, "other.test", Deny},
		{"an allowed host is tunnelled in strict mode", strict, "docs.test", Tunnel},
		{"a denied host is refused", permissive, "bad.test", Deny},
		{"a host below a denied one is refused", permissive, "a.bad.test", Deny},
		{"deny wins over a binding and over allow", denied, "api.test", Deny},
		{"ssh is not tunnelled", permissive, "git.test:22", Deny},
		{"smtp is not tunnelled", permissive, "mail.test:25", Deny},
		{"every host can be intercepted", all, "other.test", Intercept},
		{"a secret for any host intercepts every host", anyHost, "other.test", Intercept},
	} {
		r := c.policy.Route(ByConnect, authority(t, c.to))
		if r.Action != c.want {
			t.Errorf("%s: got %v", c.name, r)
		}
		if (r.Action == Deny) != (r.Code == EgressDenied) || (r.Action == Deny) != (r.Hint != "") || r.Reason == "" {
			t.Errorf("%s: incomplete answer %+v", c.name, r)
		}
	}
	if r := strict.Route(ByURL, authority(t, "api.test:80")); r.Action != Deny {
		t.Error("a binding opened cleartext in strict mode")
	}
	if r := strict.Route(ByURL, authority(t, "plain.test:80")); r.Action != Tunnel {
		t.Error("an allowed cleartext host is refused")
	}
}

func TestJudgement(t *testing.T) {
	t.Parallel()
	p := New([]Secret{
		{Name: "DEF", Hosts: []HostPattern{pattern(t, "api.test")}, Places: DefaultPlaces()},
		{Name: "EXACT", Hosts: []HostPattern{pattern(t, "api.test")}, Places: places(t, "header:X-Key", "header:Cookie", "body:user.pw", "body:/a/b", "query:key", "path")},
		{Name: "ALL", Hosts: []HostPattern{pattern(t, "api.test")}, Places: places(t, "body:*")},
		{Name: "WS", Hosts: []HostPattern{pattern(t, "api.test")}, Places: places(t, "frame")},
		{Name: "ELSE", Hosts: []HostPattern{pattern(t, "else.test")}, Places: DefaultPlaces()},
	}, Egress{})
	s := p.Scope(authority(t, "api.test"))
	header := func(name string, whole bool) Site { return Site{Kind: InHeader, Name: name, Whole: whole} }
	for _, c := range []struct {
		name, secret string
		at           Site
		want         Verdict
		code         Code
	}{
		{"a whole header", "DEF", header("Authorization", true), Swap, ""},
		{"part of a header", "DEF", header("Authorization", false), Refuse, PlaceNotDeclared},
		{"a reflected header", "DEF", header("Cookie", true), Withhold, ""},
		{"another reflected header", "DEF", header("X-Forwarded-For", true), Withhold, ""},
		{"a reflected header that a place names", "EXACT", header("Cookie", false), Swap, ""},
		{"a named header, embedded", "EXACT", header("X-Key", false), Swap, ""},
		{"a header that is not named", "EXACT", header("Authorization", true), Refuse, PlaceNotDeclared},
		{"basic", "DEF", Site{Kind: InBasic, Whole: true}, Swap, ""},
		{"part of a password", "DEF", Site{Kind: InBasic}, Refuse, PlaceNotDeclared},
		{"basic where it is not declared", "EXACT", Site{Kind: InBasic, Whole: true}, Refuse, PlaceNotDeclared},
		{"a credential field", "DEF", Site{Kind: InField, Top: true, Credential: true, Whole: true, Name: "api_key"}, Swap, ""},
		{"a credential field with more than the mask", "DEF", Site{Kind: InField, Top: true, Credential: true, Name: "api_key"}, Withhold, ""},
		{"a prompt", "DEF", Site{Kind: InField, Top: true, Whole: true, Name: "prompt"}, Withhold, ""},
		{"a nested credential field", "DEF", Site{Kind: InField, Credential: true, Whole: true, Name: "api_key", Pointer: "/x/api_key"}, Withhold, ""},
		{"a named field", "EXACT", Site{Kind: InField, Top: true, Name: "user.pw"}, Swap, ""},
		{"a named field, nested", "EXACT", Site{Kind: InField, Name: "user.pw", Pointer: "/x/user.pw"}, Withhold, ""},
		{"a pointer", "EXACT", Site{Kind: InField, Pointer: "/a/b", Name: "b"}, Swap, ""},
		{"anywhere in a body", "ALL", Site{Kind: InBody}, Swap, ""},
		{"anywhere in a body, not declared", "DEF", Site{Kind: InBody}, Withhold, ""},
		{"a query parameter", "EXACT", Site{Kind: InQuery, Name: "key"}, Swap, ""},
		{"another query parameter", "EXACT", Site{Kind: InQuery, Name: "Key"}, Refuse, PlaceNotDeclared},
		{"a path segment", "EXACT", Site{Kind: InPath}, Swap, ""},
		{"elsewhere in the URL", "EXACT", Site{Kind: InURL}, Refuse, PlaceNotDeclared},
		{"a WebSocket message", "WS", Site{Kind: InFrame}, Swap, ""},
		{"a WebSocket message, not declared", "DEF", Site{Kind: InFrame}, Withhold, ""},
		{"a WebSocket message, where anywhere in a body is declared", "ALL", Site{Kind: InFrame}, Withhold, ""},
		{"a header, where frames are declared", "WS", header("Authorization", true), Refuse, PlaceNotDeclared},
		{"a body, where frames are declared", "WS", Site{Kind: InBody}, Withhold, ""},
		{"a secret of another host in a WebSocket message", "ELSE", Site{Kind: InFrame}, Withhold, ""},
		{"a secret of another host", "ELSE", header("Authorization", true), Refuse, HostNotBound},
		{"a secret of another host in a body", "ELSE", Site{Kind: InField, Top: true, Credential: true, Whole: true, Name: "token"}, Withhold, ""},
		{"a mask of another session", "", header("Authorization", true), Refuse, MaskUnknown},
		{"a mask of another session in a body", "", Site{Kind: InBody}, Withhold, ""},
	} {
		d := s.Judge(c.secret, c.at)
		if d.Verdict != c.want || d.Code != c.code {
			t.Errorf("%s: got %+v", c.name, d)
		}
		if c.want == Refuse && (d.Hint == "" || d.Reason == "") {
			t.Errorf("%s: no reason or hint: %+v", c.name, d)
		}
	}
	plain := p.PlainScope(authority(t, "api.test"))
	for _, c := range []struct {
		secret string
		at     Site
		want   Verdict
	}{
		{"DEF", header("Authorization", true), Refuse}, {"", Site{Kind: InQuery, Name: "k"}, Refuse},
		{"ALL", Site{Kind: InBody}, Withhold}, {"WS", Site{Kind: InFrame}, Withhold}, {"DEF", header("Cookie", true), Withhold},
	} {
		if d := plain.Judge(c.secret, c.at); d.Verdict != c.want || d.Verdict == Refuse && d.Code != Cleartext {
			t.Errorf("cleartext: %q at %s: got %+v", c.secret, c.at, d)
		}
	}
}

func TestFramesAreLookedIntoWhereTheyAreDeclared(t *testing.T) {
	t.Parallel()
	p := New([]Secret{
		{Name: "WS", Hosts: []HostPattern{pattern(t, "ws.test")}, Places: places(t, "header", "frame")},
		{Name: "DEF", Hosts: []HostPattern{pattern(t, "ws.test"), pattern(t, "api.test")}, Places: DefaultPlaces()},
	}, Egress{})
	if !p.Scope(authority(t, "ws.test")).Frames || p.Scope(authority(t, "api.test")).Frames || p.PlainScope(authority(t, "ws.test")).Frames {
		t.Error("not where a bound secret declares them, and only there")
	}
	if s := (Site{Kind: InFrame}); s.Entry() != "frame" || s.String() != "a WebSocket message" {
		t.Errorf("named %q, %q", s.Entry(), s)
	}
	if d := p.Scope(authority(t, "ws.test")).Judge("DEF", Site{Kind: InFrame}); d.Reason != "DEF may not stand in a WebSocket message" {
		t.Errorf("the reason is %q", d.Reason)
	}
}

func TestHintsSayWhatToWrite(t *testing.T) {
	t.Parallel()
	p := New([]Secret{{Name: "KEY", Hosts: []HostPattern{pattern(t, "api.test")}, Places: DefaultPlaces()}}, Egress{})
	d := p.Scope(authority(t, "api.test")).Judge("KEY", Site{Kind: InQuery, Name: "k"})
	if want := `if it may stand there, write under [secrets.KEY]: swap = ["header", "basic", "body", "query:k"]`; d.Hint != want {
		t.Errorf("got  %s\nwant %s", d.Hint, want)
	}
	d = p.Scope(authority(t, "other.test:8443")).Judge("KEY", Site{Kind: InHeader, Name: "Authorization", Whole: true})
	if want := `if it may go there, write under [secrets.KEY]: hosts = ["api.test", "other.test:8443"]`; d.Hint != want {
		t.Errorf("got  %s\nwant %s", d.Hint, want)
	}
}

func TestAddressClasses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]AddressClass{
		"1.1.1.1": Public, "2606:4700::1111": Public, "127.0.0.1": Private, "127.255.0.1": Private, "::1": Private, "::": Private, "0.0.0.0": Private,
		"10.1.2.3": Private, "172.16.0.1": Private, "192.168.1.1": Private, "100.64.0.1": Private, "169.254.1.1": Private, "fe80::1": Private,
		"fe80::1%eth0": Private, "fc00::1": Private, "::ffff:127.0.0.1": Private, "::ffff:1.1.1.1": Public, "::7f00:1": Private, "64:ff9b::7f00:1": Private,
		"2002:7f00:1::": Private, "224.0.0.1": Private, "255.255.255.255": Private, "ff02::1": Private,
		"169.254.169.254": Metadata, "::ffff:169.254.169.254": Metadata, "64:ff9b::a9fe:a9fe": Metadata, "2002:a9fe:a9fe::1": Metadata,
		"fd00:ec2::254": Metadata, "169.254.170.2": Metadata, "100.100.100.200": Metadata,
	} {
		if got := ClassOf(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s: got %v, want %v", in, got, want)
		}
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	p, err := ParsePin("api.test:443", "127.0.0.1:19443")
	if err != nil || !p.Match.Match(authority(t, "api.test")) || p.Addr.Port() != 19443 {
		t.Fatal(p, err)
	}
	for _, c := range [][2]string{{"api.test", "localhost:1"}, {"api.test", "127.0.0.1"}, {"", "127.0.0.1:1"}, {"api.test", "127.0.0.1:0"}} {
		if _, err := ParsePin(c[0], c[1]); err == nil {
			t.Errorf("%q was accepted", c)
		}
	}
}

func TestDecidingCostsNothing(t *testing.T) {
	p := New([]Secret{{Name: "KEY", Hosts: []HostPattern{pattern(t, "api.test")}, Places: DefaultPlaces()}}, Egress{})
	a := authority(t, "api.test")
	s := p.Scope(a)
	if n := testing.AllocsPerRun(100, func() {
		s.Judge("KEY", Site{Kind: InHeader, Name: "Authorization", Whole: true})
		p.Route(ByConnect, a)
		a.Matches("api.test", 443)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzHostsNeverWiden holds that a pattern for one host matches nothing that does not spell that very host.
func FuzzHostsNeverWiden(f *testing.F) {
	for _, s := range []string{"good.test", "GOOD.test.", "good.test.evil.test", "good.test:443", "ｇood.test", "good。test", "good.test%00", "*.good.test"} {
		f.Add(s)
	}
	good := pattern(f, "good.test")
	below := pattern(f, "*.good.test")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAuthority(s, 443)
		if err != nil {
			return
		}
		if b, err := ParseAuthority(a.String(), 0); err != nil || a != b {
			t.Fatalf("%q: %v is not canonical: %v, %v", s, a, b, err)
		}
		if good.Match(a) != (a.Host == "good.test" && a.Port == 443) {
			t.Fatalf("%q: %v", s, a)
		}
		if below.Match(a) != (len(a.Host) > 10 && strings.HasSuffix(a.Host, ".good.test") && a.Port == 443) {
			t.Fatalf("%q: %v", s, a)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	p := New([]Secret{{Name: "KEY", Hosts: []HostPattern{pattern(b, "api.test")}, Places: DefaultPlaces()}}, Egress{})
	s := p.Scope(authority(b, "api.test"))
	b.ReportAllocs()
	for b.Loop() {
		s.Judge("KEY", Site{Kind: InHeader, Name: "Authorization", Whole: true})
	}
}
