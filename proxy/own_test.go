package proxy_test

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"kz/proxy"
	"kz/proxy/policy"
)

// TestAProxyThatIsItsOwnUpstreamProxyIsToldSo has one without the check: the connections would be made until there are no
// more.
func TestAProxyThatIsItsOwnUpstreamProxyIsToldSo(t *testing.T) {
	t.Parallel()
	corp := &url.URL{Scheme: "http", User: url.UserPassword("kz", credential)}
	b := newBed(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		o.Resolve, o.UpstreamProxy, o.MaxConns = nil, corp, 8
	})
	corp.Host = b.address
	if e := b.refused(b.do(b.request("GET", "https://api.test/", "")), 403, "private_address"); !strings.Contains(e.Message, "proxy's own") {
		t.Errorf("%+v", e)
	}
}

// TestEveryListenerIsTheProxysOwn serves on two addresses, one of them on all of this machine's.
func TestEveryListenerIsTheProxysOwn(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		o.AllowPrivate = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	})
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = b.proxy.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b.refused(b.speak(conn, "GET http://api.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n"), 407, "proxy_credential") // it is served
	_, port, _ := net.SplitHostPort(l.Addr().String())
	targets := []string{"127.0.0.1:" + port, "127.0.0.2:" + port, "localhost:" + port, "0.0.0.0:" + port, b.address}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			targets = append(targets, net.JoinHostPort(p.Addr().String(), port))
		}
	}
	for _, target := range targets {
		if _, status := b.tryConnect(target, "Proxy-Authorization: Basic "+basic("kz", credential)+"\r\n"); status != 403 {
			t.Errorf("CONNECT %s: %d", target, status)
		}
		b.refused(b.do(b.request("GET", "http://"+target+"/", "")), 403, "private_address")
	}
}
