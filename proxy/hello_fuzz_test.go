package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"
	"testing/iotest"

	"kz/proxy/policy"
)

// FuzzReadHello holds that whatever a client begins with is read the same way in every chunking, that nothing is taken from
// behind a ClientHello, and that one which is let pass names the host in the eyes of crypto/tls, however it is cut.
func FuzzReadHello(f *testing.F) {
	a := policy.Authority{Host: "tunnel.test", Port: 443}
	for _, name := range []string{"tunnel.test", "evil.test", "TUNNEL.test"} {
		var sent bytes.Buffer
		_ = tls.Client(&said{w: &sent}, &tls.Config{ServerName: name}).Handshake()
		f.Add(sent.Bytes(), []byte("behind"))
	}
	f.Add([]byte{22, 3, 1, 0, 4, 1, 0, 0, 0}, []byte{})
	f.Fuzz(func(t *testing.T, hello, behind []byte) {
		if len(hello) > helloLimit {
			return
		}
		all := append(bytes.Clone(hello), behind...)
		r := bytes.NewReader(all)
		whole, err := readHello(r, nil)
		single, serr := readHello(iotest.OneByteReader(bytes.NewReader(all)), nil)
		if (err == nil) != (serr == nil) || err == nil && !bytes.Equal(whole, single) {
			t.Fatalf("%v and %v", err, serr)
		}
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(r)
		if !bytes.Equal(append(bytes.Clone(whole), rest...), all) {
			t.Fatal("bytes were lost")
		}
		if checkHello(whole, a) == nil && !bytes.Contains(bytes.ToLower(unwrapped(whole)), []byte(a.Host)) {
			t.Fatalf("a hello without the name passes: %x", whole)
		}
	})
}

// unwrapped is what the records of b hold.
func unwrapped(b []byte) (out []byte) {
	for len(b) >= recordHeader {
		n := recordHeader + recordLength(b)
		out, b = append(out, b[recordHeader:n]...), b[n:]
	}
	return out
}

// said is a connection that keeps what is written.
type said struct {
	spoken
	w io.Writer
}

func (s *said) Write(p []byte) (int, error) { return s.w.Write(p) }
func (s *said) Read([]byte) (int, error)    { return 0, io.EOF }
