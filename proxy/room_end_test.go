package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestAHeadWhoseConnectionEndsIsGivenBack(t *testing.T) {
	t.Parallel()
	t.Run("a client's", func(t *testing.T) {
		t.Parallel()
		b := newBed(t)
		c, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "CONNECT api.test:443 HTTP/1.1\r\nX-A: "+strings.Repeat("a", 10<<10))
		eventuallyHeld(t, b, "while it comes", func(heads, _, _ int64) bool { return heads > 0 })
		_ = c.Close()
		eventuallyHeld(t, b, "once it has gone", nothingHeld)
	})
	t.Run("an upstream's", func(t *testing.T) {
		t.Parallel()
		b := newBed(t, rawUpstream("HTTP/1.1 200 OK\r\nX-A: "+strings.Repeat("a", 20<<10), closeNotify))
		if a := b.do(b.request("GET", "https://api.test/", "")); a.StatusCode != 502 {
			t.Errorf("%d", a.StatusCode)
		}
		eventuallyHeld(t, b, "once it has gone", nothingHeld)
	})
}

func TestWhatSwapsMakeOfABodyIsCounted(t *testing.T) {
	t.Parallel()
	b := newBed(t, keyPlaces("body:*"))
	long := strings.Repeat("0123456789abcdef", 256)
	b.values.Store("KEY", long)
	going := make(chan bool)
	goOn := sync.OnceFunc(func() { close(going) })
	t.Cleanup(goOn) // before the upstream is waited for
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		<-going
		fmt.Fprint(w, n)
	})
	masks := 500
	done := make(chan answer)
	go func() {
		done <- b.do(b.request("POST", "https://api.test/", strings.Repeat(b.mask("KEY")+" ", masks), "Content-Type: text/plain"))
	}()
	eventuallyHeld(t, b, "while the upstream thinks", func(_, bodies, _ int64) bool { return bodies > int64(masks*len(long)) })
	goOn()
	if a := <-done; a.body != fmt.Sprint(masks*(len(long)+1)) {
		t.Errorf("%d, %s", a.StatusCode, a.body)
	}
	eventuallyHeld(t, b, "in the end", nothingHeld)
}
