package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"kz/masking"
	"kz/proxy/audit"
	"kz/proxy/policy"
	"kz/resolver"
)

// headValue and the other have in them what means something in a header, a path or a query.
const (
	headValue  = `va/lue&with=odd ?#;%41+"\..`
	otherValue = "other/value&of=another host"
)

// headProxy is as much of a Proxy as the head of a request needs. KEY may stand in many places of api.test, OTHER in none.
func headProxy(t testing.TB) (*Proxy, *destination) {
	t.Helper()
	table, err := masking.NewTable(masking.Key{1}, []masking.Entry{{Name: "KEY"}, {Name: "OTHER"}})
	if err != nil {
		t.Fatal(err)
	}
	bound := func(name, host string, places ...string) policy.Secret {
		p, err := policy.ParseHostPattern(host)
		if err != nil {
			t.Fatal(err)
		}
		s := policy.Secret{Name: name, Hosts: []policy.HostPattern{p}}
		for _, text := range places {
			place, err := policy.ParsePlace(text)
			if err != nil {
				t.Fatal(err)
			}
			s.Places = append(s.Places, place)
		}
		return s
	}
	values := map[string]string{"KEY": headValue, "OTHER": otherValue}
	p := &Proxy{log: slog.New(slog.DiscardHandler), opts: Options{Table: table, Audit: &audit.Memory{}, Values: func(_ context.Context, name string) (resolver.Secret, error) {
		v, ok := values[name]
		if !ok {
			return resolver.Secret{}, errors.New("gone")
		}
		return resolver.NewSecret(v), nil
	}}}
	pol := policy.New([]policy.Secret{
		bound("KEY", "api.test", "header", "basic", "header:X-Within", "query:key", "path"),
		bound("OTHER", "other.test", "header", "basic", "query:key", "path"),
	}, policy.Egress{})
	return p, newDestination(pol.Scope(policy.Authority{Host: "api.test", Port: 443}), "https")
}

// FuzzHead holds that a swap changes nothing of a request but the place that is declared, whatever its value: what an
// upstream reads has the same path segments, parameters and headers, no value of another host's secret, and no mask that
// was let through where it may not stand.
func FuzzHead(f *testing.F) {
	for _, s := range [][3]string{
		{"/v1/x?a=1", "Authorization", "Bearer {KEY}"},
		{"/v1/{KEY}/x?key={KEY}&b=%20", "X-Api-Key", "{KEY}"},
		{"/a//b/?key={KEY};x&key", "X-Within", "a {KEY} b"},
		{"/{KEY};v=1/..", "Authorization", "Basic {BASIC}"},
		{"/?q={OTHER}", "Cookie", "a={KEY}"},
		{"//x/%2e%2E/{KEY}", "x-within", "{KEY}{KEY}"},
		{"/?key=%7BKEY%7D&%6bey={KEY}", "Connection", "x, {KEY}"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	p, scope := headProxy(f)
	masks := map[string]string{"{KEY}": p.opts.Table.Token("KEY"), "{OTHER}": p.opts.Table.Token("OTHER")}
	f.Fuzz(func(t *testing.T, target, name, value string) {
		value = strings.ReplaceAll(value, "{BASIC}", "dTo{KEY}")
		for short, mask := range masks {
			target, value = strings.ReplaceAll(target, short, mask), strings.ReplaceAll(value, short, mask)
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: api.test\r\nUser-Agent: x\r\n" + name + ": " + value + "\r\n\r\n")))
		if err != nil || r.URL.IsAbs() || !strings.HasPrefix(r.RequestURI, "/") || r.ContentLength != 0 || len(r.Trailer) > 0 {
			return
		}
		x := newExchange(p)
		x.scope = scope
		before := x.outboundURL(r)
		r.URL = before
		segments, params := strings.Count(rawPath(before), "/"), paramNames(before.RawQuery)
		if x.prepare(r) != nil {
			return
		}
		var wire bytes.Buffer
		if err := r.Write(&wire); err != nil {
			return // net/http sends nothing then
		}
		got, err := http.ReadRequest(bufio.NewReader(&wire))
		if err != nil {
			t.Fatalf("it cannot be read: %v: %q", err, wire.String())
		}
		path, _, _ := strings.Cut(got.RequestURI, "?")
		if strings.Count(path, "/") != segments || !slices.Equal(paramNames(got.URL.RawQuery), params) {
			t.Errorf("%q became %q", target, got.RequestURI)
		}
		if len(got.Header) > len(r.Header) || got.Host != "api.test" {
			t.Errorf("headers were added: %q, of %q", got.Header, r.Header)
		}
		all := got.RequestURI + "\n" + unescapePercent(got.RequestURI)
		for name, vs := range got.Header {
			all += "\n" + name + ": " + strings.Join(vs, "\n")
			if strings.Contains(strings.Join(vs, "\n"), headValue) && policy.Reflected(name) {
				t.Errorf("the value stands in %s", name)
			}
		}
		if strings.Contains(all, otherValue) {
			t.Errorf("the value of another host's secret stands in %q", all)
		}
		if strings.Contains(got.RequestURI, masks["{OTHER}"]) {
			t.Errorf("another host's mask was let through in %q", got.RequestURI)
		}
	})
}

// outboundURL is the URL as serve makes it.
func (x *exchange) outboundURL(r *http.Request) *url.URL { return x.outbound(r).URL }

// paramNames are the names of a query's parameters, as they stand.
func paramNames(query string) []string {
	var list []string
	for p := range strings.SplitSeq(query, "&") {
		n, _, _ := strings.Cut(p, "=")
		list = append(list, n)
	}
	return list
}

// FuzzBasic holds that only canonical credentials are taken apart, so that together again they are the same bytes.
func FuzzBasic(f *testing.F) {
	for _, s := range []string{"Basic dTpw", "basic  dTpw", "Basic dTpx=", "Basic dTo=", "Basic dTp=", "Basic", "Bearer dTpw", "Basic ZHU6cDpx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		user, password, ok := parseBasic(s)
		if !ok || strings.ContainsAny(s, "\r\n") { // base64 passes over line breaks, which no header has
			return
		}
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, password)
		scheme, encoded, _ := strings.Cut(s, " ")
		if got, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Basic "); got != strings.TrimLeft(encoded, " ") || !strings.EqualFold(scheme, "basic") || strings.Contains(user, ":") {
			t.Errorf("%q was read as %q and %q", s, user, password)
		}
	})
}
