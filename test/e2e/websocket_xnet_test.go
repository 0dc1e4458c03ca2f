package e2e_test

import (
	"strings"
	"testing"

	"golang.org/x/net/websocket"

	"kz/test/bed"
)

// TestWebSocketXNet has the client of golang.org/x/net speak over a connection it is given. It takes a frame for a message, so none may be long.
func TestWebSocketXNet(t *testing.T) {
	t.Parallel()
	b := bed.New(t)
	value := b.Secret("API_KEY", `hosts = ["api.test"]`, `swap = ["header", "frame"]`)
	c := waiting(t, b)
	token := c.env["API_KEY"]
	conn, err := c.inside(t, "api.test:443", "api.test", "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	config, err := websocket.NewConfig("wss://api.test/ws?hello=1", "https://api.test/")
	if err != nil {
		t.Fatal(err)
	}
	config.Header.Set("Authorization", "Bearer "+token)
	ws, err := websocket.NewClient(config, conn)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := websocket.Message.Receive(ws, &got); err != nil || got != "Bearer "+token {
		t.Errorf("the origin said %q, %v", got, err)
	}
	heard := ""
	for _, m := range []string{"one", token, strings.Repeat("long ", 700) + token} {
		if err := websocket.Message.Send(ws, m); err != nil {
			t.Fatal(err)
		}
		if err := websocket.Message.Receive(ws, &got); err != nil || got != m {
			t.Errorf("%d bytes came back of %d: %v", len(got), len(m), err)
		}
		heard += strings.ReplaceAll(m, token, value)
	}
	if err := ws.Close(); err != nil {
		t.Error(err)
	}
	if r := received(t, b, "/ws")[0]; string(r.Body) != heard {
		t.Errorf("the origin heard %d bytes, want %d", len(r.Body), len(heard))
	}
	b.Clean(c.Wait())
}
