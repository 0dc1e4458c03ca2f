package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kz/test/bed"
	"kz/test/origin"
)

// evil gives evil.test an upstream of its own, to see that no byte reaches it.
func evil(t *testing.T, b *bed.Bed) *origin.Origin {
	t.Helper()
	o, err := origin.Start(origin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	b.Pin("evil.test:443", o.Addr("tls"))
	b.Pin("evil.test:80", o.Addr("plain"))
	return o
}

// TestAuthority has requests inside a tunnel name another host than the tunnel.
func TestAuthority(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`)
	bad := evil(t, b)
	c := waiting(t, b)
	auth := "Authorization: Bearer " + c.env["API_KEY"] + "\r\n"
	untouched := func(t *testing.T) {
		t.Helper()
		if s := bad.Stats(); s.Connections != 0 {
			t.Errorf("evil.test got %+v", s)
		}
		for _, r := range b.Origin.Requests() {
			if !strings.HasPrefix(r.Path, "/good") {
				t.Errorf("the origin got %s %s", r.Method, r.Target)
			}
		}
	}

	t.Run("over HTTP/1.1", func(t *testing.T) {
		for name, request := range map[string]string{
			"Host":                         "GET /x HTTP/1.1\r\nHost: evil.test\r\n",
			"another port in Host":         "GET /x HTTP/1.1\r\nHost: api.test:8443\r\n",
			"a longer name":                "GET /x HTTP/1.1\r\nHost: api.test.evil.test\r\n",
			"absolute form":                "GET https://evil.test/x HTTP/1.1\r\nHost: evil.test\r\n",
			"absolute form, and good Host": "GET https://evil.test/x HTTP/1.1\r\nHost: api.test\r\n",
			"absolute form of http":        "GET http://api.test/x HTTP/1.1\r\nHost: api.test\r\n",
			"absolute form with a user":    "GET https://api.test@evil.test/x HTTP/1.1\r\nHost: api.test\r\n",
			"absolute form, other port":    "GET https://api.test:444/x HTTP/1.1\r\nHost: api.test:444\r\n",
			"an empty Host":                "GET /x HTTP/1.1\r\nHost:\r\n",
		} {
			t.Run(name, func(t *testing.T) {
				conn, err := c.inside(t, "api.test:443", "api.test", "http/1.1")
				if err != nil {
					t.Fatal(err)
				}
				resp, body := say(t, conn, "GET", request+auth+"\r\n")
				parsed(t, 421, text(resp), body).check(t, refused{code: "authority_mismatch", host: "api.test:443", hint: "open a tunnel to the host"})
				if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("the connection goes on: %v", err)
				}
				untouched(t)
			})
		}
		for name, request := range map[string]string{
			"no Host at all": "GET /x HTTP/1.1\r\n", "two Hosts": "GET /x HTTP/1.1\r\nHost: api.test\r\nHost: evil.test\r\n",
			"a Host of two": "GET /x HTTP/1.1\r\nHost: api.test, evil.test\r\n",
		} {
			t.Run(name, func(t *testing.T) {
				conn, err := c.inside(t, "api.test:443", "api.test", "http/1.1")
				if err != nil {
					t.Fatal(err)
				}
				if resp, _ := say(t, conn, "GET", request+auth+"\r\n"); resp.StatusCode != 400 && resp.StatusCode != 421 {
					t.Errorf("answered with %s", resp.Status)
				}
				untouched(t)
			})
		}
		for name, request := range map[string]string{
			"the same in capitals": "GET /good HTTP/1.1\r\nHost: API.Test\r\n", "the same with its port": "GET /good HTTP/1.1\r\nHost: api.test:443\r\n",
			"the same in absolute form": "GET https://api.test/good HTTP/1.1\r\nHost: api.test\r\n",
		} {
			t.Run(name+" passes", func(t *testing.T) {
				b.Origin.Reset()
				conn, err := c.inside(t, "api.test:443", "api.test", "http/1.1")
				if err != nil {
					t.Fatal(err)
				}
				if resp, _ := say(t, conn, "GET", request+auth+"\r\n"); resp.StatusCode != 200 {
					t.Errorf("answered with %s", resp.Status)
				}
				if got := received(t, b, "/good"); got[0].Host != "api.test" || got[0].Target != "/good" || got[0].Header.Get("Authorization") != "Bearer "+value {
					t.Errorf("the origin got %s for %s", got[0].Target, got[0].Host)
				}
			})
		}
	})

	t.Run("over HTTP/2", func(t *testing.T) {
		for name, fields := range map[string][]hpack.HeaderField{
			":authority":            {{Name: ":authority", Value: "evil.test"}},
			"a port":                {{Name: ":authority", Value: "api.test:8443"}},
			"Host, and no more":     {{Name: "host", Value: "evil.test"}},
			"Host beside authority": {{Name: ":authority", Value: "api.test"}, {Name: "host", Value: "evil.test"}},
			"a user":                {{Name: ":authority", Value: "api.test@evil.test"}},
		} {
			t.Run(name, func(t *testing.T) {
				status, body := h2get(t, c, append(fields, hpack.HeaderField{Name: "authorization", Value: "Bearer " + c.env["API_KEY"]}))
				malformed := name == "a user" && status == "reset" // RFC 9113, section 8.3.1
				if !malformed && (status != "421" || !strings.Contains(body, `"code":"authority_mismatch"`)) {
					t.Errorf("answered with %s %s", status, body)
				}
				untouched(t)
			})
		}
	})

	t.Run("by the TLS server name", func(t *testing.T) {
		_, err := c.inside(t, "api.test:443", "evil.test")
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("the handshake ended with %v", err)
		}
		untouched(t)
		bed.Eventually(t, "the handshake is in the audit", func() bool {
			for _, l := range b.Audit() {
				if l.Host == "api.test" && l.Code == "authority_mismatch" && l.Status == 0 && l.Kind == "refusal" {
					return true
				}
			}
			return false
		})
	})

	b.Clean(c.Wait()) // the audit file is the next kz's
	t.Run("with curl", func(t *testing.T) {
		res := b.Run(shell(`for v in --http1.1 --http2; do ` + bed.Program(t, "curl") +
			` $v -sS -o /dev/null -w '%{http_code} %{http_version}\n' -H "Host: evil.test" -H "Authorization: Bearer $API_KEY" https://api.test/x; done`)...)
		res.Succeeds(t)
		if got := string(res.Stdout); got != "421 1.1\n421 2\n" {
			t.Errorf("curl got %s", got)
		}
		untouched(t)
		b.Clean(res)
	})
}

