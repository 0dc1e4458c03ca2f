package proxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"kz/masking"
	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
	"kz/test/ports"
)

func TestMasksWhereTheyMayNotBeSwapped(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	m, foreign := b.mask("KEY"), masking.NewKey().Mask("KEY")
	json := "Content-Type: application/json"
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
		code   string
	}{
		{"a header toward a host it is not bound to", b.request("GET", "https://other.test/", "", "Authorization: Bearer "+m), 403, "host_not_bound"},
		{"the query toward a host it is not bound to", b.request("GET", "https://other.test/?q="+m, ""), 403, "host_not_bound"},
		{"a percent-encoded query", b.request("GET", "https://other.test/?q=%6Bz"+m[2:], ""), 403, "host_not_bound"},
		{"the path toward a host it is not bound to", b.request("GET", "https://other.test/a/"+m, ""), 403, "host_not_bound"},
		{"the query of its own host", b.request("GET", "https://api.test/?key="+m, ""), 403, "place_not_declared"},
		{"a parameter's name", b.request("GET", "https://api.test/?"+m+"=1", ""), 403, "place_not_declared"},
		{"the path of its own host", b.request("GET", "https://api.test/"+m, ""), 403, "place_not_declared"},
		{"part of a header", b.request("GET", "https://api.test/", "", "X-Key: a-"+m), 403, "place_not_declared"},
		{"more than a scheme before it", b.request("GET", "https://api.test/", "", "Authorization: a b "+m), 403, "place_not_declared"},
		{"something behind it", b.request("GET", "https://api.test/", "", "Authorization: Bearer "+m+"x"), 403, "place_not_declared"},
		{"two headers", b.request("GET", "https://api.test/", "", "Authorization: Bearer "+m, "Authorization: Bearer x"), 400, "request_invalid"},
		{"two Basic headers", b.request("GET", "https://api.test/", "", "Authorization: Basic "+basic("u", m), "Authorization: x"), 400, "request_invalid"},
		{"a mask of another session in a header", b.request("GET", "https://api.test/", "", "Authorization: Bearer "+foreign), 403, "mask_unknown"},
		{"a mask of another session in the query", b.request("GET", "https://api.test/?a="+foreign, ""), 403, "mask_unknown"},
		{"a mask of another session in Basic", b.request("GET", "https://api.test/", "", "Authorization: Basic "+basic("u", foreign)), 403, "mask_unknown"},
		{"cleartext in a header", b.request("GET", "http://api.test/", "", "Authorization: Bearer "+m), 403, "cleartext"},
		{"cleartext in the query", b.request("GET", "http://api.test/?a="+m, ""), 403, "cleartext"},
		{"a value that no header can hold", b.request("GET", "https://api.test/", "", "X-Key: "+b.mask("PEM")), 403, "value_unfit"},
		{"a field twice in a form", b.request("POST", "https://api.test/", "token="+m+"&token=x", "Content-Type: application/x-www-form-urlencoded"), 400, "request_invalid"},
		{"a key twice in an object", b.request("POST", "https://api.test/", `{"token":"x","token":"`+m+`"}`, json), 400, "request_invalid"},
		{"a signature made of a mask", b.request("GET", "https://api.test/", "", "Authorization: AWS4-HMAC-SHA256 Credential="+m+"/20260101/us-east-1/s3/aws4_request, Signature=00"), 403, "signature_unsupported"},
		{"a digest of a body with a swap", b.request("POST", "https://api.test/", `{"token":"`+m+`"}`, json, "Content-MD5: x"), 403, "signature_unsupported"},
		{"TRACE", b.request("TRACE", "https://api.test/", "", "Authorization: Bearer "+m), 405, "method_refused"},
	} {
		a := b.do(c.r)
		e := b.refused(a, c.status, c.code)
		host := c.r.URL.Hostname()
		if !strings.Contains(e.Host, host) || !strings.Contains(e.Message+e.Host, host) {
			t.Errorf("%s: the host is not named: %+v", c.name, e)
		}
		if strings.Contains(a.body, m) {
			t.Errorf("%s: the whole mask stands in the refusal: %s", c.name, a.body)
		}
		if (c.code == "host_not_bound" || c.code == "place_not_declared") && (e.Secret != "KEY" || !strings.Contains(e.Message, "KEY")) {
			t.Errorf("%s: the secret is not named: %+v", c.name, e)
		}
		b.nothingSent()
		b.event(func(ev audit.Event) bool {
			return ev.Request == e.Request && ev.Kind == audit.Refusal && ev.Code == c.code && ev.Reason != ""
		})
	}
}

