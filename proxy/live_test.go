package proxy_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kz/proxy"
	"kz/proxy/policy"
)

func TestConcurrentRequestsNeverCross(t *testing.T) {
	t.Parallel()
	const secrets, clients, rounds = 50, 40, 25
	b := newBed(t, func(b *bed, _ *proxy.Options, s *[]policy.Secret, _ *policy.Egress) {
		for i := range secrets {
			name := fmt.Sprintf("S%d", i)
			b.values.Store(name, fmt.Sprintf("value-%d-%016x", i, i*i+7))
			*s = append(*s, policy.Secret{Name: name, Hosts: hosts(t, "api.test"), Places: policy.DefaultPlaces()})
		}
		b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s|%s", r.Header.Get("Authorization"), body)
		})
	})
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			client := b.newClient(c%2 == 0)
			for i := range rounds {
				n := rand.IntN(secrets)
				m := b.mask(fmt.Sprintf("S%d", n))
				mark := fmt.Sprintf("%d-%d", c, i)
				resp, err := client.Do(b.request("POST", "https://api.test/", `{"mark":"`+mark+`","token":"`+m+`"}`, "Authorization: Bearer "+m, "Content-Type: application/json"))
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if want := "Bearer " + m + `|{"mark":"` + mark + `","token":"` + m + `"}`; err != nil || string(body) != want {
					t.Errorf("got %s, %v, want %s", body, err, want)
				}
			}
		})
	}
	wg.Wait()
	for _, e := range b.audit.Events() {
		if len(e.Swapped) != 2 || e.Swapped[0].Secret != e.Swapped[1].Secret {
			t.Fatalf("%+v", e)
		}
	}
}

// digest reads r and returns its length and hash.
func digest(r io.Reader) (int64, string, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return n, fmt.Sprintf("%x", h.Sum(nil)), err
}

// noise is n bytes that do not repeat.
func noise(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1, 2, 3}), n)
}

func TestBulkIsExactAndHeldNowhere(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	_, want, _ := digest(noise(size))
	var got atomic.Value
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		n, sum, err := digest(r.Body)
		got.Store(fmt.Sprint(n, sum, err))
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		_, _ = io.Copy(w, noise(size))
	}))
	for _, h2 := range []bool{false, true} {
		for _, path := range []string{"/length", "/chunked"} {
			r, _ := http.NewRequest("POST", "https://api.test"+path, noise(size))
			if path == "/length" {
				r.ContentLength = size
			}
			resp, err := b.newClient(h2).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			n, sum, err := digest(resp.Body)
			_ = resp.Body.Close()
			if n != size || sum != want || err != nil {
				t.Errorf("h2 %v %s: the download is %d bytes, %v", h2, path, n, err)
			}
			if g := got.Load(); g != fmt.Sprint(size, want, nil) {
				t.Errorf("h2 %v %s: the upload was %v", h2, path, g)
			}
			if path == "/length" && resp.ContentLength != size {
				t.Errorf("h2 %v: length %d", h2, resp.ContentLength)
			}
		}
	}
}

func TestOtherUpgradesAreNotMade(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	conn := b.raw("api.test:443", "api.test")
	a := b.speak(conn, "GET / HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n")
	got := b.upstreamGot().r.Header
	if a.StatusCode != 200 || got.Get("Upgrade") != "" || got.Get("Http2-Settings") != "" || got.Get("Connection") != "" {
		t.Errorf("%d %v", a.StatusCode, got)
	}
	b2 := newBed(t, rawUpstream("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", closeNotify))
	b2.refused(b2.do(b2.request("GET", "https://api.test/", "")), 502, "response_unscannable")
}

func TestNothingIsLeftWhenConnectionsEnd(t *testing.T) {
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = io.Copy(w, r.Body)
	}))
	client := b.newClient(true)
	_, _ = client.Do(b.request("GET", "https://api.test/", ""))
	client.CloseIdleConnections()
	before := settled()
	for i := range 20 {
		for _, h2 := range []bool{false, true} {
			client := b.newClient(h2)
			ctx, cancel := context.WithCancel(context.Background())
			resp, err := client.Do(b.request("GET", "https://api.test/hang", "").WithContext(ctx))
			if err != nil {
				t.Fatal(i, err)
			}
			cancel()
			if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			client.CloseIdleConnections()
		}
		_ = b.connect("tunnel.test:443").Close()
		_ = b.connect("api.test:443").Close()
	}
	var after int
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if after = settled(); after <= before+20 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines before, %d after\n%s", before, after, buf[:runtime.Stack(buf, true)])
}

func settled() int {
	n := runtime.NumGoroutine()
	for range 20 {
		time.Sleep(5 * time.Millisecond)
		if m := runtime.NumGoroutine(); m == n {
			return n
		} else {
			n = m
		}
	}
	return n
}

func TestShutdownLetsWhatIsInFlightEnd(t *testing.T) {
	t.Parallel()
	release := make(chan bool)
	b := newBed(t, answering(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-release
		fmt.Fprint(w, "done")
	}))
	resp, err := b.client.Do(b.request("GET", "https://api.test/", ""))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		ended <- b.proxy.Shutdown(ctx)
	}()
	time.Sleep(50 * time.Millisecond)
	close(release)
	if body, err := io.ReadAll(resp.Body); string(body) != "done" || err != nil {
		t.Errorf("%q %v", body, err)
	}
	_ = resp.Body.Close()
	b.client.CloseIdleConnections()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := b.newClient(false).Do(b.request("GET", "https://api.test/", "")); err == nil {
		t.Error("still serving")
	}
}
