package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// eventuallyHeld waits until what b's proxy holds is as ok says.
func eventuallyHeld(t *testing.T, b *bed, what string, ok func(heads, bodies, coders int64) bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		heads, bodies, coders := b.proxy.Held()
		if ok(heads, bodies, coders) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %d, %d and %d bytes are held", what, heads, bodies, coders)
		}
	}
}

func nothingHeld(heads, bodies, coders int64) bool { return heads+bodies+coders == 0 }

func TestWhatIsHeldIsCountedAndGivenBack(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	going := make(chan bool)
	goOn := sync.OnceFunc(func() { close(going) })
	t.Cleanup(goOn) // before the upstream is waited for
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-going
		fmt.Fprint(w, strings.Repeat("a", 600<<10))
	})
	done := make(chan answer)
	go func() {
		done <- b.do(b.request("POST", "https://api.test/", `{"token":"`+b.mask("KEY")+`","x":"`+strings.Repeat("a", 500<<10)+`"}`, "Content-Type: application/json", "X-A: "+strings.Repeat("a", 20<<10)))
	}()
	eventuallyHeld(t, b, "while the upstream thinks", func(_, bodies, _ int64) bool { return bodies > 500<<10 })
	goOn()
	if a := <-done; a.StatusCode != 200 || len(a.body) != 600<<10 {
		t.Errorf("%d, %d bytes", a.StatusCode, len(a.body))
	}
	eventuallyHeld(t, b, "in the end", nothingHeld)
}

func TestACodedBodyIsCountedAndGivenBack(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	going := make(chan bool)
	goOn := sync.OnceFunc(func() { close(going) })
	t.Cleanup(goOn) // before the upstream is waited for
	body := zeros(t, 4<<20, 1<<20)
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "zstd")
		_, _ = io.WriteString(w, body[:len(body)-4])
		_ = http.NewResponseController(w).Flush()
		<-going
		_, _ = io.WriteString(w, body[len(body)-4:])
	})
	done := make(chan answer)
	go func() { done <- b.do(b.request("GET", "https://api.test/", "")) }()
	eventuallyHeld(t, b, "while it is decoded", func(_, _, coders int64) bool { return coders >= 1<<20 })
	goOn()
	if a := <-done; len(a.body) != 4<<20 {
		t.Errorf("%d bytes", len(a.body))
	}
	eventuallyHeld(t, b, "in the end", nothingHeld)
}

func TestAnUpstreamsHeadIsCountedUntilItHasCome(t *testing.T) {
	t.Parallel()
	b := newBed(t, rawUpstream("HTTP/1.1 200 OK\r\nX-A: "+strings.Repeat("a", 20<<10)+"\r\nContent-Length: 0\r\n\r\n", closeNotify))
	if a := b.do(b.request("GET", "https://api.test/", "")); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
	eventuallyHeld(t, b, "in the end", nothingHeld)
}
