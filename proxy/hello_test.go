package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// strictly allows the entries and nothing else. What comes for tunnel.test, at any of a few ports, goes to serve.
func strictly(serve func(net.Conn), entries ...string) bedOption {
	return func(b *bed, o *proxy.Options, _ *[]policy.Secret, e *policy.Egress) {
		e.Strict = true
		for _, s := range entries {
			p, err := policy.ParseEgressPattern(s)
			if err != nil {
				b.t.Fatal(err)
			}
			e.Allow = append(e.Allow, p)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go serve(conn)
			}
		}()
		for _, port := range []string{"22", "80", "443", "5432", "8443"} {
			b.pinTo(o, "tunnel.test:"+port, l.Addr().String())
		}
	}
}

// helloOf is the ClientHello of Go's client for a server name; "" has none.
func helloOf(t *testing.T, name string) []byte {
	t.Helper()
	var sent bytes.Buffer
	_ = tls.Client(&teller{sent: &sent}, &tls.Config{ServerName: name, InsecureSkipVerify: name == ""}).Handshake()
	if sent.Len() == 0 {
		t.Fatal("no ClientHello")
	}
	return sent.Bytes()
}

// teller keeps what is written and has nothing to read.
type teller struct {
	net.Conn
	sent *bytes.Buffer
}

func (c *teller) Write(p []byte) (int, error) { return c.sent.Write(p) }
func (c *teller) Read([]byte) (int, error)    { return 0, io.EOF }
func (c *teller) Close() error                { return nil }

// inRecords puts the message of a record into records of n bytes.
func inRecords(record []byte, n int) []byte {
	var out []byte
	for _, part := range cutBy(record[5:], n) {
		out = append(append(out, 22, 3, 1, byte(len(part)>>8), byte(len(part))), part...)
	}
	return out
}

func cutBy(b []byte, n int) (out [][]byte) {
	for ; len(b) > 0; b = b[min(n, len(b)):] {
		out = append(out, b[:min(n, len(b))])
	}
	return out
}

func TestAStrictTunnelOpensWithItsName(t *testing.T) {
	t.Parallel()
	echo := func(c net.Conn) { defer c.Close(); _, _ = io.Copy(c, c) }
	b := newBed(t, strictly(echo, "tunnel.test"))
	hello := helloOf(t, "tunnel.test")
	for name, pieces := range map[string][][]byte{
		"in one piece":                       {hello},
		"byte by byte":                       cutBy(hello, 1),
		"in many records":                    {inRecords(hello, 10)},
		"in records of one byte, by two":     cutBy(inRecords(hello, 1), 2),
		"with other bytes close behind it":   {append(bytes.Clone(hello), bytes.Repeat([]byte("x"), 5000)...)},
		"with its name in capitals":          {bytes.ReplaceAll(hello, []byte("tunnel.test"), []byte("Tunnel.TEST"))},
		"in two pieces, cut within its name": cutBy(hello, bytes.Index(hello, []byte("tunnel.test"))+3),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := b.connect("tunnel.test:443")
			go func() {
				for _, p := range pieces {
					_, _ = conn.Write(p)
				}
			}()
			want := bytes.Join(pieces, nil)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("what came back is not what was sent: %v", err)
			}
		})
	}
	t.Run("in one segment with the CONNECT", func(t *testing.T) {
		t.Parallel()
		conn, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "CONNECT tunnel.test:443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic %s\r\n\r\n%s", basic("kz", credential), hello)
		got := make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n")+len(hello))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.HasSuffix(got, hello) {
			t.Errorf("the ClientHello did not arrive: %v", err)
		}
	})
}

