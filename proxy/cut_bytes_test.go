package proxy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"kz/proxy"
	"kz/proxy/policy"
)

// cutAnswer is what an upstream says, and from which byte on it is whole.
type cutAnswer struct {
	raw  string
	body string // what the client gets of it
	// untilClose says that only the end of TLS ends the body: cut there with close_notify, it is a whole answer. -1: not so.
	untilClose int
}

// cutAnswers is one short answer in each framing.
func cutAnswers(t *testing.T) map[string]cutAnswer {
	text := "forty bytes of text that are not a value"
	z := coded(t, "gzip", text)
	const ok, gz = "HTTP/1.1 200 OK\r\nX-A: b\r\n", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
	sized := func(head, body string) string {
		return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	}
	chunks := func(head, body, trailers string) string {
		return fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\na\r\n%s\r\n%x;ext=1\r\n%s\r\n0\r\n%s\r\n", head, body[:10], len(body)-10, body[10:], trailers)
	}
	events := "data: one\n\ndata: two\n\n"
	return map[string]cutAnswer{
		"a length":                    {sized(ok, text), text, -1},
		"a length, and close":         {sized(ok+"Connection: close\r\n", text), text, -1},
		"HTTP/1.0 with a length":      {sized("HTTP/1.0 200 OK\r\n", text), text, -1},
		"chunks":                      {chunks(ok, text, ""), text, -1},
		"chunks and trailers":         {chunks(ok+"Trailer: X-Sum, X-More\r\n", text, "X-Sum: 12345\r\nX-More: a, b\r\n"), text, -1},
		"chunks, trailers not told":   {chunks(ok, text, "X-Sum: 12345\r\n"), text, -1},
		"until the end":               {ok + "\r\n" + text, text, len(ok) + 2},
		"events in chunks":            {chunks(ok+"Content-Type: text/event-stream\r\n", events, ""), events, -1},
		"events until the end":        {ok + "Content-Type: text/event-stream\r\n\r\n" + events, events, len(ok) + len("Content-Type: text/event-stream\r\n\r\n")},
		"gzip of a length":            {sized(gz, z), text, -1},
		"gzip in chunks":              {chunks(gz, z, ""), text, -1},
		"gzip in chunks and trailers": {chunks(gz, z, "X-Sum: 12345\r\n"), text, -1},
		"gzip until the end":          {gz + "\r\n" + z, text, -1},
		"a length after a hint":       {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + sized(ok, text), text, -1},
		"chunks after 100 and 102":    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + chunks(ok, text, ""), text, -1},
		"no content":                  {"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", "", -1},
		"a length of nothing":         {sized(ok, ""), "", -1},
		"an error of a length":        {sized("HTTP/1.1 500 Internal Server Error\r\n", text), text, -1},
	}
}

// wholeAt reports whether the first n bytes, ended like that, are the whole answer.
func (a cutAnswer) wholeAt(n int, end string) bool {
	if end == closeNotify && a.untilClose >= 0 {
		return n >= a.untilClose
	}
	untilClose := a.untilClose >= 0 || strings.HasPrefix(a.raw, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
	return n == len(a.raw) && (end == closeNotify || !untilClose)
}

// cutting makes api.test an upstream that answers a request for /?a=NAME&n=N&end=END with the first N bytes of the answer
// of that name, and then ends the connection like that.
func cutting(answers map[string]cutAnswer) bedOption {
	return func(b *bed, o *proxy.Options, _ *[]policy.Secret, _ *policy.Egress) {
		b.serveTLS(o, []string{"http/1.1"}, func(conn *tls.Conn) {
			r, err := http.ReadRequest(bufio.NewReader(conn))
			if err != nil {
				return
			}
			q := r.URL.Query()
			n, err := strconv.Atoi(q.Get("n"))
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(conn, answers[q.Get("a")].raw[:n])
			endLike(conn, q.Get("end"))
		})
	}
}

// serveTLS makes api.test an upstream that hands each connection to f, and closes it without a word when f returns.
func (b *bed) serveTLS(o *proxy.Options, alpn []string, f func(*tls.Conn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = l.Close() })
	b.pinTo(o, "api.test:443", l.Addr().String())
	leaf, err := b.minter.Leaf("api.test")
	if err != nil {
		b.t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: alpn}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				f(tls.Server(conn, config))
			}()
		}
	}()
}

// endLike says how the connection ends that is about to be closed.
func endLike(conn *tls.Conn, end string) {
	switch end {
	case closeNotify:
		_ = conn.Close()
	case reset:
		_ = conn.NetConn().(*net.TCPConn).SetLinger(0)
	}
}

// TestAnAnswerIsCutAtEachByte ends each answer at each of its bytes, in each way: the client gets the whole answer or an
// error, and nothing between.
func TestAnAnswerIsCutAtEachByte(t *testing.T) {
	t.Parallel()
	answers := cutAnswers(t)
	b := newBed(t, cutting(answers))
	for _, h2 := range []bool{false, true} {
		client := b.newClient(h2)
		for name, a := range answers {
			t.Run(fmt.Sprintf("%s, h2 %v", name, h2), func(t *testing.T) {
				t.Parallel()
				var group errgroup.Group
				group.SetLimit(4)
				for n := range len(a.raw) + 1 {
					for i, end := range []string{closeNotify, fin, reset} {
						if n < len(a.raw) && ((n+i)%3 == 2 || h2 && (n+i)%3 == 1) {
							continue // two ends for each byte, and by h2 one, say as much as three
						}
						group.Go(func() error {
							r := b.request("GET", fmt.Sprintf("https://api.test/?n=%d&end=%s&a=%s", n, end, strings.ReplaceAll(name, " ", "+")), "")
							got, err := b.transfer(client, r)
							switch whole := a.wholeAt(n, end); {
							case err == nil && !whole:
								t.Errorf("cut at %d with %s, a success: %q", n, end, got)
							case err == nil && end == closeNotify && a.untilClose >= 0:
								if want := a.raw[a.untilClose:n]; got != want {
									t.Errorf("cut at %d: %q, want %q", n, got, want)
								}
							case err == nil && got != a.body:
								t.Errorf("whole with %s: %q", end, got)
							case err != nil && whole && end != reset: // a reset may overtake what came before it
								t.Errorf("whole with %s: %v", end, err)
							}
							return nil
						})
					}
				}
				_ = group.Wait()
			})
		}
	}
}

// transfer sends r and reads the answer; a refusal of kz is an error too.
func (b *bed) transfer(client *http.Client, r *http.Request) (string, error) {
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if code := resp.Header.Get("Kz-Error"); err == nil && code != "" {
		err = fmt.Errorf("%d %s", resp.StatusCode, code)
	}
	return string(body), err
}
