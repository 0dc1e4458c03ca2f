package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

func TestBodiesThatAreNotTakenStopNoOtherClient(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	var stuck atomic.Int32
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stuck" {
			stuck.Add(1)
			<-r.Context().Done() // nothing of the body is read
			stuck.Add(-1)
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err, r.Proto)
	})
	post := func(ctx context.Context, client *http.Client, path string, n int64) (string, error) {
		r := b.request("POST", "https://api.test"+path, "x")
		r.Body, r.ContentLength = io.NopCloser(io.LimitReader(zeroReader{}, n)), n
		resp, err := client.Do(r.WithContext(ctx))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	first := b.newClient(true)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	over := make(chan error)
	for range 4 { // more than the window of the upstream's connection
		go func() {
			_, err := post(ctx, first, "/stuck", 20<<20)
			over <- err
		}()
	}
	for end := time.Now().Add(30 * time.Second); stuck.Load() < 4 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	for _, h2 := range []bool{true, false} {
		client := b.newClient(h2)
		client.Timeout = 30 * time.Second
		for _, n := range []int64{10, 4 << 20} {
			got, err := post(t.Context(), client, "/", n)
			if err != nil || h2 && got != fmt.Sprint(n, nil, "HTTP/2.0") {
				t.Errorf("h2 %v, %d bytes: %q, %v", h2, n, got, err)
			}
		}
	}
	// What is under way ends with its client.
	stop()
	for range 4 {
		if err := <-over; err == nil {
			t.Error("a body that nobody took was answered")
		}
	}
	for end := time.Now().Add(30 * time.Second); stuck.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the upstream still has what its client has left")
		}
	}
}
