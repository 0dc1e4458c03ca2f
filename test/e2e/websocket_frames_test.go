package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"kz/test/bed"
	"kz/test/origin"
)

// The key of RFC 6455, section 1.3, and what a server answers to it.
const (
	webSocketKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	webSocketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// frame is one of WebSocket's. head is its first byte: 0x80 at the end of a message, and the kind.
type frame struct {
	head    byte
	payload string
}

const (
	frameFirst, frameLast, frameMore = 0x01, 0x80, 0x00
	frameText, frameBinary           = 0x81, 0x82
	frameClose, framePing, framePong = 0x88, 0x89, 0x8a
)

// write gives the frames as bytes, masked with a key when a client sends them.
func write(masked bool, frames ...frame) []byte {
	var b []byte
	for _, f := range frames {
		bit := byte(0)
		if masked {
			bit = 0x80
		}
		switch n := len(f.payload); {
		case n < 126:
			b = append(b, f.head, bit|byte(n))
		case n < 1<<16:
			b = binary.BigEndian.AppendUint16(append(b, f.head, bit|126), uint16(n))
		default:
			b = binary.BigEndian.AppendUint64(append(b, f.head, bit|127), uint64(n))
		}
		p, key := []byte(f.payload), [4]byte{1, 2, 3, 4}
		if masked {
			b = append(b, key[:]...)
			for i := range p {
				p[i] ^= key[i%4]
			}
		}
		b = append(b, p...)
	}
	return b
}

// rawWebSocket is a client that says which frames it sends.
type rawWebSocket struct {
	t    *testing.T
	conn *tls.Conn
	r    *bufio.Reader
}

func openWebSocket(t *testing.T, c *child, path string) *rawWebSocket {
	t.Helper()
	conn, err := c.inside(t, "api.test:443", "api.test", "h2", "http/1.1")
	if err == nil && conn.ConnectionState().NegotiatedProtocol == "h2" {
		// That is the rest of the host's traffic. A WebSocket offers HTTP/1.1 alone.
		conn, err = c.inside(t, "api.test:443", "api.test", "http/1.1")
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"+
		"Sec-WebSocket-Extensions: permessage-deflate\r\nAuthorization: Bearer %s\r\n\r\n", path, webSocketKey, c.env["API_KEY"])
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-Websocket-Accept") != webSocketAccept || resp.Header.Get("Sec-Websocket-Extensions") != "" {
		t.Fatalf("upgrading: %v %v", resp, err)
	}
	return &rawWebSocket{t, conn, r}
}

func (w *rawWebSocket) send(frames ...frame) {
	w.t.Helper()
	if _, err := w.conn.Write(write(true, frames...)); err != nil {
		w.t.Fatal(err)
	}
}

// next reads a frame.
func (w *rawWebSocket) next() frame {
	w.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		w.t.Fatalf("no frame: %v", err)
	}
	n := uint64(head[1])
	if size := map[uint64]int{126: 2, 127: 8}[n]; size > 0 {
		var long [8]byte
		if _, err := io.ReadFull(w.r, long[8-size:]); err != nil {
			w.t.Fatal(err)
		}
		n = binary.BigEndian.Uint64(long[:])
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(w.r, p); err != nil {
		w.t.Fatal(err)
	}
	return frame{head[0], string(p)}
}

// message reads frames up to the end of a message. What controls comes apart.
func (w *rawWebSocket) message() (text string, controls []frame) {
	w.t.Helper()
	for {
		switch f := w.next(); {
		case f.head&0x08 != 0:
			controls = append(controls, f)
		default:
			if text += f.payload; f.head&frameLast != 0 {
				return text, controls
			}
		}
	}
}

func (w *rawWebSocket) expect(want ...frame) {
	w.t.Helper()
	for _, f := range want {
		if got := w.next(); got != f {
			w.t.Errorf("got %x %.60q, want %x %.60q", got.head, got.payload, f.head, f.payload)
		}
	}
}

