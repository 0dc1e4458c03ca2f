package proxy

import (
	"crypto/tls"
	"net"
	"net/http"
)

// breakOff ends the client's connection in a way that HTTP/1.0 cannot take for the end of a body: without close_notify, and
// with a reset.
func breakOff(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tc, ok := conn.(*tls.Conn); ok {
		conn = tc.NetConn()
	}
	if tcp, ok := socket(conn).(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// socket is the connection under the wrappers of this package.
func socket(c net.Conn) net.Conn {
	for {
		switch w := c.(type) {
		case *interceptConn:
			c = w.Conn
		case *replayConn:
			c = w.Conn
		case *limitedConn:
			c = w.Conn
		case *dialled:
			c = w.Conn
		default:
			return c
		}
	}
}
