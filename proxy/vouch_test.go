package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kz/proxy"
	"kz/proxy/policy"
)

// vouching has the proxy ask for a word, and counts how often.
func vouching(asked *atomic.Int32, word func(net.Conn) bool) bedOption {
	return func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		o.Vouched = func(c net.Conn) bool { asked.Add(1); return word(c) }
	}
}

func always(word bool) func(net.Conn) bool { return func(net.Conn) bool { return word } }

func (b *bed) dialProxy() net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

const (
	plainTunnel  = "CONNECT tunnel.test:443 HTTP/1.1\r\nHost: tunnel.test:443\r\n\r\n"
	plainRequest = "GET http://tunnel.test/ HTTP/1.1\r\nHost: tunnel.test\r\n\r\n"
)

func TestWhoIsVouchedForNeedsNoCredential(t *testing.T) {
	t.Parallel()
	t.Run("a tunnel is made", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int32
		var who atomic.Value
		b := newBed(t, vouching(&asked, func(c net.Conn) bool { who.Store(c.RemoteAddr().String()); return true }))
		conn, status := b.tryConnect("tunnel.test:443", "")
		if status != 200 || asked.Load() != 1 || who.Load() != conn.LocalAddr().String() {
			t.Errorf("got %d, asked %d times, for %v", status, asked.Load(), who.Load())
		}
	})
	t.Run("a connection is asked about once, whatever the answer", func(t *testing.T) {
		t.Parallel()
		for _, word := range []bool{true, false} {
			var asked atomic.Int32
			b := newBed(t, vouching(&asked, always(word)))
			conn := b.dialProxy()
			for range 3 {
				if a := b.speak(conn, plainRequest); (a.StatusCode == 407) == word {
					t.Errorf("vouched %v: got %d", word, a.StatusCode)
				}
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("vouched %v: asked %d times", word, n)
			}
		}
	})
	t.Run("one word is not for the next connection", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int32
		b := newBed(t, vouching(&asked, func(net.Conn) bool { return asked.Load() == 1 }))
		if a := b.speak(b.dialProxy(), plainRequest); a.StatusCode == 407 {
			t.Error("the first was refused")
		}
		if a := b.speak(b.dialProxy(), plainRequest); a.StatusCode != 407 {
			t.Errorf("the second got %d", a.StatusCode)
		}
	})
	t.Run("who shows the credential is not asked about", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int32
		b := newBed(t, vouching(&asked, always(false)))
		b.connect("tunnel.test:443")
		// As git does, after a refusal on the same connection.
		conn := b.dialProxy()
		if a := b.speak(conn, plainTunnel); a.StatusCode != 407 {
			t.Error(a.Status)
		}
		fmt.Fprintf(conn, "%sProxy-Authorization: Basic %s\r\n\r\n", strings.TrimSuffix(plainTunnel, "\r\n"), basic("kz", credential))
		if resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect}); err != nil || resp.StatusCode != 200 {
			t.Error(resp, err)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestNobodyVouchesForACredentialThatIsWrong(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	b := newBed(t, vouching(&asked, always(true)))
	for name, header := range map[string]string{
		"wrong":          "Proxy-Authorization: Basic " + basic("kz", strings.Repeat("0", 64)) + "\r\n",
		"empty":          "Proxy-Authorization:\r\n",
		"a space":        "Proxy-Authorization: \r\n",
		"no password":    "Proxy-Authorization: Basic " + basic("kz", "") + "\r\n",
		"another scheme": "Proxy-Authorization: Negotiate x\r\n",
		"small letters":  "proxy-authorization: x\r\n",
		"two":            "Proxy-Authorization: Basic " + basic("kz", credential) + "\r\nProxy-Authorization: Basic x\r\n",
	} {
		for _, request := range []string{plainTunnel, plainRequest} {
			conn := b.dialProxy()
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second)) // a tunnel would stay open
			a := b.speak(conn, strings.TrimSuffix(request, "\r\n")+header+"\r\n")
			b.refused(a, 407, "proxy_credential")
			if a.StatusCode != 407 {
				t.Errorf("%s: %s", name, request)
			}
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
	b.nothingSent()
}

// TestWhatIsNoProxyRequestIsNotVouchedFor: a page in a browser can have a request sent to the proxy as to any server, and so have
// it looked for who sent it.
func TestWhatIsNoProxyRequestIsNotVouchedFor(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	b := newBed(t, vouching(&asked, always(true)))
	for _, raw := range []string{"GET / HTTP/1.1\r\nHost: tunnel.test\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: tunnel.test\r\n\r\n", "POST /http://tunnel.test/ HTTP/1.1\r\nHost: tunnel.test\r\nContent-Length: 0\r\n\r\n"} {
		b.refused(b.speak(b.dialProxy(), raw), 407, "proxy_credential")
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// TestNothingIsDialledBeforeTheClientIsKnown has the question take its time.
func TestNothingIsDialledBeforeTheClientIsKnown(t *testing.T) {
	t.Parallel()
	dialled, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	var accepted, asked atomic.Int32
	go func() {
		for {
			c, err := dialled.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			_ = c.Close()
		}
	}()
	here, answer := make(chan bool), make(chan bool)
	b := newBed(t, vouching(&asked, func(net.Conn) bool { here <- true; return <-answer }),
		func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
			b.pinTo(o, "slow.test:443", dialled.Addr().String())
			b.pinTo(o, "slow.test:80", dialled.Addr().String())
		})
	for _, raw := range []string{"CONNECT slow.test:443 HTTP/1.1\r\nHost: slow.test:443\r\n\r\n", "GET http://slow.test/ HTTP/1.1\r\nHost: slow.test\r\n\r\n"} {
		conn := b.dialProxy()
		fmt.Fprint(conn, raw)
		<-here
		// Others are served meanwhile.
		b.connect("tunnel.test:443")
		answer <- false
		if a := b.speak(conn, ""); a.StatusCode != 407 {
			t.Error(a.Status)
		}
	}
	if n := accepted.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// TestWhoIsNotVouchedForIsShownTheDoor after the ten seconds that a stranger has, unlike who is.
func TestWhoIsNotVouchedForIsShownTheDoor(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	b := newBed(t, vouching(&asked, func(net.Conn) bool { return asked.Load() == 1 }))
	friend, stranger := b.dialProxy(), b.dialProxy()
	if a := b.speak(friend, plainRequest); a.StatusCode == 407 {
		t.Fatal(a.Status)
	}
	if a := b.speak(stranger, plainRequest); a.StatusCode != http.StatusProxyAuthRequired {
		t.Fatal(a.Status)
	}
	_ = stranger.SetReadDeadline(time.Now().Add(25 * time.Second))
	if n, err := io.Copy(io.Discard, stranger); n != 0 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if a := b.speak(friend, plainRequest); a.StatusCode == 407 {
		t.Error(a.Status)
	}
}
