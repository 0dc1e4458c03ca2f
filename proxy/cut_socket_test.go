package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"kz/proxy"
	"kz/proxy/policy"
)

// TestAWebSocketIsCutAtEachByte ends a WebSocket at each byte of what its upstream says: the client gets what was whole, and
// never a frame that says that this was all.
func TestAWebSocketIsCutAtEachByte(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("l", 130)
	head := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	said := "\x01\x03hel" + "\x89\x02pi" + "\x80\x02lo" + "\x81\x7e\x00\x82" + long + "\x82\x03bin"
	b := newBed(t, cutting(map[string]cutAnswer{"a": {raw: head + said}}))
	var group errgroup.Group
	group.SetLimit(8)
	for n := range len(head) + len(said) + 1 {
		for i, end := range []string{closeNotify, fin, reset} {
			if n%3 != i && n < len(head) {
				continue
			}
			conn := b.raw("api.test:443", "api.test")
			group.Go(func() error {
				defer conn.Close()
				request := strings.Replace(upgradeRequest, "/ws", fmt.Sprintf("/?a=a&n=%d&end=%s", n, end), 1)
				_, _ = io.WriteString(conn, request)
				r := bufio.NewReader(conn)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					return nil // a reset may overtake the answer
				}
				if n < len(head) {
					if resp.StatusCode != http.StatusBadGateway {
						t.Errorf("cut at %d with %s: %d", n, end, resp.StatusCode)
					}
					return nil
				}
				got, _ := io.ReadAll(r)
				messages := wholeMessages(got)
				want := 0
				for _, ends := range []int{13, 13 + 134, 13 + 134 + 5} {
					if n-len(head) >= ends {
						want++
					}
				}
				if text := strings.Join(messages, " "); !strings.HasPrefix("hello "+long+" bin", text) || len(messages) > want || len(messages) < want && end != reset {
					t.Errorf("cut at %d with %s: the messages %q", n, end, messages)
				}
				return nil
			})
		}
	}
	_ = group.Wait()
}

// wholeMessages reads short frames of a server: what was said whole, and a close frame as "close".
func wholeMessages(frames []byte) (messages []string) {
	var begun []byte
	for len(frames) >= 2 {
		head, size := 2, int(frames[1])
		if size == 126 && len(frames) >= 4 {
			head, size = 4, int(frames[2])<<8|int(frames[3])
		}
		if len(frames) < head+size {
			break
		}
		op, payload := frames[0], frames[head:head+size]
		frames = frames[head+size:]
		switch {
		case op&0xf == 8:
			messages = append(messages, "close")
		case op&0xf > 8:
			continue
		}
		begun = append(begun, payload...)
		if op&0x80 != 0 {
			messages, begun = append(messages, string(begun)), nil
		}
	}
	return messages
}

// TestAClientOfHTTP10SeesThatItsAnswerIsCut has one that takes the end of the connection for the end of the answer.
func TestAClientOfHTTP10SeesThatItsAnswerIsCut(t *testing.T) {
	t.Parallel()
	answers := cutAnswers(t)
	b := newBed(t, cutting(answers))
	for _, name := range []string{"a length", "chunks", "chunks and trailers", "gzip in chunks", "until the end"} {
		a := answers[name]
		head := strings.Index(a.raw, "\r\n\r\n") + 4
		for n := head; n <= len(a.raw); n++ {
			end := []string{closeNotify, fin}[n%2]
			conn := b.raw("api.test:443", "api.test")
			fmt.Fprintf(conn, "GET /?a=%s&n=%d&end=%s HTTP/1.0\r\nHost: api.test\r\n\r\n", strings.ReplaceAll(name, " ", "+"), n, end)
			got, err := io.ReadAll(conn)
			refused := bytes.HasPrefix(got, []byte("HTTP/1.0 502 "))
			if a.wholeAt(n, end) {
				if err != nil || refused {
					t.Errorf("%s: whole at %d with %s: %q, %v", name, n, end, got, err)
				}
			} else if err == nil && !refused {
				t.Errorf("%s: cut at %d with %s, a success: %q", name, n, end, got)
			}
			_ = conn.Close()
		}
	}
}

// TestARequestWithoutABodyIsSentAgain has the upstream close an idle connection just when it is used again.
func TestARequestWithoutABodyIsSentAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t, func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		b.serveTLS(o, []string{"http/1.1"}, func(conn *tls.Conn) {
			r := bufio.NewReader(conn)
			for i := range 2 {
				if _, err := http.ReadRequest(r); err != nil || i > 0 {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		})
	})
	for _, h2 := range []bool{false, true} {
		client := b.newClient(h2)
		for range 5 {
			if got, err := b.transfer(client, b.request("GET", "https://api.test/", "")); got != "ok" || err != nil {
				t.Errorf("h2 %v: %q, %v", h2, got, err)
			}
		}
	}
}
