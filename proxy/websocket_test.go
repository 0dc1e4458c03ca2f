package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// talking makes api.test a WebSocket server; f is one connection.
func talking(f func(ctx context.Context, c *websocket.Conn)) bedOption {
	return answering(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		c.SetReadLimit(4 << 20)
		f(r.Context(), c)
	})
}

// echo says what it hears; at "tell" it tells the value.
func echo(ctx context.Context, c *websocket.Conn) {
	for {
		kind, data, err := c.Read(ctx)
		if err != nil {
			return
		}
		if string(data) == "tell" {
			data = []byte("it is " + keyValue + ".")
		}
		_ = c.Write(ctx, kind, data)
	}
}

// dial opens a WebSocket to api.test.
func (b *bed) dial() (context.Context, *websocket.Conn) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	b.t.Cleanup(cancel)
	c, _, err := websocket.Dial(ctx, "wss://api.test/ws", &websocket.DialOptions{HTTPClient: b.client, HTTPHeader: http.Header{"Authorization": {"Bearer " + b.mask("KEY")}},
		CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		b.t.Fatal(err)
	}
	c.SetReadLimit(4 << 20)
	b.t.Cleanup(func() { _ = c.CloseNow() })
	return ctx, c
}

// speaks makes api.test an upstream that agrees to WebSocket, with further header lines and what follows the head in the
// same write, and then is f.
func speaks(header, ahead string, f func(c net.Conn, r *bufio.Reader)) bedOption {
	return answering(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+header+"\r\n"+ahead)
		f(c, rw.Reader)
	})
}

const upgradeRequest = "GET /ws HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// rawSocket opens a WebSocket to api.test by hand; ahead is sent with the request.
func (b *bed) rawSocket(ahead string) (*tls.Conn, *bufio.Reader, *http.Response) {
	b.t.Helper()
	conn := b.raw("api.test:443", "api.test")
	if _, err := io.WriteString(conn, upgradeRequest+ahead); err != nil {
		b.t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 {
		b.t.Fatal(resp, err)
	}
	return conn, r, resp
}

func upgradedEvent(e audit.Event) bool { return e.Status == 101 }

func TestWebSocketMessagesAreScrubbed(t *testing.T) {
	t.Parallel()
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+keyValue || r.Header.Get("Sec-Websocket-Extensions") != "" {
			w.WriteHeader(400)
			return
		}
		if c, err := websocket.Accept(w, r, nil); err == nil {
			c.SetReadLimit(4 << 20)
			echo(r.Context(), c)
		}
	}))
	ctx, c := b.dial()
	sent, received := 0, 0
	for _, msg := range []string{"hello", strings.Repeat("x", 20_000), "tell", strings.Repeat("long ", 200_000), keyValue[:1], "", "ends in " + keyValue[:20]} {
		for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
			if err := c.Write(ctx, kind, []byte(msg)); err != nil {
				t.Fatal(err)
			}
			got, data, err := c.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			want := msg
			if msg == "tell" {
				want = "it is " + b.mask("KEY") + "."
			}
			if got != kind || string(data) != want {
				t.Errorf("got %v %.60q, want %v %.60q", got, data, kind, want)
			}
			sent, received = sent+len(msg), received+len(data)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Error(err)
	}
	e := b.event(upgradedEvent)
	if len(e.Scrubbed) != 1 || e.Scrubbed[0] != (audit.Scrubbed{Secret: "KEY", Where: "frame", Count: 2}) || len(e.Swapped) != 1 || e.Reason != "" {
		t.Errorf("%+v", e)
	}
	if e.BytesOut < int64(sent) || e.BytesOut > int64(sent+1000) || e.BytesIn < int64(received-100) || e.BytesIn > int64(received+1000) {
		t.Errorf("%d bytes out of %d, %d bytes in of %d", e.BytesOut, sent, e.BytesIn, received)
	}
}

func TestCloseCodesPassBothWays(t *testing.T) {
	t.Parallel()
	heard := make(chan error, 1)
	b := newBed(t, talking(func(ctx context.Context, c *websocket.Conn) {
		_, _, err := c.Read(ctx)
		if heard <- err; err == nil {
			_ = c.Close(4321, "not "+keyValue)
		}
	}))
	_, first := b.dial()
	_ = first.Close(3999, "my reason")
	var closed websocket.CloseError
	if err := <-heard; !errors.As(err, &closed) || closed.Code != 3999 || closed.Reason != "my reason" {
		t.Errorf("the upstream heard %v", closed)
	}
	ctx, c := b.dial()
	_ = c.Write(ctx, websocket.MessageText, []byte("x"))
	if err := <-heard; err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(ctx); !errors.As(err, &closed) || closed.Code != 4321 || closed.Reason != "not "+b.mask("KEY") {
		t.Errorf("the client heard %v", err)
	}
}

func TestPingsPassWhileNothingElseComes(t *testing.T) {
	t.Parallel()
	pinged := make(chan error, 1)
	b := newBed(t, talking(func(ctx context.Context, c *websocket.Conn) {
		ctx = c.CloseRead(ctx)
		pinged <- c.Ping(ctx)
		<-ctx.Done()
	}))
	ctx, c := b.dial()
	ctx = c.CloseRead(ctx)
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	if err := <-pinged; err != nil {
		t.Error(err)
	}
}

