package proxy_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"kz/proxy"
	"kz/proxy/policy"
)

// held opens connections with the credential until there are as many as may be, and leaves them.
func held(t *testing.T, b *bed, n int) {
	t.Helper()
	for range n {
		conn, status := b.tryConnect("api.test:443", "Proxy-Authorization: Basic "+basic("kz", credential)+"\r\n")
		if status != 200 {
			t.Fatalf("opening a tunnel: %d", status)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}

func TestWhoHoldsAllConnectionsKeepsNoOtherOut(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) { o.MaxConns = 4 })
	held(t, b, 4)
	began := time.Now()
	if a := b.do(b.request("GET", "https://api.test/", "")); a.StatusCode != 200 {
		t.Errorf("a request of another: %d", a.StatusCode)
	}
	if took := time.Since(began); took > 8*time.Second { // after 10 s their handshakes end by themselves
		t.Errorf("a request of another waited %s", took)
	}
}

func TestAByteNowAndThenHoldsNoPlace(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(_ *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) { o.MaxConns = 2 })
	for range 2 {
		conn, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET http://tunnel.test/ HTTP/1.1\r\nHost: tunnel.test\r\nProxy-Authorization: Basic %s\r\n\r\n", basic("kz", credential))
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		go func() {
			for err := error(nil); err == nil; time.Sleep(400 * time.Millisecond) {
				_, err = fmt.Fprint(conn, "G")
			}
		}()
	}
	if a := b.do(b.request("GET", "https://api.test/", "")); a.StatusCode != 200 {
		t.Errorf("a request of another: %d", a.StatusCode)
	}
}
