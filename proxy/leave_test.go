package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"kz/proxy"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// stalling is an upstream that sends the first bytes of its answers and then nothing.
type stalling struct {
	answers map[string]cutAnswer
	silent  sync.Map  // the path of a request -> chan bool, closed when its answer has stalled
	over    chan bool // one for each connection that has ended
}

func (s *stalling) stalled(path string) chan bool {
	c, _ := s.silent.LoadOrStore(path, make(chan bool))
	return c.(chan bool)
}

func (s *stalling) serve(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
	b.serveTLS(o, []string{"http/1.1"}, func(conn *tls.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		_, _ = io.WriteString(conn, s.answers[r.URL.Query().Get("a")].raw[:n])
		close(s.stalled(r.RequestURI))
		_, _ = io.Copy(io.Discard, conn)
		s.over <- true
	})
}

// TestAStalledAnswerEndsWithItsClient has the upstream fall silent within its answer. The client that loses patience is rid
// of it at once, and so is the upstream.
func TestAStalledAnswerEndsWithItsClient(t *testing.T) {
	t.Parallel()
	s := &stalling{answers: cutAnswers(t), over: make(chan bool, 1000)}
	b := newBed(t, s.serve)
	for _, h2 := range []bool{false, true} {
		client := b.newClient(h2)
		var group errgroup.Group
		tries := 0
		for name, a := range s.answers {
			for n := tries % 5; n < len(a.raw); n += 23 {
				tries++
				path := fmt.Sprintf("/?n=%d&h2=%v&a=%s", n, h2, strings.ReplaceAll(name, " ", "+"))
				group.Go(func() error { return b.losePatience(client, path, s.stalled(path)) })
			}
		}
		if err := group.Wait(); err != nil {
			t.Errorf("h2 %v: %v", h2, err)
		}
		for i := range tries {
			select {
			case <-s.over:
			case <-time.After(30 * time.Second):
				t.Fatalf("h2 %v: %d of %d connections to the upstream were left", h2, tries-i, tries)
			}
		}
	}
}

// losePatience asks for path and leaves once the answer has stalled.
func (b *bed) losePatience(client *http.Client, path string, stalled <-chan bool) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := b.transfer(client, b.request("GET", "https://api.test"+path, "").WithContext(ctx))
		ended <- err
	}()
	select {
	case <-stalled:
	case err := <-ended:
		return fmt.Errorf("%s ended of itself: %w", path, err)
	}
	select {
	case err := <-ended:
		return fmt.Errorf("%s ended though more had to come: %w", path, err)
	case <-time.After(10 * time.Millisecond):
	}
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			return fmt.Errorf("%s is a success", path)
		}
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("%s: the client could not leave", path)
	}
}

// TestABodyThatDoesNotComeIsNotWaitedForForEver has clients begin a body that must be read whole, and never end it.
func TestABodyThatDoesNotComeIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.proxy.HoldFor(100 * time.Millisecond)
	t.Run("h1", func(t *testing.T) {
		t.Parallel()
		conn := b.raw("api.test:443", "api.test")
		e := b.refused(b.speak(conn, "POST / HTTP/1.1\r\nHost: api.test\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"), 400, "request_invalid")
		if !strings.Contains(e.Message, "did not come within 100ms") {
			t.Error(e.Message)
		}
	})
	t.Run("h2", func(t *testing.T) {
		t.Parallel()
		r := b.upload("/", "application/json", 10)
		defer r.Body.Close()
		resp, err := b.newClient(true).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 400 || resp.ProtoMajor != 2 {
			t.Error(resp.Proto, resp.Status)
		}
	})
	t.Run("one that comes is not touched by that", func(t *testing.T) {
		t.Parallel()
		for _, h2 := range []bool{false, true} {
			client := b.newClient(h2)
			for range 3 {
				got, err := b.transfer(client, b.request("POST", "https://api.test/", `{"a":"b"}`, "Content-Type: application/json"))
				if err != nil || !strings.HasSuffix(got, `{"a":"b"}`) {
					t.Errorf("h2 %v: %q, %v", h2, got, err)
				}
				time.Sleep(150 * time.Millisecond) // the limit is of this body, not of the connection
			}
		}
	})
}

// TestAClientThatLeavesItsUploadIsRecorded has an upstream that takes nothing.
func TestAClientThatLeavesItsUploadIsRecorded(t *testing.T) {
	t.Parallel()
	reached := make(chan bool, 1)
	b := leftBed(t, reached)
	b.proxy.LookFor(20 * time.Millisecond)
	b.abandon(b.upload("/wait", "text/plain", 8<<20), false, func() { <-reached }, func() {})
	if e := b.event(func(e audit.Event) bool { return e.Path == "/wait" }); e.Reason != "the client went away" {
		t.Errorf("%+v", e)
	}
}