func TestAStrictTunnelWithAnotherOpeningIsClosed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent bytes.Buffer
	record := func(c net.Conn) {
		defer c.Close()
		all, _ := io.ReadAll(c)
		mu.Lock()
		defer mu.Unlock()
		sent.Write(all)
	}
	named := newBed(t, strictly(record, "tunnel.test", "tunnel.test:80", "tunnel.test:8443", "tunnel.test:22"))
	open := newBed(t, strictly(record, "tunnel.test:*"))
	name, evil := helloOf(t, "tunnel.test"), helloOf(t, "evil.test")
	more := append(append([]byte{22, 3, 1, byte((len(name) - 4) >> 8), byte(len(name) - 4)}, name[5:]...), 1)
	const mismatch, invalid = "authority_mismatch", "request_invalid"
	for _, c := range []struct {
		name         string
		bed          *bed
		port         string
		opens        []byte
		code, reason string
	}{
		{"another server name", named, "443", evil, mismatch, "differs from the CONNECT host"},
		{"another server name at another port", named, "8443", evil, mismatch, "differs"},
		{"another server name at a port for cleartext", named, "80", evil, mismatch, "differs"},
		{"another server name at any port", open, "5432", evil, mismatch, "differs"},
		{"another server name at 443 as any port", open, "443", evil, mismatch, "differs"},
		{"another server name in many records", named, "443", inRecords(evil, 7), mismatch, "differs"},
		{"a name below the host", named, "443", helloOf(t, "x.tunnel.test"), mismatch, "differs"},
		{"no server name", named, "443", helloOf(t, ""), mismatch, "names no server"},
		{"plain HTTP", named, "443", []byte("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"), invalid, "did not speak TLS"},
		{"plain HTTP at another port", named, "8443", []byte("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"), invalid, "did not speak TLS"},
		{"a CONNECT of its own", named, "443", []byte("CONNECT evil.test:443 HTTP/1.1\r\n\r\n"), invalid, "did not speak TLS"},
		{"SSH", named, "443", []byte("SSH-2.0-x\r\n"), invalid, "did not speak TLS"},
		{"a record of application data", named, "443", []byte{23, 3, 3, 0, 1, 0}, invalid, "did not speak TLS"},
		{"SSL 2", named, "443", []byte{0x80, 0x2e, 1, 3, 1, 0}, invalid, "did not speak TLS"},
		{"a ServerHello", named, "443", []byte{22, 3, 3, 0, 4, 2, 0, 0, 0}, invalid, "cannot be read"},
		{"an empty record", named, "443", []byte{22, 3, 1, 0, 0}, invalid, "cannot be read"},
		{"a record of another protocol", named, "443", []byte{22, 9, 1, 0, 4, 1, 0, 0, 0}, invalid, "cannot be read"},
		{"an empty ClientHello", named, "443", []byte{22, 3, 1, 0, 4, 1, 0, 0, 0}, invalid, "cannot be read"},
		{"a ClientHello with a message behind it", named, "443", more, invalid, "cannot be read"},
		{"a ClientHello of a megabyte", named, "443", inRecords(append([]byte{0, 0, 0, 0, 0, 1, 16, 0, 0}, make([]byte, 70<<10)...), 16<<10), invalid, "cannot be read"},
		{"a ClientHello of tiny records", named, "443", inRecords(append([]byte{0, 0, 0, 0, 0, 1, 0, 255, 0}, make([]byte, 20<<10)...), 1), invalid, "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(c.bed.audit.Events())
			conn := c.bed.connect("tunnel.test:" + c.port)
			defer conn.Close()
			_, _ = conn.Write(c.opens)
			if got, _ := io.ReadAll(conn); len(got) > 0 {
				t.Errorf("answered with %q", got)
			}
			c.bed.event(func(audit.Event) bool { return len(c.bed.audit.Events()) > before })
			e := c.bed.audit.Events()[before]
			if e.Kind != audit.Refusal || e.Code != c.code || !strings.Contains(e.Reason, c.reason) || e.Host != "tunnel.test" || e.BytesOut != 0 {
				t.Errorf("the audit says %+v", e)
			}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if sent.Len() > 0 {
		t.Errorf("the upstream received %q", sent.String())
	}
}

func TestWhatAStrictTunnelLetsPassBesideTLS(t *testing.T) {
	t.Parallel()
	greet := func(c net.Conn) {
		defer c.Close()
		_, _ = io.WriteString(c, "220 hello\r\n")
		_, _ = io.Copy(c, c)
	}
	named := newBed(t, strictly(greet, "tunnel.test:80", "tunnel.test:22"))
	open := newBed(t, strictly(greet, "tunnel.test:*"))
	for _, c := range []struct {
		name string
		bed  *bed
		port string
	}{{"at port 80", named, "80"}, {"at port 22", named, "22"}, {"at port 80 as any", open, "80"}, {"at port 443 as any", open, "443"}, {"at any port", open, "5432"}} {
		t.Run("another protocol "+c.name, func(t *testing.T) {
			t.Parallel()
			conn := c.bed.connect("tunnel.test:" + c.port)
			r := bufio.NewReader(conn)
			// The server speaks first, and the client waits for that.
			if line, err := r.ReadString('\n'); line != "220 hello\r\n" {
				t.Fatalf("%q, %v", line, err)
			}
			fmt.Fprint(conn, "EHLO x\r\n")
			if line, err := r.ReadString('\n'); line != "EHLO x\r\n" {
				t.Errorf("%q, %v", line, err)
			}
			_ = closeWrite(conn)
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("the end did not come: %v", err)
			}
			c.bed.event(func(e audit.Event) bool { return e.Kind == audit.Tunnel && e.BytesOut == 8 && e.BytesIn == 19 })
		})
	}
	t.Run("any server name in permissive mode", func(t *testing.T) {
		t.Parallel()
		p := newBed(t)
		conn := tls.Client(p.connect("tunnel.test:443"), &tls.Config{RootCAs: p.originPool(), ServerName: "evil.test"})
		if err := conn.Handshake(); err != nil {
			t.Error(err)
		}
	})
}

