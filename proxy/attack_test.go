package proxy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
	"kz/resolver"
)

func TestAMaskInAHeaderOfTheHopIsNotSentAndNothingBreaks(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, head := range []string{
		"Connection: X-Api-Key\r\nX-Api-Key: MASK\r\n", "Connection: MASK\r\n", "Proxy-Authorization: Bearer MASK\r\n", "Keep-Alive: MASK\r\n",
		"Upgrade: MASK\r\n", "Max-Forwards: MASK\r\n", "TE: MASK\r\n", "Proxy-Connection: MASK\r\n", "Range: MASK\r\n", "A-IM: MASK\r\n", "Trailer: MASK\r\n",
		"Sec-WebSocket-Extensions: MASK\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", "HTTP2-Settings: MASK\r\n",
	} {
		conn := b.raw("api.test:443", "api.test")
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: api.test\r\n"+strings.ReplaceAll(head, "MASK", b.mask("KEY"))+"\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%q: %v", head, err)
			continue
		}
		if resp.StatusCode != 200 {
			t.Errorf("%q: %d", head, resp.StatusCode)
			continue
		}
		if sent := fmt.Sprint(b.upstreamGot().r.Header); strings.Contains(sent, keyValue) || strings.Contains(sent, b.mask("KEY")) {
			t.Errorf("%q: sent %s", head, sent)
		}
	}
}

func TestAPathOfTwoSlashesIsNoOtherHost(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("path"))
	for target, want := range map[string]string{
		"//evil.test/a":                "//evil.test/a",
		"//evil.test/{a}":              "//evil.test/%7Ba%7D",
		"/a//{b}":                      "/a//{b}",
		"//evil.test/%7e|":             "//evil.test/~%7C",
		"//evil.test/" + b.mask("KEY"): "//evil.test/" + keyValue,
	} {
		a := b.speak(b.raw("api.test:443", "api.test"), "GET "+target+" HTTP/1.1\r\nHost: api.test\r\n\r\n")
		if a.StatusCode != 200 {
			t.Errorf("%s: %d %s", target, a.StatusCode, a.body)
			continue
		}
		if got := b.upstreamGot().r.RequestURI; got != want {
			t.Errorf("%s became %s", target, got)
		}
	}
}

func TestATargetWithASpaceMakesNoRequestLine(t *testing.T) {
	t.Parallel()
	heads := make(chan string, 10)
	b := newBed(t, func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		b.pinTo(o, "api.test:443", l.Addr().String())
		leaf, _ := b.minter.Leaf("api.test")
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					tc := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"http/1.1"}})
					line, _ := bufio.NewReader(tc).ReadString('\n')
					heads <- line
					_, _ = io.WriteString(tc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				}()
			}
		}()
	})
	for _, path := range []string{"/a HTTP/1.0 b", "/a?b HTTP/1.0 c", "/a b"} {
		conn := b.connect("api.test:443")
		tc := tls.Client(conn, &tls.Config{RootCAs: b.pool, ServerName: "api.test", NextProtos: []string{"h2"}})
		_, _ = io.WriteString(tc, http2.ClientPreface)
		fr := http2.NewFramer(tc, tc)
		_ = fr.WriteSettings()
		writeFields(fr, 1, true, ":method", "GET", ":scheme", "https", ":authority", "api.test", ":path", path)
		for done := false; !done; {
			f, err := fr.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch f.(type) {
			case *http2.HeadersFrame, *http2.RSTStreamFrame, *http2.GoAwayFrame:
				done = true
			}
		}
		select {
		case line := <-heads:
			if strings.Count(line, " ") != 2 {
				t.Errorf("%q became %q", path, line)
			}
		default:
		}
	}
}

func TestAValueThatIsShorterInLowerCaseIsScrubbedToo(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	if err := b.proxy.Learn("KEY", resolver.NewSecret("\u212a\u212a\u212aabc")); err != nil {
		t.Fatal(err)
	}
	if a := b.do(b.request("POST", "https://api.test/", "\u212a\u212a\u212aabc")); a.StatusCode != 200 || !strings.HasSuffix(a.body, b.mask("KEY")) {
		t.Error(a.StatusCode, a.body)
	}
}

func TestTheAuditHoldsNoWholeMask(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(_ *bed, _ *proxy.Options, _ *[]policy.Secret, e *policy.Egress) { e.Strict = true })
	m := b.mask("KEY")
	for _, target := range []string{m + ".evil.test:443", m + ":443", m, m + ".api.test:22"} {
		b.tryConnect(target, "Proxy-Authorization: Basic "+basic("kz", credential)+"\r\n")
	}
	conn := b.raw("api.test:443", "api.test")
	b.speak(conn, m+" /"+m+"?a="+m+" HTTP/1.1\r\nHost: api.test\r\n\r\n")
	conn = b.raw("api.test:443", "api.test")
	b.speak(conn, m+" / HTTP/1.1\r\nHost: api.test\r\n\r\n")
	conn = b.raw("api.test:443", "api.test")
	b.speak(conn, "GET / HTTP/1.1\r\nHost: "+m+"\r\n\r\n")
	conn = b.raw("api.test:443", "api.test")
	b.speak(conn, "GET / HTTP/1.1\r\nHost: api.test\r\n"+m+": x\r\n\r\n")
	conn = b.raw("api.test:443", "api.test")
	b.speak(conn, "GET /"+strings.ReplaceAll(m, "_", "%5f")+" HTTP/1.1\r\nHost: api.test\r\n\r\n")
	time.Sleep(100 * time.Millisecond)
	for _, e := range b.audit.Events() {
		if s := fmt.Sprintf("%+v", e); strings.Contains(s, m) {
			t.Errorf("%s", s)
		}
	}
}

func TestOptionsStarIsARequestLikeOthers(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	conn := b.raw("api.test:443", "api.test")
	a := b.speak(conn, "OPTIONS * HTTP/1.1\r\nHost: evil.test\r\n\r\n")
	if a.StatusCode != 421 {
		t.Errorf("%d", a.StatusCode)
	}
	conn = b.raw("api.test:443", "api.test")
	a = b.speak(conn, "OPTIONS * HTTP/1.1\r\nHost: api.test\r\n\r\n")
	if a.StatusCode != 200 { // the upstream's own answer: net/http's
		t.Errorf("%d", a.StatusCode)
	}
	b.event(func(e audit.Event) bool { return e.Method == "OPTIONS" && e.Path == "*" && e.Status == 200 })
	c, err := net.Dial("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	if a := b.speak(c, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"); a.StatusCode != 407 {
		t.Errorf("front: %d", a.StatusCode)
	}
}
