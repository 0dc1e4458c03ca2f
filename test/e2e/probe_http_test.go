package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kz/test/bed"
	"kz/test/origin"
	"kz/test/ports"
)

// closedPort has down.test be where nothing listens.
func closedPort(t *testing.T, _ *bed.Bed, pins map[string]string) {
	pins["down.test:443"] = ports.Nowhere(t)
}

func upstreamDown(t *testing.T, e *entry) string {
	resp, _, err := exchange(e.inside(t, "down.test", 10*time.Second), "GET", "GET /ok HTTP/1.1\r\nHost: down.test\r\n\r\n")
	if err != nil {
		return err.Error()
	}
	if resp.StatusCode != http.StatusBadGateway {
		return resp.Status
	}
	return ""
}

func expectContinue(t *testing.T, e *entry) string {
	conn := e.inside(t, "api.test", 8*time.Second)
	_, err := io.WriteString(conn, "POST /continue HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	interim, err := http.ReadResponse(in, nil)
	if err != nil {
		return err.Error()
	}
	if interim.StatusCode != http.StatusContinue {
		return interim.Status
	}
	if _, err := io.WriteString(conn, "body"); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.ReadResponse(in, nil); err != nil {
		return err.Error()
	} else if resp.StatusCode != http.StatusOK {
		return resp.Status
	}
	return ""
}

func announcedTrailers(t *testing.T, e *entry) string {
	resp, _, err := e.get(t, e.client(t, false), "https://api.test/trailers")
	if err != nil {
		return err.Error()
	}
	if resp.Trailer.Get("X-Body-Sha256") == "" {
		return "no trailer"
	}
	return ""
}

func trailersBehind(t *testing.T, e *entry) string {
	e.b.Origin.SetRaw("trailers", origin.Script{
		Answer: []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"), End: origin.EndKeep,
	})
	resp, _, err := e.get(t, e.client(t, false), "https://api.test/trailers")
	if err != nil {
		return err.Error()
	}
	if resp.Trailer.Get("X-Sum") != "1" {
		return "no trailer"
	}
	return ""
}

// keepAliveHeader has the upstream answer as every Node server does. In h2 such an answer is malformed (RFC 9113, section
// 8.2.2), and clients like curl end the stream.
func keepAliveHeader(t *testing.T, e *entry) string {
	e.b.Origin.SetRaw("node", origin.Script{
		Answer: []byte("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok"), End: origin.EndKeep,
	})
	resp, body, err := e.get(t, e.client(t, true), "https://api.test/node")
	if err != nil {
		return err.Error()
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
		if v, ok := resp.Header[name]; ok {
			return fmt.Sprintf("the answer has %s: %s", name, v)
		}
	}
	if string(body) != "ok" {
		return "the body is not there"
	}
	return ""
}

// earlyHead has the first event come some time after the head: enough for a slow machine to show them apart.
func earlyHead(h2 bool) func(*testing.T, *entry) string {
	return func(t *testing.T, e *entry) string {
		const head, event, pause = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", "data: 1\n\n", 2 * time.Second
		e.b.Origin.SetRaw("events", origin.Script{Answer: []byte(head + event), Split: len(head), Pause: pause, End: origin.EndClose})
		resp, err := e.client(t, h2).Do(e.request(t, "GET", "https://api.test/events", nil))
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		began := time.Now()
		got := make([]byte, len(event))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != event {
			return fmt.Sprintf("the event is %q: %v", got, err)
		}
		if between := time.Since(began); between < pause/4 {
			return fmt.Sprintf("the head came with the event, and not %v before it", pause)
		}
		return ""
	}
}

// cutShort has the upstream break off an answer.
func cutShort(h2 bool, url string) func(*testing.T, *entry) string {
	return func(t *testing.T, e *entry) string {
		client := e.client(t, h2)
		r := e.request(t, "GET", url, nil)
		if r.URL.Scheme == "http" {
			r.Header.Del("Authorization")
		}
		resp, err := client.Do(r)
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode == http.StatusOK {
			return fmt.Sprintf("%d bytes of 1000000 came as if whole, with %s", len(body), resp.Status)
		}
		return ""
	}
}

func webSocketFrame(t *testing.T, e *entry) string {
	if _, body, err := e.get(t, e.client(t, false), "https://api.test/echo"); err != nil || strings.Contains(string(body), e.value) || !mask.Match(body) {
		t.Fatalf("the value is not even taken out of bodies: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, "wss://api.test/ws?hello=1", &websocket.DialOptions{
		HTTPClient: e.client(t, false), HTTPHeader: http.Header{"Authorization": {"Bearer " + e.bearer}},
	})
	if err != nil {
		t.Fatalf("opening the WebSocket: %v %v", resp, err)
	}
	defer conn.CloseNow()
	_, hello, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(hello), e.value) {
		return "the value came in a frame"
	}
	if !mask.Match(hello) {
		return fmt.Sprintf("the frame is %q", hello)
	}
	return ""
}