// h2get sends one GET over HTTP/2 with the fields beside :method, :scheme and :path.
func h2get(t *testing.T, c *child, fields []hpack.HeaderField) (status, body string) {
	t.Helper()
	conn, err := c.inside(t, "api.test:443", "api.test", "h2")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range append([]hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/x"}}, fields...) {
		if err := enc.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	err = errors.Join(framer.WriteSettings(), framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
	if err != nil {
		t.Fatal(err)
	}
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("no whole answer: %v", err)
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			status = f.PseudoValue("status")
		case *http2.DataFrame:
			body += string(f.Data())
		case *http2.RSTStreamFrame:
			return "reset", body
		}
		if f.Header().Flags.Has(http2.FlagDataEndStream) && f.Header().StreamID == 1 {
			return status, body
		}
	}
}

// TestCredential asks the proxy without its credential: 407, whatever is asked for.
func TestCredential(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	c := waiting(t, b)
	good := c.credential(t)
	wrong := "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("kz:"+strings.Repeat("0", 64))) + "\r\n"
	for _, request := range []string{
		"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n", "CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n",
		"CONNECT nonsense HTTP/1.1\r\nHost: nonsense\r\n", "GET http://api.test/x HTTP/1.1\r\nHost: api.test\r\n", "GET / HTTP/1.1\r\nHost: x\r\n",
	} {
		line, _, _ := strings.Cut(request, " HTTP")
		for name, header := range map[string]string{
			"none": "", "a wrong one": wrong, "none of its kind": strings.Replace(good, "Basic", "Bearer", 1), "a good and a wrong one": good + wrong,
			"another header": strings.Replace(good, "Proxy-", "", 1), "one cut short": good[:len(good)-8] + "\r\n",
		} {
			t.Run(line+" with "+name, func(t *testing.T) {
				method, _, _ := strings.Cut(line, " ")
				resp, body := c.say(t, strings.Replace(method, "CONNECT", "GET", 1), request+header+"\r\n")
				got := parsed(t, 407, text(resp), body)
				if got.Code != "proxy_credential" || !strings.Contains(got.Hint, "HTTPS_PROXY") || resp.Header.Get("Proxy-Authenticate") != `Basic realm="kz"` {
					t.Errorf("answered with %+v %v", got, resp.Header)
				}
			})
		}
	}
	if s := b.Origin.Stats(); s.Connections != 0 {
		t.Errorf("the origin was reached: %+v", s)
	}
	t.Run("and with it, passes", func(t *testing.T) {
		resp, _ := c.say(t, "GET", "GET http://api.test/x HTTP/1.1\r\nHost: api.test\r\n"+good+"\r\n")
		if resp.StatusCode != 200 || b.Origin.Stats().Connections == 0 {
			t.Errorf("answered with %s", resp.Status)
		}
		if r := received(t, b, "/x"); r[0].Header.Get("Proxy-Authorization") != "" {
			t.Error("the credential went to the origin")
		}
	})
	b.Clean(c.Wait())
}