func TestInertMasksPassAndAreRecorded(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	m := b.mask("KEY")
	for _, c := range []struct {
		name string
		r    *http.Request
	}{
		{"a reflected header", b.request("GET", "https://api.test/", "", "Cookie: a="+m)},
		{"a reflected header toward another host", b.request("GET", "https://other.test/", "", "Referer: https://x/"+m)},
		{"a body toward another host", b.request("POST", "https://other.test/", `{"token":"`+m+`"}`, "Content-Type: application/json")},
		{"a cleartext body", b.request("POST", "http://api.test/", `{"token":"`+m+`"}`, "Content-Type: application/json")},
	} {
		before := len(b.audit.Events())
		if strings.HasPrefix(c.r.URL.Scheme, "http") && c.r.URL.Scheme == "http" {
			continue // its upstream is not TLS: see TestCleartextIsForwardedWithoutSwaps
		}
		if a := b.do(c.r); a.StatusCode != 200 {
			t.Errorf("%s: %s", c.name, a.Status)
		}
		got := b.upstreamGot()
		if !strings.Contains(fmt.Sprint(got.r.Header)+got.body, m) {
			t.Errorf("%s: the mask did not pass", c.name)
		}
		b.event(func(e audit.Event) bool {
			return len(b.audit.Events()) > before && len(e.Withheld) == 1 && e.Withheld[0].Secret == "KEY"
		})
	}
}

func TestCleartextIsForwardedWithoutSwaps(t *testing.T) {
	t.Parallel()
	var got string
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Header.Get("Cookie") + string(body)
		fmt.Fprint(w, "here is "+keyValue)
	}))
	defer plain.Close()
	b := newBed(t, func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) { b.pin(o, "api.test:80", plain) })
	a := b.do(b.request("POST", "http://api.test/", `{"token":"`+b.mask("KEY")+`"}`, "Content-Type: application/json", "Cookie: "+b.mask("KEY")))
	if want := b.mask("KEY") + `{"token":"` + b.mask("KEY") + `"}`; got != want {
		t.Errorf("the upstream received %q", got)
	}
	if a.body != "here is "+b.mask("KEY") {
		t.Errorf("the answer is %q", a.body)
	}
}

func TestTheCredentialComesFirst(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for name, header := range map[string]string{
		"none": "", "wrong": "Proxy-Authorization: Basic " + basic("kz", strings.Repeat("0", 64)) + "\r\n", "not base64": "Proxy-Authorization: Basic %%\r\n",
		"another scheme": "Proxy-Authorization: Bearer " + credential + "\r\n", "empty": "Proxy-Authorization: Basic " + basic("kz", "") + "\r\n",
		"two": "Proxy-Authorization: Basic " + basic("kz", credential) + "\r\nProxy-Authorization: Basic x\r\n",
	} {
		if _, status := b.tryConnect("api.test:443", header); status != 407 {
			t.Errorf("%s: CONNECT got %d", name, status)
		}
		conn, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		a := b.speak(conn, "GET http://api.test/ HTTP/1.1\r\nHost: api.test\r\n"+header+"\r\n")
		b.refused(a, 407, "proxy_credential")
		if a.Header.Get("Proxy-Authenticate") != `Basic realm="kz"` {
			t.Errorf("%s: %v", name, a.Header)
		}
		_ = conn.Close()
	}
	b.nothingSent()
	// On one connection: first without, then with it, as git does.
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if a := b.speak(conn, "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n"); a.StatusCode != 407 {
		t.Fatal(a.Status)
	}
	if a := b.speak(conn, "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\nProxy-Authorization: Basic "+basic("kz", credential)+"\r\n\r\n"); a.StatusCode != 200 {
		t.Error(a.Status)
	}
}