func TestFramesStayReadable(t *testing.T) {
	t.Parallel()
	b := newBed(t, speaks("Sec-WebSocket-Extensions: permessage-deflate\r\n", "", func(c net.Conn, r *bufio.Reader) {
		_, _ = io.WriteString(c, "\x81\x01x\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00")
		_, _ = io.Copy(io.Discard, r)
	}))
	_, r, resp := b.rawSocket("")
	if h := resp.Header.Get("Sec-Websocket-Extensions"); h != "" {
		t.Errorf("negotiated %q", h)
	}
	got, err := io.ReadAll(r)
	if want := "\x81\x01x\x88\x26\x03\xf6the upstream's frames cannot be read"; string(got) != want || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if e := b.event(upgradedEvent); e.Reason != "the WebSocket frames of the upstream cannot be read: a reserved bit is set" {
		t.Errorf("%+v", e)
	}
}

func TestAMessageCutShortIsRecorded(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{"in a frame": "\x81\x05he", "in a head": "\x81", "between fragments": "\x01\x01h"} {
		b := newBed(t, speaks("", "", func(c net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(c, sent) }))
		_, r, _ := b.rawSocket("")
		if got, err := io.ReadAll(r); err != nil || bytes.HasPrefix(got, []byte("\x81")) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if e := b.event(upgradedEvent); e.Reason != "the upstream ended the answer early" {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestFramesThatComeWithTheHandshakeAreNotLost(t *testing.T) {
	t.Parallel()
	frame := "\x81\x80\x01\x02\x03\x04"
	for _, place := range []string{"header", "frame"} {
		heard := make(chan string, 1)
		b := newBed(t, keyPlaces(place), speaks("", "\x81\x02hi", func(_ net.Conn, r *bufio.Reader) {
			got := make([]byte, 2*len(frame))
			_, _ = io.ReadFull(r, got)
			heard <- string(got)
		}))
		conn, r, _ := b.rawSocket(frame)
		got := make([]byte, 4)
		if _, err := io.ReadFull(r, got); err != nil || string(got) != "\x81\x02hi" {
			t.Errorf("%s: the client got %q, %v", place, got, err)
		}
		_, _ = io.WriteString(conn, frame)
		if got := <-heard; got != frame+frame {
			t.Errorf("%s: the upstream got %q", place, got)
		}
	}
}

func TestMasksInFramesAreSwappedWhereThatIsDeclared(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 10)
	b := newBed(t, keyPlaces("header", "frame"), func(_ *bed, _ *proxy.Options, secrets *[]policy.Secret, _ *policy.Egress) {
		(*secrets)[1].Places = append((*secrets)[1].Places, policy.Place{Kind: policy.Frame})
	}, talking(func(ctx context.Context, c *websocket.Conn) {
		for {
			kind, data, err := c.Read(ctx)
			if err != nil {
				return
			}
			heard <- string(data)
			_ = c.Write(ctx, kind, data)
		}
	}))
	ctx, c := b.dial()
	long := strings.Repeat("filling ", 100_000)
	for _, m := range []struct{ say, heard, hear string }{
		{"key " + b.mask("KEY"), "key " + keyValue, "key " + b.mask("KEY")},
		// The line break at a value's end is not taken for a part of it.
		{`{"pem":"` + b.mask("PEM") + `"}`, `{"pem":"` + strings.ReplaceAll(pemValue, "\n", `\n`) + `"}`, `{"pem":"` + b.mask("PEM") + `\n"}`},
		{long + b.mask("KEY") + long, long + keyValue + long, long + b.mask("KEY") + long},
		{b.mask("OTHER"), b.mask("OTHER"), b.mask("OTHER")},
	} {
		if err := c.Write(ctx, websocket.MessageText, []byte(m.say)); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; got != m.heard {
			t.Errorf("the upstream heard %.80q", got)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != m.hear {
			t.Errorf("the client heard %.80q, %v", got, err)
		}
	}
	w, err := c.Writer(ctx, websocket.MessageText)
	for _, piece := range []string{"in pieces ", b.mask("KEY")[:20], b.mask("KEY")[20:]} {
		if err == nil {
			_, err = io.WriteString(w, piece)
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "in pieces "+keyValue {
		t.Errorf("the upstream heard %q", got)
	}
	_, _, _ = c.Read(ctx)
	_ = c.Write(ctx, websocket.MessageBinary, []byte(b.mask("KEY")))
	if got := <-heard; got != b.mask("KEY") {
		t.Errorf("the upstream heard %q", got)
	}
	_, _, _ = c.Read(ctx)
	_ = c.Close(websocket.StatusNormalClosure, "")
	e := b.event(upgradedEvent)
	if fmt.Sprint(e.Swapped) != "[{KEY header} {KEY frame} {PEM frame}]" || len(e.Withheld) != 1 || e.Withheld[0].Secret != "OTHER" || e.Withheld[0].Place != "frame" {
		t.Errorf("%+v", e)
	}
}
