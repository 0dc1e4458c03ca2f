package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"kz/proxy/policy"
)

var fuzzedCodings = [][]string{{"gzip"}, {"deflate"}, {"br"}, {"zstd"}, {"gzip", "br"}, {"zstd", "deflate"}}

// FuzzCodings holds that a reader of a coding gives the same however its input is cut, ends, and never calls whole what
// lacks its last byte; and that what kz encodes it reads back.
func FuzzCodings(f *testing.F) {
	for i, names := range fuzzedCodings {
		coded, err := io.ReadAll(encode(bytes.NewReader([]byte("some text, some text, some text")), names))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(coded, i)
		f.Add(append(bytes.Clone(coded), "behind"...), i)
		f.Add(coded[:len(coded)/2], i)
	}
	f.Fuzz(func(t *testing.T, coded []byte, which int) {
		names := fuzzedCodings[uint(which)%uint(len(fuzzedCodings))]
		read := func(r io.Reader) ([]byte, error) {
			d := decode(r, names)
			defer d.Close()
			return io.ReadAll(io.LimitReader(d, 1<<20))
		}
		whole, err := read(bytes.NewReader(coded))
		pieces, errPieces := read(iotest.OneByteReader(bytes.NewReader(coded)))
		if (err == nil) != (errPieces == nil) || err == nil && !bytes.Equal(whole, pieces) {
			t.Fatalf("%v: in one piece %d bytes, %v; byte by byte %d, %v", names, len(whole), err, len(pieces), errPieces)
		}
		again, err := io.ReadAll(encode(bytes.NewReader(coded), names))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := read(bytes.NewReader(again)); err != nil || !bytes.Equal(back, coded[:min(len(coded), 1<<20)]) {
			t.Fatalf("%v: %d bytes came back as %d, %v", names, len(coded), len(back), err)
		}
	})
}

// FuzzHello holds that what passes as the opening of a strict tunnel is one ClientHello that crypto/tls reads the same
// name from, and that nothing behind it is taken.
func FuzzHello(f *testing.F) {
	a := policy.Authority{Host: "tunnel.test", Port: 443}
	for _, name := range []string{"tunnel.test", "TUNNEL.test", "evil.test", ""} {
		hello := fuzzedHello(name)
		f.Add(hello, byte(0))
		f.Add(append(bytes.Clone(hello), hello...), byte(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut byte) {
		if len(b) == 0 || b[0] != recordHandshake {
			return
		}
		src := io.Reader(bytes.NewReader(b[1:]))
		if cut > 0 {
			src = iotest.OneByteReader(src)
		}
		hello, err := readHello(src, b[:1:1])
		if whole, werr := readHello(bytes.NewReader(b[1:]), b[:1:1]); (err == nil) != (werr == nil) || err == nil && !bytes.Equal(hello, whole) {
			t.Fatalf("byte by byte %v, at once %v", err, werr)
		}
		if err != nil {
			return
		}
		if !bytes.HasPrefix(b, hello) || len(hello) > helloLimit {
			t.Fatalf("%d bytes were taken for others", len(hello))
		}
		if rest, _ := io.ReadAll(src); len(rest) != len(b)-len(hello) {
			t.Fatalf("%d bytes behind the hello, want %d", len(rest), len(b)-len(hello))
		}
		if checkHello(hello, a) != nil {
			return
		}
		// A server that would speak with this client hears the host's name.
		heard := ""
		stop := errors.New("heard")
		_ = tls.Server(&spoken{r: bytes.NewReader(b)}, &tls.Config{MinVersion: tls.VersionTLS10, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			heard = h.ServerName
			return nil, stop
		}}).Handshake()
		if !a.Named(heard) {
			t.Fatalf("passed, and a server hears %q", heard)
		}
	})
}

// fuzzedHello is the ClientHello of Go's client for a server name; "" has none.
func fuzzedHello(name string) []byte {
	client, server := net.Pipe()
	go func() {
		_ = tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake() // it gets no answer
	}()
	defer func() { _, _ = client.Close(), server.Close() }()
	head := make([]byte, 16<<10)
	n, _ := server.Read(head)
	return head[:n]
}