func TestRequestsStayInTheirTunnel(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	auth := "Authorization: Bearer " + b.mask("KEY") + "\r\n"
	for name, raw := range map[string]string{
		"Host":                  "GET / HTTP/1.1\r\nHost: evil.test\r\n" + auth + "\r\n",
		"Host with a port":      "GET / HTTP/1.1\r\nHost: api.test:8443\r\n" + auth + "\r\n",
		"absolute form":         "GET https://evil.test/ HTTP/1.1\r\nHost: api.test\r\n" + auth + "\r\n",
		"absolute cleartext":    "GET http://api.test/ HTTP/1.1\r\nHost: api.test\r\n" + auth + "\r\n",
		"absolute form, a user": "GET https://u:p@api.test/ HTTP/1.1\r\nHost: api.test\r\n" + auth + "\r\n",
		"no Host":               "GET / HTTP/1.0\r\n" + auth + "\r\n",
		"a suffix":              "GET / HTTP/1.1\r\nHost: api.test.evil.test\r\n" + auth + "\r\n",
	} {
		conn := b.raw("api.test:443", "api.test")
		a := b.speak(conn, raw)
		b.refused(a, 421, "authority_mismatch")
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the connection stayed open", name)
		}
		b.nothingSent()
	}
	// Spellings of the same authority pass.
	for _, raw := range []string{"GET https://API.test:443/x HTTP/1.1\r\nHost: ignored\r\n", "GET / HTTP/1.1\r\nHost: Api.Test.\r\n", "GET / HTTP/1.1\r\nHost: api.test:443\r\n"} {
		if a := b.speak(b.raw("api.test:443", "api.test"), raw+auth+"\r\n"); a.StatusCode != 200 {
			t.Errorf("%q: %d", raw, a.StatusCode)
		}
		if got := b.upstreamGot().r; got.Host != "api.test" {
			t.Errorf("the upstream received Host %q", got.Host)
		}
	}
	// Over h2 :authority is held to the same.
	r := b.request("GET", "https://api.test/", "", "Authorization: Bearer "+b.mask("KEY"))
	r.Host = "evil.test"
	b.client = b.newClient(true)
	b.refused(b.do(r), 421, "authority_mismatch")
	b.nothingSent()
}

func TestAnotherServerNameFailsTheHandshake(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, name := range []string{"evil.test", "other.test"} {
		conn := tls.Client(b.connect("api.test:443"), &tls.Config{RootCAs: b.pool, ServerName: name})
		err := conn.Handshake()
		var op *net.OpError
		if !errors.As(err, &op) || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.event(func(e audit.Event) bool { return e.Code == "authority_mismatch" })
	// A client whose session was resumable for the right name is not let in with the wrong one.
	cache := tls.NewLRUClientSessionCache(8)
	for i, c := range []struct {
		target, name string
		ok           bool
	}{{"api.test:443", "api.test", true}, {"api.test:443", "api.test", true}, {"other.test:443", "api.test", false}} {
		conn := tls.Client(b.connect(c.target), &tls.Config{RootCAs: b.pool, ServerName: c.name, ClientSessionCache: cache})
		err := conn.Handshake()
		if (err == nil) != c.ok {
			t.Errorf("%d: %v", i, err)
		}
		if err == nil {
			b.speak(conn, "GET / HTTP/1.1\r\nHost: api.test\r\n\r\n") // takes in the ticket
			if i == 1 && !conn.ConnectionState().DidResume {
				t.Error("the session was not resumed")
			}
		}
	}
}

func TestUpstreamsMustProveTheirName(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]func(*bed) *tls.Config{
		"another name": func(b *bed) *tls.Config {
			leaf, _ := b.minter.Leaf("wrong.test")
			return &tls.Config{Certificates: []tls.Certificate{*leaf}}
		},
		"an unknown authority": func(*bed) *tls.Config { return nil },
		"not TLS":              nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent []byte
			done := make(chan struct{})
			b := newBed(t, func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = l.Close() })
				b.pinTo(o, "api.test:443", l.Addr().String())
				go func() {
					defer close(done)
					conn, err := l.Accept()
					if err != nil {
						return
					}
					defer conn.Close()
					_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
					if config == nil {
						fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
						return
					}
					c := config(b)
					if c == nil {
						s := httptest.NewUnstartedServer(nil)
						s.StartTLS()
						defer s.Close()
						c = s.TLS
						c.NextProtos = nil
					}
					tc := tls.Server(conn, c)
					if tc.Handshake() == nil {
						sent, _ = io.ReadAll(tc)
					}
				}()
			})
			e := b.refused(b.do(b.request("GET", "https://api.test/", "", "Authorization: Bearer "+b.mask("KEY"))), 502, "upstream_unverified")
			if !strings.Contains(e.Message, "api.test") {
				t.Errorf("%+v", e)
			}
			<-done
			if len(sent) > 0 {
				t.Errorf("the upstream received %q", sent)
			}
		})
	}
}

