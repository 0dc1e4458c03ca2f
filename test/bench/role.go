package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"kz/test/bench/origin"
	"kz/test/bench/wire"
	"kz/test/peers"
)

// A role is what this program is when its first argument is "@" and the role's name: a process of its own, whose CPU time and
// memory can be told. It says "READY address" and lasts until its standard input ends.
var roles = map[string]func(l net.Listener, dir, originAddr string) error{
	"origin":  func(l net.Listener, dir, _ string) error { return origin.Serve(l, dir) },
	"tunnel":  serveTunnel,
	"relay":   serveRelay,
	"goproxy": serveGoproxy,
	"reverse": serveReverse,
}

func runRole(name string, args []string) error {
	if len(args) != 2 || roles[name] == nil {
		return errors.New("a role takes a directory and the origin's address")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- roles[name](l, args[0], args[1]) }()
	if name != "goproxy" { // it listens by itself
		fmt.Println("READY", l.Addr())
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	select {
	case err := <-failed:
		return err
	case err := <-ended:
		return err
	}
}

// serveTunnel is the least that a tunnel does: it reads a CONNECT, dials the origin, and has the kernel move the bytes.
func serveTunnel(l net.Listener, _, originAddr string) error {
	return accept(l, func(client net.Conn) error {
		if err := readConnect(client); err != nil {
			return err
		}
		upstream, err := net.Dial("tcp", originAddr)
		if err != nil {
			return err
		}
		return splice(client, upstream)
	})
}

// serveRelay is the least that an interceptor does: it ends the client's TLS, opens another to the origin, and copies.
func serveRelay(l net.Listener, dir, originAddr string) error {
	cert, roots, err := certsOf(dir)
	if err != nil {
		return err
	}
	server := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	sessions := tls.NewLRUClientSessionCache(0)
	return accept(l, func(raw net.Conn) error {
		if err := readConnect(raw); err != nil {
			return err
		}
		client := tls.Server(raw, server)
		if err := client.Handshake(); err != nil {
			return err
		}
		state := client.ConnectionState()
		out := &tls.Config{ServerName: state.ServerName, RootCAs: roots, ClientSessionCache: sessions}
		if state.NegotiatedProtocol != "" {
			out.NextProtos = []string{state.NegotiatedProtocol}
		}
		upstream, err := tls.Dial("tcp", originAddr, out)
		if err != nil {
			return err
		}
		return splice(client, upstream)
	})
}

// certsOf is what a peer shows its clients, and what it trusts.
func certsOf(dir string) (tls.Certificate, *x509.CertPool, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, origin.LeafFile), filepath.Join(dir, origin.LeafKeyFile))
	roots, err2 := loadPool(filepath.Join(dir, origin.CAFile))
	return cert, roots, errors.Join(err, err2)
}

// errHandedOn says that another closes the connection.
var errHandedOn = errors.New("handed on")

func accept(l net.Listener, serve func(net.Conn) error) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			// Clients leave as they please.
			if err := serve(c); !errors.Is(err, errHandedOn) {
				_ = c.Close()
			}
		}()
	}
}

// readConnect reads a CONNECT and accepts it. Nothing follows one before it is answered: the load generator waits.
func readConnect(c net.Conn) error {
	var request [4096]byte
	for n := 0; n < 4 || string(request[n-4:n]) != "\r\n\r\n"; {
		m, err := c.Read(request[n:])
		if n += m; err != nil || n == len(request) {
			return errors.Join(err, errors.New("no CONNECT"))
		}
	}
	_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	return err
}

func splice(a, b net.Conn) error {
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(b, a)
		done <- errors.Join(err, b.Close(), a.Close())
	}()
	_, err := io.Copy(a, b)
	return errors.Join(err, a.Close(), b.Close(), <-done)
}

// newHosts is how many hosts under wire.NewDomain goproxy can reach: it has no pattern for them.
const newHosts = 50_000

func serveGoproxy(l net.Listener, dir, originAddr string) error {
	if err := l.Close(); err != nil {
		return err
	}
	roots, err := os.ReadFile(filepath.Join(dir, origin.CAFile))
	if err != nil {
		return err
	}
	pins := map[string]string{wire.Host + ":443": originAddr, wire.UploadHost + ":443": originAddr}
	for n := range int64(newHosts) {
		pins[wire.NewHost(n)+":443"] = originAddr
	}
	g, err := peers.StartGoproxy(peers.Goproxy{Pins: pins, Roots: roots, KeepLeaves: true, AllowHTTP2: true})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, goproxyCA), g.CAPEM, 0o600); err != nil {
		return err
	}
	fmt.Println("READY", g.Addr)
	select {}
}
