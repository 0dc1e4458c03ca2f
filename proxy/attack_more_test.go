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
	"unicode/utf16"

	"kz/proxy"
	"kz/proxy/policy"
)

func TestEveryRequestOfAKeptConnectionNeedsTheCredential(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	auth := "Proxy-Authorization: Basic " + basic("kz", credential) + "\r\n"
	// The upstream of the bed speaks TLS; what counts is that its answer comes.
	if a := b.speak(conn, "GET http://api.test/ HTTP/1.1\r\nHost: api.test\r\n"+auth+"\r\n"); a.StatusCode == 407 || a.Header.Get("Kz-Error") != "" {
		t.Fatal(a.Status)
	}
	b.refused(b.speak(conn, "GET http://api.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n"), 407, "proxy_credential")
	b.nothingSent()
}

func TestTheFrontTakesNoOtherForm(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	auth := "Proxy-Authorization: Basic " + basic("kz", credential) + "\r\n"
	for raw, status := range map[string]int{
		"GET https://api.test/ HTTP/1.1\r\nHost: api.test\r\n" + auth + "\r\n":                                                                400,
		"GET ftp://api.test/ HTTP/1.1\r\nHost: api.test\r\n" + auth + "\r\n":                                                                  400,
		"GET http://u:p@api.test/ HTTP/1.1\r\nHost: api.test\r\n" + auth + "\r\n":                                                             400,
		"GET / HTTP/1.1\r\nHost: api.test\r\n" + auth + "\r\n":                                                                                400,
		"TRACE http://api.test/ HTTP/1.1\r\nHost: api.test\r\n" + auth + "\r\n":                                                               405,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                                                                                    407,
		"GET / HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n": 407,
	} {
		conn, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		if a := b.speak(conn, raw); a.StatusCode != status {
			t.Errorf("%.40q: %d", raw, a.StatusCode)
		}
		_ = conn.Close()
	}
	if a := b.speak(b.raw("api.test:443", "api.test"), "CONNECT other.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n"); a.StatusCode/100 != 4 {
		t.Errorf("CONNECT in a tunnel: %d", a.StatusCode)
	}
	b.nothingSent()
}

func TestFramingThatCanBeReadInTwoWaysIsRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	auth := "Authorization: Bearer " + b.mask("KEY") + "\r\n"
	for _, head := range []string{
		"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "Content-Length: 3, 4\r\n\r\nabcd", "Content-Length: +3\r\n\r\nabc", "Content-Length: 0x3\r\n\r\nabc",
		"Content-Length: -1\r\n\r\n", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "X-A: b\rc\r\n\r\n", "X-A: b\x00c\r\n\r\n", "X A: b\r\n\r\n",
	} {
		conn := b.raw("api.test:443", "api.test")
		a := b.speak(conn, "POST / HTTP/1.1\r\nHost: api.test\r\n"+auth+head)
		if a.StatusCode != 400 && a.StatusCode != 501 {
			t.Errorf("%q: %d", head, a.StatusCode)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%q: the connection stayed open", head)
		}
		if strings.Contains(a.body, b.mask("KEY")) {
			t.Errorf("%q: the answer quotes the request", head)
		}
	}
	b.nothingSent()
	// A chunk whose size is not one breaks off what had begun.
	for _, chunk := range []string{"g\r\nabc\r\n0\r\n\r\n", "ffffffffffffffff1\r\nabc\r\n", "3\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-1\r\nabc\r\n"} {
		conn := b.raw("api.test:443", "api.test")
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: api.test\r\n"+auth+"Transfer-Encoding: chunked\r\n\r\n"+chunk)
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && resp.StatusCode < 400 {
			t.Errorf("%q: %d", chunk, resp.StatusCode)
		}
	}
	// Both lengths: one framing, made anew, goes on.
	conn := b.raw("api.test:443", "api.test")
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: api.test\r\n"+auth+"Content-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && resp.StatusCode == 200 {
		if got := b.upstreamGot(); got.body != "abc" {
			t.Errorf("the upstream read %q", got.body)
		}
	}
	b.nothingSent()
}

