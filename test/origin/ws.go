package origin

import (
	"net/http"

	"github.com/coder/websocket"
)

// webSocket echoes messages. protocol= names the subprotocol it chooses;
// hello=1 sends the request's Authorization header first. What it receives is
// recorded as the request's body.
func webSocket(w http.ResponseWriter, r *http.Request) {
	opts := &websocket.AcceptOptions{OriginPatterns: []string{"*"}, CompressionMode: websocket.CompressionContextTakeover}
	if p := query(r).Get("protocol"); p != "" {
		opts.Subprotocols = []string{p}
	}
	c, err := websocket.Accept(w, r, opts)
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(16 << 20)
	if query(r).is("hello") {
		if c.Write(r.Context(), websocket.MessageText, []byte(r.Header.Get("Authorization"))) != nil {
			return
		}
	}
	for {
		kind, p, err := c.Read(r.Context())
		if err != nil {
			return
		}
		note(r, p)
		if c.Write(r.Context(), kind, p) != nil {
			return
		}
	}
}
