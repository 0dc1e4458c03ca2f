package proxy

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/http"
)

// HTTP/2, RFC 9113: a frame's head, the type of SETTINGS with its entries, and the setting that says how long a frame may be.
const (
	frameHead       = 9
	frameSettings   = 4
	settingEntry    = 6
	settingMaxFrame = 5
	leastMaxFrame   = 16 << 10 // section 6.5.2: no peer may ask for less
)

// limitFrames keeps t from sending longer frames than most to upstreams that would take them. net/http makes a buffer of that
// size, up to 512 KiB, for every body whose length it does not know, for as long as that is sent: nginx and Go ask for as much.
//
// It uses what net/http and golang.org/x/net/http2 have between them for HTTP/2 over a connection that is not TLS, since
// nothing else takes a connection of another kind. Where that is missing, t stays as it is.
func limitFrames(t *http.Transport, most uint32) {
	t.CloseIdleConnections() // net/http fills TLSNextProto in
	take := t.TLSNextProto["unencrypted_http2"]
	if take == nil {
		return
	}
	t.TLSNextProto["h2"] = func(authority string, c *tls.Conn) http.RoundTripper {
		return take(authority, tls.Client(carrier{c, &frameLimit{Conn: c, most: most}}, nil))
	}
}

// least is leastMaxFrame as it is sent.
var least = binary.BigEndian.AppendUint32(nil, leastMaxFrame)

// carrier is what brings a connection that is not TLS to net/http.
type carrier struct {
	net.Conn
	carried net.Conn
}

// UnencryptedNetConn is the method that net/http looks for.
func (c carrier) UnencryptedNetConn() net.Conn { return c.carried }

// frameLimit is a connection to an upstream of HTTP/2. What it reads says that no frame may be longer than most.
type frameLimit struct {
	*tls.Conn
	most uint32

	// Where the next byte is: at in the head of a frame, or rest before the end of the payload of one.
	head    [frameHead]byte
	at      int
	rest    int
	setting [2]byte // the entry of SETTINGS under way
	cut     bool    // its value comes in pieces
}

// Read implements net.Conn.
func (c *frameLimit) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.limit(p[:n])
	return n, err
}

// limit changes p, the next bytes, in place.
func (c *frameLimit) limit(p []byte) {
	for len(p) > 0 {
		switch {
		case c.rest == 0:
			n := copy(c.head[c.at:], p)
			p = p[n:]
			if c.at += n; c.at == frameHead {
				c.at, c.rest = 0, int(c.head[0])<<16|int(c.head[1])<<8|int(c.head[2])
			}
		case c.head[3] != frameSettings:
			n := min(c.rest, len(p))
			p, c.rest = p[n:], c.rest-n
		default:
			n := min(c.rest, len(p))
			c.settings(p[:n], int(c.head[0])<<16|int(c.head[1])<<8|int(c.head[2]))
			p, c.rest = p[n:], c.rest-n
		}
	}
}

// settings changes a part of the payload of SETTINGS, which is length in all.
func (c *frameLimit) settings(p []byte, length int) {
	for i := range p {
		at := (length - c.rest + i) % settingEntry
		if at < len(c.setting) {
			c.setting[at] = p[i]
			continue
		}
		if binary.BigEndian.Uint16(c.setting[:]) != settingMaxFrame {
			continue
		}
		if at == len(c.setting) {
			c.cut = len(p)-i < 4
		}
		switch {
		case c.cut:
			// Its first bytes are gone before the last are here: the least is always allowed.
			p[i] = least[at-len(c.setting)]
		case at == len(c.setting):
			value := p[i : i+4]
			binary.BigEndian.PutUint32(value, min(binary.BigEndian.Uint32(value), c.most))
		}
	}
}
