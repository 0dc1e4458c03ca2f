package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kz/proxy"
	"kz/proxy/policy"
)

// TestAPauseTellsNothingOfAValue has an upstream that works with the program send guesses, each followed by a pause: what has
// come by then is the same for a right and a wrong one.
func TestAPauseTellsNothingOfAValue(t *testing.T) {
	t.Parallel()
	guess := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first\n"+r.URL.Query().Get("guess"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	plain := httptest.NewServer(guess)
	t.Cleanup(plain.Close)
	b := newBed(t, answering(guess), func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) { b.pin(o, "api.test:80", plain) })
	before := func(target string) int {
		resp, err := b.client.Get(target)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		come := make(chan int, 1)
		go func() {
			n := 0
			for p := make([]byte, 100); ; {
				m, err := resp.Body.Read(p)
				if n += m; err != nil {
					come <- n
					return
				}
			}
		}()
		time.AfterFunc(300*time.Millisecond, func() { _ = resp.Body.Close() })
		return <-come
	}
	for _, base := range []string{"https://api.test/?guess=", "http://api.test/?guess="} {
		if right, wrong := before(base+keyValue[:9]), before(base+keyValue[:8]+"x"); right != wrong || right != len("first\n") {
			t.Errorf("%s: %d bytes of a right guess, %d of a wrong one", base, right, wrong)
		}
	}
}
