package proxy_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kz/proxy/audit"
)

// framer begins an h2 connection to api.test by hand.
func (b *bed) framer() *http2.Framer {
	b.t.Helper()
	conn := tls.Client(b.connect("api.test:443"), &tls.Config{RootCAs: b.pool, ServerName: "api.test", NextProtos: []string{"h2"}})
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		b.t.Fatal(err)
	}
	fr := http2.NewFramer(conn, conn)
	if err := fr.WriteSettings(); err != nil {
		b.t.Fatal(err)
	}
	return fr
}

// TestAConnectionOfRequestsThatAreGivenUpTakesNoMore begins a request, and then resets thousands as soon as they are begun: the
// connection takes no more, the first request is answered, and the next connection serves the same client.
func TestAConnectionOfRequestsThatAreGivenUpTakesNoMore(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	answer := make(chan bool)
	b.handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/first":
			<-answer
		case "/given-up":
			<-r.Context().Done()
		}
	})
	fr := b.framer()
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	request := func(stream uint32, path string) {
		writeFields(fr, stream, true, ":method", "GET", ":scheme", "https", ":authority", "api.test", ":path", path)
	}
	// next is the next frame of one type.
	next := func(want http2.FrameType) http2.Frame {
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if f.Header().Type == want {
				return f
			}
		}
	}
	const most = 5000
	request(1, "/first")
	var stream uint32 = 3
	ended := false
	for ; stream < 2*most && !ended; stream += 2 {
		request(stream, "/given-up")
		_ = fr.WriteRSTStream(stream, http2.ErrCodeCancel)
		// Whether it has ended is told before the answer to a ping.
		_ = fr.WritePing(false, [8]byte{})
		for pong := false; !pong; {
			f, err := fr.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			pong = f.Header().Type == http2.FramePing
			if g, ok := f.(*http2.GoAwayFrame); ok {
				ended = true
				if g.ErrCode != http2.ErrCodeNo || g.LastStreamID < 1 {
					t.Errorf("the connection ends with %s after stream %d: what is under way ends too", g.ErrCode, g.LastStreamID)
				}
			}
		}
	}
	if !ended {
		t.Fatalf("after %d requests that were given up the connection takes more", most)
	}
	t.Logf("it took %d", stream/2)
	close(answer)
	if head := next(http2.FrameHeaders).(*http2.MetaHeadersFrame); head.StreamID != 1 || head.PseudoValue("status") != "200" {
		t.Errorf("stream %d is answered with %v", head.StreamID, head.Fields)
	}
	b.event(func(e audit.Event) bool { return e.Path == "/given-up" && e.Reason == "the client went away" })
	if got := b.do(b.request("GET", "https://api.test/next", "")); got.StatusCode != http.StatusOK {
		t.Errorf("the next connection: %s", got.Status)
	}
}

// TestRequestsThatAreGivenUpWhileHintsCome has the upstream send early hints all the time: what net/http still writes of one
// must not be touched (the race detector would see it), and the connection ends all the same.
func TestRequestsThatAreGivenUpWhileHintsCome(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a>; rel=preload")
		for range 15 {
			w.WriteHeader(http.StatusEarlyHints)
		}
		<-r.Context().Done()
	})
	fr := b.framer()
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for err := error(nil); err == nil; {
			var f http2.Frame
			if f, err = fr.ReadFrame(); err == nil && f.Header().Type == http2.FrameGoAway {
				return
			}
		}
	}()
	for stream := uint32(1); ; stream += 2 {
		writeFields(fr, stream, true, ":method", "GET", ":scheme", "https", ":authority", "api.test", ":path", "/")
		time.Sleep(2 * time.Millisecond) // some hints come
		err := fr.WriteRSTStream(stream, http2.ErrCodeCancel)
		select {
		case <-ended:
			return
		default:
		}
		if err != nil || stream > 10000 {
			t.Fatalf("after %d requests: %v", stream/2, err)
		}
	}
}
