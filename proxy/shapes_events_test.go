package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

func TestEventsInEveryCodingArriveOneByOne(t *testing.T) {
	t.Parallel()
	for coding, encoder := range map[string]func(io.Writer) io.Writer{
		"gzip":    func(w io.Writer) io.Writer { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.Writer { return zlib.NewWriter(w) },
		"br":      func(w io.Writer) io.Writer { return brotli.NewWriter(w) },
		"zstd": func(w io.Writer) io.Writer {
			z, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
			return z
		},
	} {
		t.Run(coding, func(t *testing.T) {
			t.Parallel()
			next := make(chan string)
			b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Content-Encoding", coding)
				w.(http.Flusher).Flush()
				e := encoder(w)
				for event := range next {
					_, _ = io.WriteString(e, event)
					_ = e.(interface{ Flush() error }).Flush()
					w.(http.Flusher).Flush()
				}
				_ = e.(io.Closer).Close()
			}))
			resp, err := b.client.Do(b.request("GET", "https://api.test/", ""))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			events := bufio.NewReader(resp.Body)
			for i := range 200 {
				text := fmt.Sprintf("data: {\"n\":%d,\"t\":\"%x\"}", i, i*i*7919)
				want := text
				if i%20 == 7 {
					text, want = text+keyValue, text+b.mask("KEY")
				}
				next <- text + "\n\n"
				// An event that waits for what comes after it never comes.
				if got, err := events.ReadString('\n'); err != nil || got != want+"\n" {
					t.Fatalf("%q, %v, want %q", got, err, want)
				}
				_, _ = events.ReadString('\n')
			}
			close(next)
			if rest, err := io.ReadAll(events); len(rest) > 0 || err != nil {
				t.Errorf("at the end %q, %v", rest, err)
			}
		})
	}
}