// TestConnectRefused is refused before there is a tunnel, where curl does not show the answer's body.
func TestConnectRefused(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.Egress(`mode = "strict"`, `allow = ["wild.test:*", "down.test", "mail.test:25"]`, `deny = ["git.test"]`)
	b.Pin("wild.test:22", "plain")
	b.Pin("down.test:443", "127.0.0.1:1")
	c := waiting(t, b)
	for _, r := range []refused{
		{name: "evil.test:443", status: 403, code: "egress_denied", hint: `add "evil.test" to allow in [egress]`},
		{name: "api.test:8443", status: 403, code: "egress_denied", hint: `add "api.test:8443" to allow in [egress]`},
		{name: "git.test:443", status: 403, code: "egress_denied", hint: `take "git.test" out of deny in [egress]`},
		{name: "10.1.2.3:443", status: 403, code: "egress_denied", hint: `add "10.1.2.3" to allow in [egress]`},
		{name: "down.test:443", status: 502, code: "upstream_unreachable", hint: "check the host's name and port"},
	} {
		t.Run(r.name+" is "+r.code, func(t *testing.T) {
			resp, body := c.say(t, "GET", "CONNECT "+r.name+" HTTP/1.1\r\nHost: "+r.name+"\r\n"+c.credential(t)+"\r\n")
			r.host = r.name
			parsed(t, r.status, text(resp), body).check(t, r)
			if line := audited(t, b, host(r.host), ""); line.Kind != "refusal" || line.Code != r.code || line.Method != "CONNECT" || line.Status != r.status {
				t.Errorf("the audit says %+v", line)
			}
		})
	}
	_ = c.tunnel(t, "wild.test:22") // allowed by name, whatever its port
	ended := c.Wait()               // the audit file has one writer at a time
	res := b.Run(shell(bed.Program(t, "curl") + ` -sS -D - https://evil.test/`)...)
	res.Exits(t, 56)
	if !strings.Contains(string(res.Stdout), "Kz-Error: egress_denied") {
		t.Errorf("curl got %s", res.Stdout)
	}
	b.Clean(res, ended)
}

// TestPermissive: what is neither bound nor allowed is tunnelled in permissive mode, but not to where mail and shells are.
func TestPermissive(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	b.Secret("API_KEY", `hosts = ["api.test"]`)
	b.Egress(`allow = ["mail.test:25"]`)
	for _, hostport := range []string{"evil.test:22", "evil.test:25", "evil.test:8022", "mail.test:25"} {
		b.Pin(hostport, "tls")
	}
	c := waiting(t, b)
	for hostport, status := range map[string]int{
		"evil.test:22": 403, "evil.test:25": 403, "evil.test:8022": 200, "mail.test:25": 200,
		"10.1.2.3:443": 403, "169.254.169.254:80": 403, "[::1]:443": 403, "0.0.0.0:443": 403,
	} {
		t.Run(hostport, func(t *testing.T) {
			if status == 200 {
				_ = c.tunnel(t, hostport)
				return
			}
			code, hint := "private_address", ""
			if strings.HasPrefix(hostport, "evil") {
				code, hint = "egress_denied", `add "`+hostport+`" to allow in [egress]`
			}
			resp, body := c.say(t, "GET", "CONNECT "+hostport+" HTTP/1.1\r\nHost: "+hostport+"\r\n"+c.credential(t)+"\r\n")
			got := parsed(t, status, text(resp), body)
			if got.Code != code || !strings.Contains(got.Hint, hint) || got.Hint == "" {
				t.Errorf("answered with %+v", got)
			}
		})
	}
	b.Clean(c.Wait())
}

// TestUnverified looks at the whole answer where the certificate is wrong; see TestUnverifiedUpstream for each kind.
func TestUnverified(t *testing.T) {
	t.Parallel()
	for _, listener := range []string{"untrusted", "plain"} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, h2: %v", listener, h2), func(t *testing.T) {
				t.Parallel()
				b := bed.New(t)
				b.Secret("API_KEY", `hosts = ["api.test"]`)
				b.Pin("api.test:443", listener)
				c := waiting(t, b)
				r, err := http.NewRequestWithContext(context.Background(), "POST", "https://api.test/x", strings.NewReader(`{"password":"`+c.env["API_KEY"]+`"}`))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer "+c.env["API_KEY"])
				resp, err := c.client(t, h2).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				parsed(t, 502, text(resp), body).check(t, refused{code: "upstream_unverified", host: "api.test:443", hint: "upstream_ca"})
				if s := b.Origin.Stats(); s.Requests != 0 || resp.ProtoMajor == 2 != h2 {
					t.Errorf("the origin got %+v; the answer is %s", s, resp.Proto)
				}
				b.Clean(c.Wait())
				if line := audited(t, b, "api.test", "/x"); line.Code != "upstream_unverified" || line.Kind != "refusal" || line.BytesOut != 0 {
					t.Errorf("the audit says %+v", line)
				}
			})
		}
	}
}
