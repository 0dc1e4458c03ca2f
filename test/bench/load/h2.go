package load

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kz/test/bench/wire"
)

// windowSize is what a server may send ahead on a connection and on each stream.
const windowSize = 1 << 24

// h2 is a connection that speaks HTTP/2, for one goroutine: it keeps some streams open, and begins another whenever one
// ends. What it writes in answer to one read goes out together.
type h2 struct {
	r       *bufio.Reader
	w       *bufio.Writer
	framer  *http2.Framer
	decoder *hpack.Decoder
	first   []byte // the header block of the first request
	next    []byte // of all others, which refers to the table that the first one made
	body    []byte
	want    []byte
	streams int // open at a time

	id      uint32 // of the next stream
	send    int64  // what the server takes on the connection
	perSend int64  // and on each new stream
	waiting int    // streams that wait for send
	got     int    // bytes received since the last window update
	open    map[uint32]*stream
	spare   []*stream
	status  int // of the header block being decoded
}

type stream struct {
	began  time.Time
	status int
	body   []byte
}

func newH2(conn *tls.Conn, route *Route, streams int) (*h2, error) {
	c := &h2{
		r: bufio.NewReaderSize(conn, 32<<10), w: bufio.NewWriterSize(conn, 32<<10),
		body: wire.ChatBody(route.Token), want: wire.ChatAnswer(route.Token), streams: streams,
		id: 1, send: 65535, perSend: 65535, open: map[uint32]*stream{},
	}
	c.framer = http2.NewFramer(c.w, c.r)
	c.framer.SetReuseFrames()
	c.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			c.status, _ = strconv.Atoi(f.Value)
		}
	})
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, out := range []*[]byte{&c.first, &c.next} {
		for _, f := range []hpack.HeaderField{
			{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: wire.Host}, {Name: ":path", Value: wire.Chat},
			{Name: "user-agent", Value: "bench/1.0"}, {Name: "accept", Value: "application/json"}, {Name: "authorization", Value: "Bearer " + route.Token},
			{Name: "content-type", Value: "application/json"}, {Name: "content-length", Value: strconv.Itoa(len(c.body))},
		} {
			if err := encoder.WriteField(f); err != nil {
				return nil, err
			}
		}
		*out = bytes.Clone(block.Bytes())
		block.Reset()
	}
	_, err := c.w.WriteString(http2.ClientPreface)
	return c, errors.Join(err,
		c.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: windowSize}),
		c.framer.WriteWindowUpdate(0, windowSize-65535))
}

// drive implements driver.
func (c *h2) drive(until time.Time, latencies []time.Duration) ([]time.Duration, error) {
	now := time.Now()
	for range c.streams {
		if err := c.begin(now); err != nil {
			return latencies, err
		}
	}
	for len(c.open)+c.waiting > 0 {
		if c.r.Buffered() == 0 {
			if err := c.w.Flush(); err != nil {
				return latencies, err
			}
		}
		f, err := c.framer.ReadFrame()
		if err != nil {
			return latencies, err
		}
		s, err := c.take(f)
		if err != nil {
			return latencies, err
		}
		if s == nil {
			continue
		}
		if err := check(s.status, s.body, c.want); err != nil {
			return latencies, err
		}
		c.spare = append(c.spare, s)
		now = time.Now()
		latencies = append(latencies, now.Sub(s.began))
		if now.Before(until) {
			if err := c.begin(now); err != nil {
				return latencies, err
			}
		}
	}
	return latencies, nil
}

// begin sends one request, or remembers to when the server takes no more for now.
func (c *h2) begin(now time.Time) error {
	if c.send < int64(len(c.body)) {
		c.waiting++
		return nil
	}
	if c.perSend < int64(len(c.body)) {
		return errors.New("the server's stream window is less than a request")
	}
	var s *stream
	if n := len(c.spare); n > 0 {
		s, c.spare = c.spare[n-1], c.spare[:n-1]
		s.status, s.body = 0, s.body[:0]
	} else {
		s = &stream{}
	}
	s.began = now
	block := c.next
	if c.id == 1 {
		block = c.first
	}
	c.open[c.id] = s
	err := errors.Join(
		c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: c.id, BlockFragment: block, EndHeaders: true}),
		c.framer.WriteData(c.id, true, c.body))
	c.send -= int64(len(c.body))
	c.id += 2
	return err
}

// take handles one frame. It returns the stream that the frame ends.
func (c *h2) take(f http2.Frame) (*stream, error) {
	switch f := f.(type) {
	case *http2.HeadersFrame:
		if !f.HeadersEnded() {
			return nil, errFraming
		}
		c.status = 0
		if _, err := c.decoder.Write(f.HeaderBlockFragment()); err != nil {
			return nil, err
		}
		s := c.open[f.StreamID]
		if s == nil {
			return nil, errFraming
		}
		if c.status >= 200 {
			s.status = c.status
		}
		return c.ended(f.StreamID, f.StreamEnded()), c.decoder.Close()
	case *http2.DataFrame:
		s := c.open[f.StreamID]
		if s == nil {
			return nil, errFraming
		}
		s.body = append(s.body, f.Data()...)
		if c.got += int(f.Length); c.got >= windowSize/4 {
			if err := c.framer.WriteWindowUpdate(0, uint32(c.got)); err != nil {
				return nil, err
			}
			c.got = 0
		}
		return c.ended(f.StreamID, f.StreamEnded()), nil
	case *http2.WindowUpdateFrame:
		if f.StreamID != 0 {
			return nil, nil
		}
		c.send += int64(f.Increment)
		now := time.Now()
		for ; c.waiting > 0 && c.send >= int64(len(c.body)); c.waiting-- {
			if err := c.begin(now); err != nil {
				return nil, err
			}
		}
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil, nil
		}
		if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
			c.perSend = int64(v)
		}
		return nil, c.framer.WriteSettingsAck()
	case *http2.PingFrame:
		if !f.IsAck() {
			return nil, c.framer.WritePing(true, f.Data)
		}
	case *http2.RSTStreamFrame:
		// NO_ERROR after a whole answer asks to send no more of the request, all of which is sent.
		if f.ErrCode != http2.ErrCodeNo || c.open[f.StreamID] != nil {
			return nil, fmt.Errorf("a stream was reset: %v", f.ErrCode)
		}
	case *http2.GoAwayFrame:
		return nil, fmt.Errorf("the connection is ended: %v", f.ErrCode)
	}
	return nil, nil
}

func (c *h2) ended(id uint32, ended bool) *stream {
	if !ended {
		return nil
	}
	s := c.open[id]
	delete(c.open, id)
	return s
}