func TestBodiesWithTwoReadingsAreNotSwapped(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	m := b.mask("KEY")
	wide := func(s string) string {
		out := "\xff\xfe"
		for _, u := range utf16.Encode([]rune(s)) {
			out += string([]byte{byte(u), byte(u >> 8)})
		}
		return out
	}
	multipart := "multipart/form-data; boundary=b"
	for name, c := range map[string]struct{ kind, body string }{
		"two types":               {"application/json\r\nContent-Type: text/plain", `{"token":"` + m + `"}`},
		"a byte order mark":       {"application/json", "\xef\xbb\xbf" + `{"token":"` + m + `"}`},
		"UTF-16":                  {"application/json; charset=utf-16", wide(`{"token":"` + m + `"}`)},
		"a member below":          {"application/json", `{"a":{"token":"` + m + `"}}`},
		"an array":                {"application/json", `[{"token":"` + m + `"}]`},
		"a comment":               {"application/json", `/* */{"token":"` + m + `"}`},
		"single quotes":           {"application/json", `{'token':'` + m + `'}`},
		"embedded":                {"application/json", `{"token":"x` + m + `"}`},
		"embedded by an escape":   {"application/json", `{"token":"\u0000` + m + `"}`},
		"a semicolon":             {"application/x-www-form-urlencoded", "a=1;token=" + m},
		"a form inside":           {"application/x-www-form-urlencoded", "a=token%3d" + m},
		"a file":                  {multipart, "--b\r\nContent-Disposition: form-data; name=\"token\"; filename=\"x\"\r\n\r\n" + m + "\r\n--b--\r\n"},
		"a starred name":          {multipart, "--b\r\nContent-Disposition: form-data; name*=utf-8''token\r\n\r\n" + m + "\r\n--b--\r\n"},
		"bare line feeds":         {multipart, "--b\nContent-Disposition: form-data; name=\"token\"\n\n" + m + "\n--b--\n"},
		"text":                    {"text/plain", `{"token":"` + m + `"}`},
		"a boundary in a comment": {multipart + "; boundary=c", "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n" + m + "\r\n--b--\r\n"},
	} {
		conn := b.raw("api.test:443", "api.test")
		a := b.speak(conn, fmt.Sprintf("POST / HTTP/1.1\r\nHost: api.test\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", c.kind, len(c.body), c.body))
		if a.StatusCode == 400 {
			continue
		}
		if got := b.upstreamGot(); got.body != c.body {
			t.Errorf("%s: the upstream received %q", name, got.body)
		}
	}
	for name, c := range map[string]struct{ kind, body string }{
		"an escaped key":             {"application/json", `{"t\u006fken":"` + m + `","token":"x"}`},
		"a key after the other":      {"application/json", `{"token":1,"token":"` + m + `"}`},
		"a field, encoded":           {"application/x-www-form-urlencoded", "token=" + m + "&%74oken=x"},
		"a part":                     {multipart, "--b\r\nContent-Disposition: form-data; name=token\r\n\r\n" + m + "\r\n--b\r\nContent-Disposition: form-data; name=\"token\"; filename=x\r\n\r\ny\r\n--b--\r\n"},
		"a mask in escapes and once": {"application/json", `{"token":"\u006bz` + m[2:] + `","token":""}`},
	} {
		a := b.do(b.request("POST", "https://api.test/", c.body, "Content-Type: "+c.kind))
		if a.StatusCode != 400 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	b.nothingSent()
}

func TestAValueStoredAtOneHostIsNotReadFromAnother(t *testing.T) {
	t.Parallel()
	double := coded(t, "gzip", coded(t, "br", "a "+keyValue+" b"))
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stacked":
			w.Header().Set("Content-Encoding", "br, gzip")
			_, _ = io.WriteString(w, double)
		case "/two-lines":
			w.Header()["Content-Encoding"] = []string{"br", "gzip"}
			_, _ = io.WriteString(w, double)
		case "/claimed":
			w.Header().Set("Content-Encoding", "x-none")
			_, _ = io.WriteString(w, keyValue)
		case "/thrice":
			w.Header().Set("Content-Encoding", "identity, identity, identity")
			_, _ = io.WriteString(w, keyValue)
		case "/pieces":
			for _, c := range keyValue {
				_, _ = io.WriteString(w, string(c))
				w.(http.Flusher).Flush()
			}
		case "/location":
			w.Header().Set("Location", "https://evil.test/?"+keyValue)
			w.Header().Set("Link", "<https://x/"+keyValue+">; rel=next")
			w.Header().Set("X-"+keyValue, "1")
			w.Header().Set("ETag", `"`+keyValue+`"`)
			w.WriteHeader(302)
		}
	}))
	for _, h2 := range []bool{false, true} {
		b.client = b.newClient(h2)
		for _, path := range []string{"/stacked", "/two-lines", "/claimed", "/thrice", "/pieces", "/location"} {
			a := b.do(b.request("GET", "https://other.test"+path, "", "Accept-Encoding: gzip, br"))
			if a.StatusCode >= 400 {
				t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
			}
			for name := range a.Header {
				if strings.Contains(strings.ToLower(name), keyValue) {
					t.Errorf("%s: the header %s", path, name)
				}
			}
		}
	}
}

func TestOldTLSIsSpokenOnNeitherSide(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		old := b.upstream("api.test", http.NotFoundHandler())
		old.TLS.MinVersion, old.TLS.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		b.pin(o, "api.test:443", old)
	})
	conn := tls.Client(b.connect("other.test:443"), &tls.Config{RootCAs: b.pool, ServerName: "other.test", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err := conn.Handshake(); err == nil {
		t.Error("a client with TLS 1.1 was let in")
	}
	if a := b.do(b.request("GET", "https://api.test/", "", "Authorization: Bearer "+b.mask("KEY"))); a.StatusCode != 502 {
		t.Errorf("an upstream with TLS 1.1: %d", a.StatusCode)
	}
}
