package proxy_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kz/proxy"
	"kz/proxy/policy"
	"kz/resolver"
)

// slowUpstream counts the connections to a server of dial.test whose handshakes take a while: all of them, how many handshakes
// were under way at the same time, and how many had begun when the first one had not gone on yet. Its answers wait until as
// many requests as were announced are there.
type slowUpstream struct {
	near               bool // its handshakes take no time
	conns, most, first atomic.Int32
	requests           sync.WaitGroup
}

func (s *slowUpstream) start(b *bed, o *proxy.Options, secrets *[]policy.Secret, h2 bool, requests int) {
	s.requests.Add(requests)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		s.requests.Done()
		s.requests.Wait()
	}))
	srv.EnableHTTP2 = h2
	var handshakes, begun atomic.Int32
	// A resumed session asks for no certificate, and would not be counted.
	srv.TLS = &tls.Config{SessionTicketsDisabled: true, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		now := handshakes.Add(1)
		defer handshakes.Add(-1)
		for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
		}
		begun.Add(1)
		if !s.near {
			time.Sleep(200 * time.Millisecond) // the way there and back
		}
		s.first.CompareAndSwap(0, begun.Load())
		return b.minter.Leaf("dial.test")
	}}
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	srv.StartTLS()
	b.t.Cleanup(srv.Close)
	b.pin(o, "dial.test:443", srv)
	*secrets = append(*secrets, policy.Secret{Name: "DIAL", Hosts: hosts(b.t, "dial.test"), Places: policy.DefaultPlaces()})
}

// together makes n requests at the same moment on one connection of h2 and returns what they were answered.
func together(b *bed, n int, header ...string) (statuses map[int]int, took time.Duration) {
	client := b.newClient(true)
	statuses = map[int]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for i := range n {
		all.Go(func() {
			status := 0
			if resp, err := client.Do(b.request("GET", fmt.Sprintf("https://dial.test/%d", i), "", header...)); err == nil {
				status = resp.StatusCode
				_ = resp.Body.Close()
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	all.Wait()
	return statuses, time.Since(began)
}

func TestRequestsAtTheSameMomentShareOneConnectionOfHTTP2(t *testing.T) {
	t.Parallel()
	var s slowUpstream
	b := newBed(t, func(b *bed, o *proxy.Options, secrets *[]policy.Secret, _ *policy.Egress) {
		s.start(b, o, secrets, true, 80)
	})
	if statuses, _ := together(b, 80); statuses[http.StatusOK] != 80 {
		t.Errorf("the answers are %v", statuses)
	}
	if n := s.first.Load(); n != 1 {
		t.Errorf("%d handshakes at the same time, before it was known what the host speaks", n)
	}
	// One for each of the four pools that requests have as they become more, and once more where it reaches those who wait late.
	if n := s.conns.Load(); n > 8 {
		t.Errorf("%d connections were made for 80 requests of HTTP/2", n)
	}
}

func TestRequestsToAHostOfHTTP1DoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	var s slowUpstream
	b := newBed(t, func(b *bed, o *proxy.Options, secrets *[]policy.Secret, _ *policy.Egress) {
		s.start(b, o, secrets, false, 40)
	})
	statuses, _ := together(b, 40)
	if statuses[http.StatusOK] != 40 || s.conns.Load() < 40 {
		t.Errorf("the answers are %v, by %d connections", statuses, s.conns.Load())
	}
	// One handshake to learn what it speaks, the others beside each other. Each takes 200 ms: in a row no two would be under way.
	if n := s.most.Load(); n < 5 {
		t.Errorf("only %d handshakes were under way at the same time", n)
	}
}

func TestWhoWaitsForADialLearnsThatItFailed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var conns atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			time.AfterFunc(300*time.Millisecond, func() { _ = c.Close() })
		}
	}()
	b := newBed(t, func(b *bed, o *proxy.Options, secrets *[]policy.Secret, _ *policy.Egress) {
		b.pinTo(o, "dial.test:443", l.Addr().String())
		*secrets = append(*secrets, policy.Secret{Name: "DIAL", Hosts: hosts(t, "dial.test"), Places: policy.DefaultPlaces()})
	})
	statuses, took := together(b, 40)
	if statuses[http.StatusBadGateway] != 40 {
		t.Errorf("the answers are %v", statuses)
	}
	if took > 10*time.Second || conns.Load() > 20 { // one after the other they would take 12 s
		t.Errorf("40 requests took %s and %d connections", took, conns.Load())
	}
}

// TestADialGoesOnForWhoNeedsItStill: the first connection of a crowd is lost, and nobody is left without one.
func TestADialGoesOnForWhoNeedsItStill(t *testing.T) {
	t.Parallel()
	var s slowUpstream
	b := newBed(t, func(b *bed, o *proxy.Options, secrets *[]policy.Secret, _ *policy.Egress) {
		s.start(b, o, secrets, true, 600)
	})
	// More than one connection may carry: each of the others dials again, once it has found no room.
	if statuses, took := together(b, 600); statuses[http.StatusOK] != 600 || took > 15*time.Second {
		t.Errorf("the answers are %v, after %s", statuses, took)
	}
	if n := s.conns.Load(); n > 40 {
		t.Errorf("%d connections were made", n)
	}
}

// TestAConnectionsRequestsBeginInTurns has 60 requests at once, each of which needs a value, and counts how many ask for it at a
// time. The upstream's handshake takes no time of its own: a second after it came, no request waits for its turn any longer.
func TestAConnectionsRequestsBeginInTurns(t *testing.T) {
	t.Parallel()
	s := slowUpstream{near: true}
	var now, most atomic.Int32
	b := newBed(t, func(b *bed, o *proxy.Options, secrets *[]policy.Secret, _ *policy.Egress) {
		s.start(b, o, secrets, true, 60)
		o.Values = func(context.Context, string) (resolver.Secret, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
			}
			time.Sleep(5 * time.Millisecond)
			return resolver.NewSecret(keyValue), nil
		}
	})
	if statuses, _ := together(b, 60, "Authorization: Bearer "+b.mask("DIAL")); statuses[http.StatusOK] != 60 {
		t.Errorf("the answers are %v", statuses)
	}
	if n := most.Load(); n > 8 || n < 2 {
		t.Errorf("%d requests of one connection began at the same time", n)
	}
}
