package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kz/test/bed"
)

// pinned has api.test be another listener of the origin.
func pinned(listener string) func(*testing.T, *bed.Bed, map[string]string) {
	return func(_ *testing.T, b *bed.Bed, pins map[string]string) { pins["api.test:443"] = b.Origin.Addr(listener) }
}

// otherHost says text inside a tunnel to api.test, or over h2 asks it for evil.test.
func otherHost(h2 bool, text string) func(*testing.T, *entry) string {
	return func(t *testing.T, e *entry) string {
		e.b.Origin.Reset()
		if h2 {
			r := e.request(t, "GET", "https://api.test/a", nil)
			r.Host = "evil.test"
			if resp, err := e.client(t, true).Do(r); err == nil {
				_ = resp.Body.Close()
			}
		} else {
			// Refusing and closing are both right.
			text := strings.Replace(text, "\r\n\r\n", "\r\nAuthorization: Bearer "+e.bearer+"\r\n\r\n", 1)
			_, _, _ = exchange(e.inside(t, "api.test", 10*time.Second), "GET", text)
		}
		for _, r := range e.b.Origin.Requests() {
			if r.SNI == "evil.test" || r.Host == "evil.test" {
				return "evil.test got it, with " + strings.ReplaceAll(r.Header.Get("Authorization"), e.bearer, "the token")
			}
		}
		return ""
	}
}

// decoys are the listeners that the environment calls a proxy, by bed.
var decoys sync.Map // *bed.Bed → *atomic.Int64: connections

func decoy(t *testing.T, b *bed.Bed, _ map[string]string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	decoys.Store(b, &n)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			_ = conn.Close()
		}
	}()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		b.Env = append(b.Env, name+"=http://"+l.Addr().String())
	}
}

func decoyed(t *testing.T, e *entry) string {
	at, _ := decoys.Load(e.b)
	n := at.(*atomic.Int64)
	n.Store(0)
	_, _, err := e.get(t, e.client(t, false), "https://api.test/ok")
	switch {
	case n.Load() > 0:
		return "the request went to the proxy of the environment"
	case err != nil:
		return err.Error()
	}
	return ""
}

func unverified(t *testing.T, e *entry) string {
	e.b.Origin.Reset()
	resp, _, err := e.get(t, e.client(t, false), "https://api.test/ok")
	if n := len(e.b.Origin.Requests()); n > 0 {
		return fmt.Sprintf("the upstream got %d requests", n)
	}
	if err == nil && resp.StatusCode < 400 {
		return "the answer is " + resp.Status
	}
	return ""
}

func innerCredential(t *testing.T, e *entry) string {
	resp, _, err := e.get(t, e.client(t, false), "https://api.test/ok")
	if err != nil {
		return err.Error()
	}
	if resp.StatusCode != http.StatusOK {
		return "a request inside the tunnel is answered " + resp.Status
	}
	return ""
}

func idleConnections(t *testing.T, e *entry) string {
	const clients, rounds = 16, 20
	before := e.b.Origin.Stats().Connections
	client := e.client(t, false)
	began := time.Now()
	var failed atomic.Int64
	for range rounds {
		// All at once, so that all connections are idle together before the next round.
		var wg sync.WaitGroup
		for range clients {
			r := e.request(t, "GET", "https://api.test/slow?ms=20", nil)
			wg.Go(func() {
				resp, err := client.Do(r)
				if err != nil {
					failed.Add(1)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			})
		}
		wg.Wait()
	}
	if n := failed.Load(); n > 0 {
		t.Fatalf("%d requests failed", n)
	}
	n := e.b.Origin.Stats().Connections - before
	t.Logf("%s: %d connections for %d requests of %d clients, %v", e.url.Host, n, clients*rounds, clients, time.Since(began).Round(time.Millisecond))
	if n > 2*clients {
		return fmt.Sprintf("%d connections for %d requests of %d clients", n, clients*rounds, clients)
	}
	return ""
}

func faultInOne(t *testing.T, e *entry) string {
	// What goes wrong inside kz here is that an answer which has begun cannot be ended: it panics, to abort it.
	if _, _, err := e.get(t, e.client(t, false), "https://api.test/cut?n=1000000&at=70000"); err == nil {
		t.Fatal("there was no fault")
	}
	for range 30 { // a process takes a moment to end
		if resp, _, err := e.get(t, e.client(t, false), "https://api.test/ok"); err != nil {
			return "the next request: " + err.Error()
		} else if resp.StatusCode != 200 {
			return "the next request: " + resp.Status
		}
	}
	return ""
}

func memoryOfUpload(t *testing.T, e *entry) string {
	const size, most = 64 << 20, 48 << 20
	before := peak(t, e.pid)
	r := e.request(t, "POST", "https://api.test/sink", bytes.NewReader(make([]byte, size)))
	resp, err := e.client(t, false).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	grown := peak(t, e.pid) - before
	t.Logf("%s: %d MiB more after an upload of %d MiB", e.url.Host, grown>>20, size>>20)
	if grown > most {
		return fmt.Sprintf("%d MiB more in memory after an upload of %d MiB", grown>>20, size>>20)
	}
	return ""
}
