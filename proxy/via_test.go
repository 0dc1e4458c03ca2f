package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"kz/proxy"
	"kz/proxy/policy"
)

// throughCorp puts an upstream proxy before every upstream. It asks for a user and a password, and says hello in the name of
// hosts called "first". bare leaves the credential out.
func throughCorp(bare bool) bedOption {
	return func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		target := o.Resolve[0].Addr.String()
		o.Resolve = nil
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go serveCorp(conn, target)
			}
		}()
		o.UpstreamProxy = &url.URL{Scheme: "http", Host: l.Addr().String()}
		if !bare {
			o.UpstreamProxy.User = url.UserPassword("corp", "pw")
		}
	}
}

func serveCorp(conn net.Conn, target string) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	switch {
	case r.Header.Get("Proxy-Authorization") != "Basic "+basic("corp", "pw"):
		_, _ = io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"corp\"\r\nContent-Length: 0\r\n\r\n")
	case strings.HasPrefix(r.Host, "blocked."):
		_, _ = io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nwords")
	case strings.HasPrefix(r.Host, "first."):
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nhello from the server\n")
		_, _ = io.Copy(conn, conn)
	case strings.HasPrefix(r.Host, "cut."):
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-")
	default:
		up, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(up, conn); _ = up.Close() }()
		_, _ = io.Copy(conn, up)
	}
}

func TestAnUpstreamProxyCarriesBothVersionsOfHTTP(t *testing.T) {
	t.Parallel()
	b := newBed(t, throughCorp(false))
	for proto, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		b.client = b.newClient(h2)
		a := b.do(b.request("POST", "https://api.test/", `{"token":"`+b.mask("KEY")+`"}`, "Content-Type: application/json"))
		got := b.upstreamGot()
		if a.StatusCode != 200 || got.r.Proto != proto || got.body != `{"token":"`+keyValue+`"}` {
			t.Errorf("%s: %d, the upstream got %s %d bytes", proto, a.StatusCode, got.r.Proto, len(got.body))
		}
	}
}

func TestWhatAnUpstreamProxyRefusesIsSaid(t *testing.T) {
	t.Parallel()
	t.Run("that it wants a user", func(t *testing.T) {
		t.Parallel()
		b := newBed(t, throughCorp(true))
		e := b.refused(b.do(b.request("GET", "https://api.test/", "")), 502, "upstream_unreachable")
		if !strings.Contains(e.Message, "upstream proxy") || !strings.Contains(e.Message, "407") || !strings.Contains(e.Hint, "upstream_proxy = ") {
			t.Errorf("%+v", e)
		}
		if _, status := b.tryConnect("tunnel.test:443", "Proxy-Authorization: Basic "+basic("kz", credential)+"\r\n"); status != 502 {
			t.Errorf("a tunnel: %d", status) // and never a 407, which would be about kz's own credential
		}
	})
	t.Run("that it forbids a host, without its words", func(t *testing.T) {
		t.Parallel()
		b := newBed(t, throughCorp(false), func(_ *bed, _ *proxy.Options, s *[]policy.Secret, _ *policy.Egress) {
			(*s)[0].Hosts = hosts(t, "blocked.test", "cut.test")
		})
		a := b.do(b.request("GET", "https://blocked.test/", ""))
		if e := b.refused(a, 502, "upstream_unreachable"); !strings.Contains(e.Message, "403") || strings.Contains(a.body, "words") {
			t.Errorf("%+v", e)
		}
		b.refused(b.do(b.request("GET", "https://cut.test/", "")), 502, "upstream_unreachable")
	})
}

// TestAServerBehindAnUpstreamProxyMaySpeakFirst has its first words come in one segment with the proxy's answer.
func TestAServerBehindAnUpstreamProxyMaySpeakFirst(t *testing.T) {
	t.Parallel()
	b := newBed(t, throughCorp(false))
	conn := b.connect("first.test:2525")
	if _, err := io.WriteString(conn, "and back\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for _, want := range []string{"hello from the server\n", "and back\n"} {
		if got, err := r.ReadString('\n'); got != want {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// TestAClientThatIsNotLetIn asks as git does, first without a credential, and, as git does not, never again.
func TestAClientThatIsNotLetIn(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	t.Run("may try again on the same connection", func(t *testing.T) {
		t.Parallel()
		conn, status := b.tryConnect("tunnel.test:443", "")
		if status != http.StatusProxyAuthRequired {
			t.Fatal(status)
		}
		_, _ = io.CopyN(io.Discard, conn, contentLength(t, b))
		fmt.Fprintf(conn, "CONNECT tunnel.test:443 HTTP/1.1\r\nHost: tunnel.test:443\r\nProxy-Authorization: Basic %s\r\n\r\n", basic("kz", credential))
		if resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect}); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
	})
	t.Run("is shown the door after ten seconds", func(t *testing.T) {
		t.Parallel()
		conn, _ := b.tryConnect("api.test:443", "")
		_ = conn.SetReadDeadline(time.Now().Add(25 * time.Second))
		began := time.Now()
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// contentLength is that of a 407.
func contentLength(t *testing.T, b *bed) int64 {
	t.Helper()
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "CONNECT tunnel.test:443 HTTP/1.1\r\nHost: tunnel.test:443\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp.ContentLength
}