func TestAddressesOffTheInternetAreNotDialled(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(_ *bed, o *proxy.Options, s *[]policy.Secret, _ *policy.Egress) {
		o.AllowPrivate = nil
		(*s)[0].Hosts = append((*s)[0].Hosts, hosts(t, "10.0.0.1", "127.0.0.1")...)
	})
	b.refused(b.do(b.request("GET", "https://api.test/", "")), 403, "private_address")   // pinned to loopback
	b.refused(b.do(b.request("GET", "https://10.0.0.1/", "")), 403, "private_address")   // intercepted literal
	b.refused(b.do(b.request("GET", "http://127.0.0.1/", "")), 403, "private_address")   // cleartext
	b.refused(b.do(b.request("GET", "http://localhost/", "")), 403, "private_address")   // after DNS
	if _, err := b.client.Do(b.request("GET", "https://192.168.0.1/", "")); err == nil { // tunnel
		t.Error("a private address was tunnelled to")
	}
	b.event(func(e audit.Event) bool { return e.Host == "192.168.0.1" && e.Code == "private_address" })
	b.nothingSent()
	open := newBed(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		o.AllowPrivate = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	})
	a := open.do(open.request("GET", "http://169.254.169.254/latest/meta-data/", ""))
	open.refused(a, 403, "private_address")
	a = open.do(open.request("GET", "http://"+open.address+"/", ""))
	if e := open.refused(a, 403, "private_address"); !strings.Contains(e.Message, "own") {
		t.Errorf("%+v", e)
	}
}

func TestEgressIsDecidedAlikeForEveryForm(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(_ *bed, _ *proxy.Options, _ *[]policy.Secret, e *policy.Egress) {
		e.Strict, e.Allow = true, hosts(t, "tunnel.test")
	})
	for _, u := range []string{"http://elsewhere.test/", "http://tunnel.test:8080/"} {
		b.refused(b.do(b.request("GET", u, "")), 403, "egress_denied")
	}
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b.refused(b.speak(conn, "CONNECT elsewhere.test:443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic "+basic("kz", credential)+"\r\n\r\n"), 403, "egress_denied")
	tunnel := b.connect("tunnel.test:443")
	// The tunnel is not intercepted: the certificate is the upstream's own.
	tc := tls.Client(tunnel, &tls.Config{ServerName: "tunnel.test", RootCAs: b.originPool()})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	b.speak(tc, "GET / HTTP/1.1\r\nHost: tunnel.test\r\nAuthorization: Bearer "+b.mask("KEY")+"\r\nConnection: close\r\n\r\n")
	if got := b.upstreamGot().r.Header.Get("Authorization"); got != "Bearer "+b.mask("KEY") {
		t.Errorf("the tunnel changed the request: %q", got)
	}
	_ = tc.Close()
	e := b.event(func(e audit.Event) bool { return e.Kind == audit.Tunnel })
	if e.Host != "tunnel.test" || e.BytesIn == 0 || e.BytesOut == 0 {
		t.Errorf("%+v", e)
	}
}

func TestStoresThatFailRefuseTheRequest(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.values.Delete("KEY")
	a := b.do(b.request("GET", "https://api.test/", "", "Authorization: Bearer "+b.mask("KEY")))
	if e := b.refused(a, 503, "secret_unavailable"); e.Secret != "KEY" {
		t.Errorf("%+v", e)
	}
	a = b.do(b.request("POST", "https://api.test/", `{"token":"`+b.mask("KEY")+`"}`, "Content-Type: application/json"))
	b.refused(a, 503, "secret_unavailable")
	b.nothingSent()
}

func TestNothingPassesUnrecorded(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		f, err := audit.OpenFile("/dev/full")
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Write(audit.Event{})
		o.Audit = f
	})
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b.refused(b.speak(conn, "CONNECT api.test:443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic "+basic("kz", credential)+"\r\n\r\n"), 503, "audit_unavailable")
	b.refused(b.do(b.request("GET", "http://api.test/", "")), 503, "audit_unavailable")
}