func TestWebSocketFrames(t *testing.T) {
	t.Parallel()
	for _, frames := range []bool{false, true} {
		t.Run(fmt.Sprintf("of a client, swapped: %v", frames), func(t *testing.T) {
			t.Parallel()
			b := bed.New(t)
			swap := `swap = ["header"]`
			if frames {
				swap = `swap = ["header", "frame"]`
			}
			value := b.Secret("API_KEY", `hosts = ["api.test"]`, swap)
			c := waiting(t, b)
			token := c.env["API_KEY"]
			w := openWebSocket(t, c, "/ws?hello=1")
			w.expect(frame{frameText, "Bearer " + token})
			// A mask in three fragments, and a ping between them, whose pong does not wait for the last one.
			w.send(frame{frameFirst, "key " + token[:5]}, frame{framePing, "early"}, frame{frameMore, token[5:20]})
			w.expect(frame{framePong, "early"})
			w.send(frame{frameLast, token[20:] + " end"})
			if text, _ := w.message(); text != "key "+token+" end" {
				t.Errorf("the echo of fragments is %q", text)
			}
			w.send(frame{frameText, ""}, frame{frameText, "plain"}, frame{frameBinary, "\x00" + token})
			w.expect(frame{frameText, ""}, frame{frameText, "plain"}, frame{frameBinary, "\x00" + token})
			// HTTP/2 goes on for the rest of the host, while the WebSocket is open.
			resp, err := c.client(t, true).Get("https://api.test/")
			if err != nil || resp.ProtoMajor != 2 {
				t.Fatalf("beside a WebSocket: %v %v", resp, err)
			}
			_ = resp.Body.Close()
			w.send(frame{framePing, "late"})
			w.expect(frame{framePong, "late"})
			code := string(binary.BigEndian.AppendUint16(nil, 4001)) + "reason"
			w.send(frame{frameClose, code})
			w.expect(frame{frameClose, code})
			said := token
			if frames {
				said = value
			}
			if got := received(t, b, "/ws")[0]; string(got.Body) != "key "+said+" end"+"plain"+"\x00"+token {
				t.Errorf("the origin heard %d bytes", len(got.Body))
			}
			b.Clean(c.Wait())
		})
	}
	t.Run("of an origin are scrubbed, and otherwise as they were", func(t *testing.T) {
		t.Parallel()
		b := bed.New(t)
		value := b.Secret("API_KEY", `hosts = ["api.test"]`)
		b.Pin("api.test:443", "raw")
		long := string(bytes.Repeat([]byte("long "), 30_000))
		code := string(binary.BigEndian.AppendUint16(nil, 4002)) + "the reason"
		head := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + webSocketAccept + "\r\n" +
			"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
		b.Origin.SetRaw("frames", origin.Script{End: origin.EndClose, Split: 1000, Answer: append([]byte(head), write(false,
			frame{frameText, "whole " + value}, frame{framePing, "p"}, frame{frameFirst, "in pieces " + value[:3]}, frame{framePing, "between"}, frame{frameMore, value[3:9]},
			frame{frameLast, value[9:] + "."}, frame{frameText, "clean"}, frame{frameBinary, long + value + long}, frame{frameClose, code})...)})
		c := waiting(t, b)
		token := c.env["API_KEY"]
		w := openWebSocket(t, c, "/frames")
		w.expect(frame{frameText, "whole " + token}, frame{framePing, "p"})
		text, controls := w.message()
		if text != "in pieces "+token+"." || fmt.Sprint(controls) != fmt.Sprint([]frame{{framePing, "between"}}) {
			t.Errorf("in pieces: %q, and %v", text, controls)
		}
		w.expect(frame{frameText, "clean"})
		if text, _ := w.message(); text != long+token+long {
			t.Errorf("%d bytes came of a long message, want %d", len(text), len(long+token+long))
		}
		w.expect(frame{frameClose, code})
		b.Clean(c.Wait())
	})
}
