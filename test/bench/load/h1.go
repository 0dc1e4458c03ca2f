package load

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"kz/test/bench/wire"
)

// head is the head of an HTTP/1.1 request, as a client library sends it.
func head(method, host, target, token, kind string, length int) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\nAuthorization: Bearer %s\r\n", method, target, host, token)
	if kind != "" {
		b = fmt.Appendf(b, "Content-Type: %s\r\nContent-Length: %d\r\n", kind, length)
	}
	return append(b, "\r\n"...)
}

func chatRequest(host, token string) []byte {
	body := wire.ChatBody(token)
	return append(head("POST", host, wire.Chat, token, "application/json", len(body)), body...)
}

// h1 is a connection that speaks HTTP/1.1, for one goroutine.
type h1 struct {
	conn *tls.Conn
	r    *bufio.Reader
	body []byte // of the last answer

	request, want []byte // what drive sends and wants
}

func newH1(conn *tls.Conn, route *Route) *h1 {
	return &h1{conn: conn, r: bufio.NewReaderSize(conn, 8<<10), request: chatRequest(wire.Host, route.Token), want: wire.ChatAnswer(route.Token)}
}

// do sends a request and wants the answer.
func (c *h1) do(request, want []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	status, err := c.read()
	if err != nil {
		return err
	}
	return check(status, c.body, want)
}

func check(status int, body, want []byte) error {
	if status != 200 {
		return fmt.Errorf("the answer is %d: %.300q", status, body)
	}
	if !bytes.Equal(body, want) {
		return fmt.Errorf("the answer is not the one wanted: %.300q", body)
	}
	return nil
}

var errFraming = errors.New("an answer whose framing is odd")

// read reads one answer with a length or in chunks.
func (c *h1) read() (status int, err error) {
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	if len(line) < 12 || string(line[:8]) != "HTTP/1.1" {
		return 0, errFraming
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, errFraming
	}
	length, chunked := -1, false
	for {
		if line, err = c.line(); err != nil {
			return 0, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case len(name) == 14 && bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, errFraming
			}
		case len(name) == 17 && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = string(value) == "chunked"
		}
	}
	c.body = c.body[:0]
	if !chunked {
		if length < 0 || length > 1<<20 {
			return 0, errFraming
		}
		return status, c.take(length)
	}
	for {
		if line, err = c.line(); err != nil {
			return 0, err
		}
		size, err := strconv.ParseUint(string(line), 16, 20)
		if err != nil {
			return 0, errFraming
		}
		if err := c.take(int(size)); err != nil {
			return 0, err
		}
		if line, err = c.line(); err != nil || len(line) != 0 {
			return 0, errors.Join(err, errFraming)
		}
		if size == 0 {
			return status, nil
		}
	}
}

func (c *h1) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

func (c *h1) take(n int) error {
	from := len(c.body)
	for cap(c.body) < from+n {
		c.body = append(c.body[:cap(c.body)], 0)
	}
	c.body = c.body[:from+n]
	_, err := io.ReadFull(c.r, c.body[from:])
	return err
}

// drive implements driver.
func (c *h1) drive(until time.Time, latencies []time.Duration) ([]time.Duration, error) {
	for began := time.Now(); ; {
		if err := c.do(c.request, c.want); err != nil {
			return latencies, err
		}
		ended := time.Now()
		latencies = append(latencies, ended.Sub(began))
		if !ended.Before(until) {
			return latencies, nil
		}
		began = ended
	}
}
