package proxy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
	"kz/resolver"
)

func TestBytesPassUntouchedWhereFramesAreNotDeclared(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	b := newBed(t, speaks("", "", func(_ net.Conn, r *bufio.Reader) {
		got, _ := io.ReadAll(r)
		heard <- string(got)
	}))
	say := "no frames at all: " + b.mask("KEY") + strings.Repeat("\xff", 100_000)
	conn, _, _ := b.rawSocket("")
	_, _ = io.WriteString(conn, say)
	_ = conn.CloseWrite()
	if got := <-heard; got != say {
		t.Errorf("the upstream got %d bytes, %.60q", len(got), got)
	}
	if e := b.event(upgradedEvent); len(e.Swapped)+len(e.Withheld) > 0 || e.BytesOut != int64(len(say)) || e.Reason != "" {
		t.Errorf("%+v", e)
	}
}

func TestAMaskInAMessageWhereFramesAreNotDeclaredIsRecorded(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	b := newBed(t, talking(func(ctx context.Context, c *websocket.Conn) {
		_, data, _ := c.Read(ctx)
		heard <- string(data)
		_, _, _ = c.Read(ctx)
	}))
	ctx, c := b.dial()
	say := `{"token":"` + b.mask("KEY") + `","again":"` + b.mask("KEY") + `","other":"` + b.mask("OTHER") + `"}`
	if err := c.Write(ctx, websocket.MessageText, []byte(say)); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != say {
		t.Errorf("the upstream heard %q", got)
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
	e := b.event(upgradedEvent)
	if len(e.Withheld) != 2 || e.Withheld[0] != (audit.Withheld{Secret: "KEY", Place: "frame", Reason: "KEY may not stand in a WebSocket message"}) ||
		e.Withheld[1].Secret != "OTHER" || !strings.Contains(e.Withheld[1].Reason, "not bound to") {
		t.Errorf("%+v", e.Withheld)
	}
}

func TestBytesThatAreNoFramesDoNotReachTheUpstreamWhereFramesAreDeclared(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	b := newBed(t, keyPlaces("frame"), speaks("", "", func(_ net.Conn, r *bufio.Reader) {
		got, _ := io.ReadAll(r)
		heard <- string(got)
	}))
	conn, _, _ := b.rawSocket("")
	_, _ = io.WriteString(conn, "\x81\x05hello")
	if got := <-heard; got != "" {
		t.Errorf("the upstream got %q", got)
	}
	if e := b.event(upgradedEvent); e.Reason != "the WebSocket frames of the client cannot be read: a frame of a client is not masked" {
		t.Errorf("%+v", e)
	}
}

func TestAValueThatChangesWhileAWebSocketIsOpenIsScrubbed(t *testing.T) {
	t.Parallel()
	const next = "the-next-value-of-key"
	var rotated sync.Once
	b := newBed(t, keyPlaces("header", "frame"), talking(echo), func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		first := true
		o.Values = func(_ context.Context, name string) (resolver.Secret, error) {
			if first {
				first = false
				return resolver.NewSecret(keyValue), nil
			}
			s := resolver.NewSecret(next)
			var err error
			rotated.Do(func() { err = b.proxy.Learn(name, s) })
			return s, err
		}
	})
	ctx, c := b.dial()
	for range 2 {
		_ = c.Write(ctx, websocket.MessageText, []byte("<"+b.mask("KEY")+">"))
		if _, got, err := c.Read(ctx); err != nil || string(got) != "<"+b.mask("KEY")+">" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestTheLastFramesOfTheUpstreamArrive(t *testing.T) {
	t.Parallel()
	answer := "\x81\x05after\x88\x02\x03\xe8"
	t.Run("when the client ends its side first", func(t *testing.T) {
		t.Parallel()
		b := newBed(t, speaks("", "", func(c net.Conn, r *bufio.Reader) {
			_, _ = io.ReadFull(r, make([]byte, 8))
			time.Sleep(100 * time.Millisecond)
			_, _ = io.WriteString(c, answer)
		}))
		conn, r, _ := b.rawSocket("")
		_, _ = io.WriteString(conn, "\x88\x82\x00\x00\x00\x00\x03\xe8")
		_ = conn.CloseWrite()
		if got, err := io.ReadAll(r); string(got) != answer || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("when the upstream goes while the client is sending", func(t *testing.T) {
		t.Parallel()
		b := newBed(t, speaks("", "", func(c net.Conn, r *bufio.Reader) {
			_, _ = io.ReadFull(r, make([]byte, 1000))
			_, _ = io.WriteString(c, answer)
		}))
		conn, r, _ := b.rawSocket("")
		go func() {
			for range 10_000 {
				if _, err := io.WriteString(conn, "\x82\x84\x00\x00\x00\x00more"); err != nil {
					return
				}
			}
		}()
		got := make([]byte, len(answer))
		if _, err := io.ReadFull(r, got); string(got) != answer || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("but a silent one is not waited for long", func(t *testing.T) {
		t.Parallel()
		over := make(chan bool)
		b := newBed(t, speaks("", "", func(net.Conn, *bufio.Reader) { <-over }))
		t.Cleanup(func() { close(over) })
		conn, _, _ := b.rawSocket("")
		_ = conn.Close()
		if e := b.event(upgradedEvent); e.DurationMS < 900 || e.DurationMS > 4000 || e.Reason != "" {
			t.Errorf("%+v", e)
		}
	})
}

func TestAWebSocketInCleartextIsScrubbedAndNeverSwapped(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("frame"), func(b *bed, o *proxy.Options, secrets *[]policy.Secret, _ *policy.Egress) {
		(*secrets)[0].Hosts = hosts(t, "api.test:80")
		s := httptest.NewServer(http.HandlerFunc(b.serveUpstream))
		t.Cleanup(s.Close)
		b.pin(o, "api.test:80", s)
	}, talking(func(ctx context.Context, c *websocket.Conn) {
		_, data, _ := c.Read(ctx)
		_ = c.Write(ctx, websocket.MessageText, append(data, keyValue...))
	}))
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	request := strings.Replace(upgradeRequest, "GET /ws", "GET http://api.test/ws", 1)
	request = strings.TrimSuffix(request, "\r\n") + "Proxy-Authorization: Basic " + basic("kz", credential) + "\r\n\r\n"
	mask := b.mask("KEY")
	_, _ = io.WriteString(conn, request+"\x81"+string([]byte{0x80 | byte(len(mask))})+"\x00\x00\x00\x00"+mask)
	r := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	got := make([]byte, 2+2*len(mask))
	if _, err := io.ReadFull(r, got); err != nil || string(got[2:]) != mask+mask {
		t.Errorf("got %q, %v", got, err)
	}
	_ = conn.Close()
	if e := b.event(upgradedEvent); len(e.Swapped) > 0 || len(e.Scrubbed) != 1 {
		t.Errorf("%+v", e)
	}
}

func TestNothingIsLeftOfAWebSocket(t *testing.T) {
	b := newBed(t, keyPlaces("header", "frame"), talking(echo))
	open := func() (context.Context, *websocket.Conn) {
		ctx, c := b.dial()
		_ = c.Write(ctx, websocket.MessageText, []byte("x"))
		_, _, _ = c.Read(ctx)
		return ctx, c
	}
	_, c := open()
	_ = c.CloseNow()
	before := settled()
	for range 20 {
		ctx, c := open()
		_ = c.CloseNow()
		_, c = open()
		_ = c.Close(websocket.StatusNormalClosure, "")
		_ = ctx
	}
	after := settled()
	for deadline := time.Now().Add(30 * time.Second); after > before+10 && time.Now().Before(deadline); after = settled() {
	}
	if after > before+10 {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
	ctx, c := open()
	_ = b.proxy.Close()
	if _, _, err := c.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("a WebSocket outlived the proxy: %v", err)
	}
}