func TestUnreachableUpstreams(t *testing.T) {
	t.Parallel()
	nowhere := ports.Nowhere(t)
	b := newBed(t, func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		b.pinTo(o, "api.test:443", nowhere)
		b.pinTo(o, "tunnel.test:443", nowhere)
	})
	b.refused(b.do(b.request("GET", "https://api.test/", "")), 502, "upstream_unreachable")
	if _, status := b.tryConnect("tunnel.test:443", "Proxy-Authorization: Basic "+basic("kz", credential)+"\r\n"); status != 502 {
		t.Errorf("a tunnel to nowhere: %d", status)
	}
}

func TestPlainTextInsideAnInterceptedTunnelIsClosed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	conn := b.connect("api.test:443")
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer %s\r\n\r\n", b.mask("KEY"))
	if out, _ := io.ReadAll(conn); strings.Contains(string(out), "200") {
		t.Errorf("answered %q", out)
	}
	b.nothingSent()
	b.event(func(e audit.Event) bool { return e.Code == "request_invalid" && e.Method == "CONNECT" })
}

func TestAClientHelloBehindConnectIsNotLost(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, host := range []string{"api.test", "tunnel.test"} {
		conn, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		head := "CONNECT " + host + ":443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic " + basic("kz", credential) + "\r\n\r\n"
		pool := b.pool
		if host == "tunnel.test" {
			pool = b.originPool()
		}
		tc := tls.Client(&eager{Conn: conn, head: head}, &tls.Config{ServerName: host, RootCAs: pool})
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		if err := tc.Handshake(); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// eager sends the CONNECT and the first flight of TLS in one segment, and reads past the answer to CONNECT.
type eager struct {
	net.Conn
	head string
	read bool
}

func (e *eager) Write(p []byte) (int, error) {
	out := append([]byte(e.head), p...)
	e.head = ""
	_, err := e.Conn.Write(out)
	return len(p), err
}

func (e *eager) Read(p []byte) (int, error) {
	for want := "\r\n\r\n"; !e.read; {
		var one [1]byte
		if _, err := e.Conn.Read(one[:]); err != nil {
			return 0, err
		}
		if one[0] == want[0] {
			want = want[1:]
		} else {
			want = "\r\n\r\n"
		}
		e.read = want == ""
		if e.read {
			break
		}
	}
	return e.Conn.Read(p)
}

func (b *bed) originPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(b.origins.Certificate())
	return pool
}

func TestAnUpstreamProxyCarriesEverythingButLiteralPrivateTargets(t *testing.T) {
	t.Parallel()
	var connects []string
	b := newBed(t, func(b *bed, o *proxy.Options, s *[]policy.Secret, _ *policy.Egress) {
		target := o.Resolve[0].Addr.String()
		o.Resolve, o.AllowPrivate = nil, nil
		corp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			connects = append(connects, r.Host+" "+r.Header.Get("Proxy-Authorization"))
			up, err := net.Dial("tcp", target)
			if err != nil {
				t.Error(err)
				return
			}
			conn, _, _ := http.NewResponseController(w).Hijack()
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { _, _ = io.Copy(up, conn); _ = up.Close() }()
			_, _ = io.Copy(conn, up)
			_ = conn.Close()
		}))
		t.Cleanup(corp.Close)
		o.UpstreamProxy, _ = url.Parse(corp.URL)
		o.UpstreamProxy.User = url.UserPassword("corp", "pw")
		(*s)[0].Hosts = append((*s)[0].Hosts, hosts(t, "10.0.0.1")...)
	})
	b.do(b.request("GET", "https://api.test/", "", "Authorization: Bearer "+b.mask("KEY")))
	if got := b.upstreamGot().r.Header.Get("Authorization"); got != "Bearer "+keyValue {
		t.Errorf("the upstream received %q", got)
	}
	if len(connects) != 1 || connects[0] != "api.test:443 Basic "+basic("corp", "pw") {
		t.Errorf("the upstream proxy received %q", connects)
	}
	b.refused(b.do(b.request("GET", "https://10.0.0.1/", "")), 403, "private_address")
}
