package proxy_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"kz/masking"
	"kz/proxy/audit"
)

// stored is what api.test answers to the gRPC requests of a client that has put it there: prefix, a value that it does
// not know, and suffix.
func stored(t *testing.T, h2 bool, header, body string) (got string, err error) {
	t.Helper()
	b := newBed(t, answering(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		name, v, _ := strings.Cut(header, ": ")
		w.Header().Set(name, v)
		if h2 {
			w.(http.Flusher).Flush() // so that no length is announced
		}
		_, _ = io.WriteString(w, body)
	}))
	resp, err := b.newClient(h2).Do(b.request("POST", "https://api.test/", "x", "Content-Type: application/grpc"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	b.event(func(e audit.Event) bool { return e.Status == 200 })
	return string(p), err
}

// overlap is the length of the longest beginning of the value that stands in s.
func overlap(s string) int {
	for n := len(keyValue); n > 0; n-- {
		if strings.Contains(s, keyValue[:n]) {
			return n
		}
	}
	return 0
}

func TestNoBorderOfMessagesCutsAValue(t *testing.T) {
	t.Parallel()
	pad := strings.Repeat("\x00", 70_000)
	for n := 1; n < len(keyValue); n++ {
		t.Run(fmt.Sprintf("a message that ends %d bytes into it shows less than can be told from other text", n), func(t *testing.T) {
			t.Parallel()
			for _, before := range []string{"", "text before ", strings.Repeat("x", 1<<16)} {
				head := envelope(0, before+keyValue[:n])
				got, err := stored(t, true, "X: y", head+keyValue[n:]+pad)
				if err == nil || overlap(got) >= masking.MinScrub {
					t.Errorf("%v, and %d bytes of it came", err, overlap(got))
				}
			}
		})
	}
	for n := 1; n < 5; n++ {
		t.Run(fmt.Sprintf("a head of which it is the last %d bytes is none", n), func(t *testing.T) {
			t.Parallel()
			stuffed := "\x00\x00\x00\x00\x00"[n:] + keyValue
			whole := keyValue[n:] + pad // as long as that head says, where that is not too much
			if length := int(binary.BigEndian.Uint32([]byte(stuffed)[1:])); length <= len(whole) {
				stuffed += whole[len(keyValue)-n : length]
			} else {
				stuffed += pad
			}
			got, err := stored(t, true, "X: y", envelope(0, "m")+stuffed)
			if err == nil || strings.Contains(got, keyValue[n:]) || overlap(got) >= masking.MinScrub {
				t.Errorf("%v, and %d bytes came", err, len(got))
			}
		})
	}
	t.Run("a value that is cut by the end of the answer is not let go", func(t *testing.T) {
		t.Parallel()
		got, err := stored(t, false, "X: y", envelope(0, keyValue+"x")[:5+len(keyValue)-1])
		if err == nil || overlap(got) >= masking.MinScrub {
			t.Errorf("%v, and %d bytes of it came", err, overlap(got))
		}
	})
	t.Run("the end of a coding cuts none either", func(t *testing.T) {
		t.Parallel()
		n := len(keyValue) - 1
		block := string([]byte{1, byte(5 + n), 0, ^byte(5 + n), 0xff}) // the last block of a deflate stream, as it is
		got, err := stored(t, true, "Content-Encoding: deflate", block+envelope(0, keyValue[:n])+keyValue[n:])
		if err == nil || overlap(got) >= masking.MinScrub {
			t.Errorf("%v, and %d bytes of it came", err, overlap(got))
		}
	})
}

func TestADialogueOfMessagesThatEndLikeAValueBegins(t *testing.T) {
	t.Parallel()
	b := newBed(t, serveGRPC(func(s grpc.ServerStream) error {
		for {
			var m []byte
			if err := s.RecvMsg(&m); err != nil {
				return nil
			}
			if err := s.SendMsg(&m); err != nil {
				return err
			}
		}
	}))
	ctx, conn := b.dialGRPC(rawCalls())
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test/Both")
	if err != nil {
		t.Fatal(err)
	}
	like := "a message with " + keyValue[:masking.MinScrub]
	send(t, s, like)
	got := make(chan string, 3)
	go func() {
		for range 3 {
			var m []byte
			if s.RecvMsg(&m) != nil {
				close(got)
				return
			}
			got <- string(m)
		}
	}()
	select {
	case m := <-got:
		t.Errorf("what may be the beginning of a value went on before it was known to be none: %q", m)
	case <-time.After(100 * time.Millisecond):
	}
	send(t, s, "another")
	send(t, s, like)
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{like, "another", like} {
		select {
		case m := <-got:
			if m != want {
				t.Errorf("got %q, want %q", m, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a message is held back for ever")
		}
	}
}