func closeWrite(c net.Conn) error { return c.(interface{ CloseWrite() error }).CloseWrite() }

// TestTheSecondClientHelloNamesTheHostToo has the server ask for another key share. Some servers act on the name in the
// ClientHello that comes then.
func TestTheSecondClientHelloNamesTheHostToo(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 10)
	b := newBed(t, func(b *bed, o *proxy.Options, s *[]policy.Secret, e *policy.Egress) {
		strictly(func(c net.Conn) {
			tc := tls.Server(c, &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return b.minter.Leaf(h.ServerName)
			}})
			defer tc.Close()
			if tc.Handshake() == nil {
				reached <- tc.ConnectionState().ServerName
				_, _ = io.Copy(tc, tc)
			}
		}, "tunnel.test")(b, o, s, e)
	})
	shake := func(change func([]byte) []byte) (*tls.Conn, error) {
		conn := tls.Client(&second{Conn: b.connect("tunnel.test:443"), change: change}, &tls.Config{RootCAs: b.originPool(), ServerName: "tunnel.test",
			MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}})
		return conn, conn.Handshake()
	}
	t.Run("and passes when it does", func(t *testing.T) {
		conn, err := shake(func(p []byte) []byte { return p })
		if err != nil || !conn.ConnectionState().HelloRetryRequest {
			t.Fatalf("no handshake with a second ClientHello: %v", err)
		}
		if got := <-reached; got != "tunnel.test" {
			t.Errorf("the server was asked for %q", got)
		}
		fmt.Fprint(conn, "hello")
		if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
	})
	evil := func(p []byte) []byte { return bytes.ReplaceAll(p, []byte("tunnel.test"), []byte("evil11.test")) }
	for what, change := range map[string]func([]byte) []byte{
		"another name":                     evil,
		"another name behind early data":   func(p []byte) []byte { return append([]byte{23, 3, 3, 0, 1, 'x'}, evil(p)...) },
		"a message that is no ClientHello": func([]byte) []byte { return []byte{22, 3, 3, 0, 4, 16, 0, 0, 0} },
	} {
		t.Run("or the tunnel is closed: "+what, func(t *testing.T) {
			before := len(b.audit.Events())
			if _, err := shake(change); err == nil {
				t.Error("the handshake succeeded")
			}
			b.event(func(audit.Event) bool {
				for _, e := range b.audit.Events()[before:] {
					if e.Code == "authority_mismatch" && strings.Contains(e.Reason, "second ClientHello") {
						return true
					}
				}
				return false
			})
			select {
			case name := <-reached:
				t.Errorf("the server took the name %q", name)
			default:
			}
		})
	}
}

// second changes what a client writes after its first flight, where that names the host.
type second struct {
	net.Conn
	change func([]byte) []byte
	writes int
}

func (s *second) Write(p []byte) (int, error) {
	if s.writes++; s.writes > 1 && bytes.Contains(p, []byte("tunnel.test")) {
		_, err := s.Conn.Write(s.change(bytes.Clone(p)))
		return len(p), err
	}
	return s.Conn.Write(p)
}
