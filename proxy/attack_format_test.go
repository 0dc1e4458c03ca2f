package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kz/proxy/audit"
)

// A client that may put a value between what it likes can have an upstream compare it piece by piece.
func TestAClientChoosesNothingAroundAValue(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	m := b.mask("KEY")
	var refused []*http.Request
	for _, v := range []string{"a" + m, m + "a", "Bearer a" + m, "Bearer " + m + "a", "Bearer a " + m, "Bearer  " + m, "Bearer\t" + m, "\"" + m + "\"", "Bearer " + m + ", x", m + " " + m, m + "," + m, "=" + m, m + ";v=1", "Bearer:" + m, "(Bearer) " + m} {
		refused = append(refused, b.request("GET", "https://api.test/", "", "X-Api-Key: "+v), b.request("GET", "https://api.test/", "", "Authorization: "+v))
	}
	for _, pair := range [][2]string{{"a" + m, "p"}, {m + "a", "p"}, {"u", "a" + m}, {"u", m + "a"}, {"u", m + ":"}, {"u", " " + m}, {"u", m + m}} {
		refused = append(refused, b.request("GET", "https://api.test/", "", "Authorization: Basic "+basic(pair[0], pair[1])))
	}
	for _, r := range refused {
		e := b.refused(b.do(r), 403, "place_not_declared")
		if e.Secret != "KEY" {
			t.Errorf("%v: %+v", r.Header, e)
		}
	}
	b.nothingSent()
	for kind, bodies := range map[string][]string{
		"application/json":                  {`{"token":"a%s"}`, `{"token":"%sa"}`, `{"token":" %s"}`, `{"token":["%s"]}`, `{"a":{"token":"%s"}}`, `["%s"]`, `"%s"`, `{"token":"%s%s"}`},
		"application/x-www-form-urlencoded": {"token=a%s", "token=%sa", "token=+%s", "token=%s%%00", "a[token]=%s", "token[]=%s"},
		"text/plain":                        {"token=%s", "%s"},
	} {
		for _, format := range bodies {
			body := strings.ReplaceAll(strings.ReplaceAll(format, "%s", m), "%%", "%")
			before := len(b.audit.Events())
			if a := b.do(b.request("POST", "https://api.test/", body, "Content-Type: "+kind)); a.StatusCode != 200 {
				t.Errorf("%s: %s", body, a.body)
				continue
			}
			if got := b.upstreamGot().body; got != body {
				t.Errorf("%s: the upstream received %s", body, got)
			}
			b.event(func(audit.Event) bool { return len(b.audit.Events()) > before })
			if e := b.audit.Events()[before]; len(e.Withheld) != 1 || len(e.Swapped) != 0 {
				t.Errorf("%s: %+v", body, e)
			}
		}
	}
}

// A handshake is a GET without a body (RFC 6455, section 4.1): of anything else an upstream may read frames in the body.
func TestOnlyAGetWithoutABodyBecomesAWebSocket(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, head := range []string{"POST / HTTP/1.1\r\nContent-Length: 2\r\n", "GET / HTTP/1.1\r\nContent-Length: 2\r\n", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", "POST / HTTP/1.1\r\nContent-Length: 0\r\n"} {
		body := ""
		switch {
		case strings.Contains(head, ": 2"):
			body = "ab"
		case strings.Contains(head, "chunked"):
			body = "2\r\nab\r\n0\r\n\r\n"
		}
		a := b.speak(b.raw("api.test:443", "api.test"), head+"Host: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n"+body)
		got := b.upstreamGot()
		if a.StatusCode != 200 || fmt.Sprint(got.r.Header["Upgrade"], got.r.Header["Connection"]) != "[] []" {
			t.Errorf("%q: %d %v", head, a.StatusCode, got.r.Header)
		}
	}
	b.speak(b.raw("api.test:443", "api.test"), "GET / HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n")
	if got := b.upstreamGot().r.Header; got.Get("Upgrade") != "websocket" {
		t.Errorf("%v", got)
	}
}

func TestAnUpgradeThatConnectionDoesNotNameEndsHere(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, head := range []string{"Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\n", "Upgrade: websocket, h2c\r\nConnection: close\r\n", "Upgrade: foo/2\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\n"} {
		b.speak(b.raw("api.test:443", "api.test"), "GET / HTTP/1.1\r\nHost: api.test\r\nUser-Agent: u\r\n"+head+"\r\n")
		if got := b.upstreamGot().r.Header; len(got) != 1 {
			t.Errorf("%q: the upstream received %v", head, got)
		}
	}
}
