package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"kz/test/bench/wire"
)

// exchange sends one request over a connection of its own protocol and gives its answer, whose body the caller closes.
// It is as costly as net/http is: for what does not send many requests.
type exchange func(r *http.Request) (*http.Response, error)

// connection opens a connection to host for exchanges.
func (r *Route) connection(host, protocol string) (exchange, func(), error) {
	if protocol == "h2" {
		t := r.transport("h2", 1)
		return t.RoundTrip, t.CloseIdleConnections, nil
	}
	conn, err := r.Dial(host, protocol, nil)
	if err != nil {
		return nil, nil, err
	}
	reader := bufio.NewReaderSize(conn, 16<<10)
	return func(r *http.Request) (*http.Response, error) {
		w := bufio.NewWriterSize(conn, 64<<10)
		if err := errors.Join(r.Write(w), w.Flush()); err != nil {
			return nil, err
		}
		return http.ReadResponse(reader, r)
	}, func() { _ = conn.Close() }, nil
}

func newRequest(method, host, target, token string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequest(method, "https://"+host+target, body)
	if err == nil {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r, err
}

// Down is how long it takes until a large body has come, whose last bytes are right.
func (r *Route) Down(protocol string, size int) (time.Duration, error) {
	do, stop, err := r.connection(wire.Host, protocol)
	if err != nil {
		return 0, err
	}
	defer stop()
	buf := make([]byte, 64<<10)
	want := wire.BulkTail(wire.Fill(r.Token))
	once := func(size int) error {
		req, err := newRequest(http.MethodGet, wire.Host, fmt.Sprintf("%s?size=%d", wire.Bulk, size), r.Token, nil)
		if err != nil {
			return err
		}
		resp, err := do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the answer is %d", resp.StatusCode)
		}
		tail := make([]byte, 0, 2*len(want))
		total := 0
		for {
			n, err := resp.Body.Read(buf)
			total += n
			tail = append(tail, buf[max(0, n-len(want)):n]...)
			tail = append(tail[:0], tail[max(0, len(tail)-len(want)):]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
		}
		if total != size {
			return fmt.Errorf("%d bytes came, not %d", total, size)
		}
		return check(resp.StatusCode, tail, want)
	}
	if err := once(2 << 20); err != nil { // warms up, and is long enough to keep its length
		return 0, err
	}
	began := time.Now()
	err = once(size)
	return time.Since(began), err
}

// Up is how long it takes until the origin has read a large body, whose last bytes must be right, and has said so. The
// origin sees size bytes.
func (r *Route) Up(protocol string, size int) (time.Duration, error) {
	do, stop, err := r.connection(wire.UploadHost, protocol)
	if err != nil {
		return 0, err
	}
	defer stop()
	block, tail, want := wire.BulkBlock(), wire.BulkTail(r.Upload), wire.ChatAnswer(r.Upload)
	once := func(size int) error {
		before := size - len(wire.BulkTail(wire.UploadValue))
		body := io.MultiReader(io.LimitReader(&repeating{block: block}, int64(before)), bytes.NewReader(tail))
		req, err := newRequest(http.MethodPut, wire.UploadHost, fmt.Sprintf("%s?size=%d", wire.Sink, size), r.Upload, body)
		if err != nil {
			return err
		}
		req.ContentLength = int64(before + len(tail))
		req.Header.Set("Content-Type", "application/octet-stream")
		resp, err := do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		return check(resp.StatusCode, answer, want)
	}
	if err := once(2 << 20); err != nil {
		return 0, err
	}
	began := time.Now()
	err = once(size)
	return time.Since(began), err
}

// repeating is a block over and over.
type repeating struct {
	block []byte
	at    int
}

func (r *repeating) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	return n, nil
}
