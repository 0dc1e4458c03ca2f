// Package load is the load generator of the benchmarks. It shares the machine with what it measures, so it must be cheap:
// requests are made once and sent as bytes, one goroutine drives a connection, and answers are compared as a whole.
package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Route is how the origin is reached, and what a client of it says and sees. It is safe for concurrent use.
type Route struct {
	Address    string         // what is dialled
	Connect    bool           // it is a proxy: open a tunnel first
	Credential string         // what Proxy-Authorization says; "" none
	Roots      *x509.CertPool // who signs the certificates seen
	Token      string         // what stands for wire.Value, both ways
	Upload     string         // what stands for wire.UploadValue

	hosts atomic.Int64 // of wire.NewHost, that were asked for
}

// timeout ends a connection that hangs.
const timeout = 2 * time.Minute

// Dial opens a connection to host, through the proxy where there is one, and ends the TLS handshake.
// sessions may be nil: nothing is resumed then.
func (r *Route) Dial(host, alpn string, sessions tls.ClientSessionCache) (*tls.Conn, error) {
	raw, err := net.DialTimeout("tcp", r.Address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	if r.Connect {
		if err := r.open(raw, host); err != nil {
			return nil, errors.Join(fmt.Errorf("opening a tunnel: %w", err), raw.Close())
		}
	}
	conn := tls.Client(raw, &tls.Config{ServerName: host, RootCAs: r.Roots, MinVersion: tls.VersionTLS12, NextProtos: []string{alpn}, ClientSessionCache: sessions})
	if err := conn.HandshakeContext(context.Background()); err != nil {
		return nil, errors.Join(fmt.Errorf("shaking hands: %w", err), raw.Close())
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != alpn && (got != "" || alpn == "h2") {
		return nil, errors.Join(fmt.Errorf("the protocol is %q, not %q", got, alpn), raw.Close())
	}
	return conn, nil
}

// open sends a CONNECT. The answer ends before anything of the tunnel can follow, for the client speaks first in TLS.
func (r *Route) open(conn net.Conn, host string) error {
	request := "CONNECT " + host + ":443 HTTP/1.1\r\nHost: " + host + ":443\r\n"
	if r.Credential != "" {
		request += "Proxy-Authorization: " + r.Credential + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return err
	}
	var answer [4096]byte
	n := 0
	for !bytes.HasSuffix(answer[:n], []byte("\r\n\r\n")) {
		if n == len(answer) {
			return errors.New("the answer is too long")
		}
		m, err := conn.Read(answer[n:])
		if err != nil {
			return err
		}
		n += m
	}
	if status := answer[:bytes.IndexByte(answer[:n], '\r')]; !bytes.HasPrefix(status, []byte("HTTP/1.")) || !bytes.HasPrefix(status[8:], []byte(" 200")) {
		return fmt.Errorf("the proxy answers %q", status)
	}
	return nil
}
