package proxy

import (
	"bytes"
	"crypto/rand"
	"io"
	"sync"
)

// frameCopy carries the frames of one direction from src to dst. Frames that are not changed are handed on in runs, out of
// the buffer they were read into. A message of one frame of at most maxWhole bytes is read whole and stays one frame; any
// other is sent on in fragments as it comes (RFC 6455, section 5.4). All that is decided has gone to dst, in whole frames,
// before more is read, so that nothing waits for what comes after it.
type frameCopy struct {
	window
	dst    io.Writer
	masked bool // as a client's frames are
	edit   frameEditor
	tap    *frameTap // in place of edit, where nothing may change

	sent   int  // buf[sent:r] is to go on as it came
	passes bool // a message is under way whose frames go on as they came
	n      int64
	lost   bool // dst took no more
}

// run carries frames until src ends: io.EOF when that is between two messages.
func (c *frameCopy) run() error {
	err := c.frames()
	if flushed := c.flush(); err == io.EOF && flushed != nil {
		err = flushed
	}
	c.release()
	return err
}

func (c *frameCopy) frames() error {
	for {
		h, err := c.next()
		if err != nil {
			return err
		}
		switch {
		case h.op.control():
			err = c.control(h)
		case c.passes != (h.op == opContinuation):
			err = outOfOrder(h)
		case c.passes || !c.edit.looks(h.op):
			err = c.pass(h)
		case h.fin && h.length <= maxWhole:
			err = c.whole(h)
		default:
			err = c.stream(h)
		}
		if err != nil {
			return err
		}
	}
}

// raw carries bytes as they are, and shows them to tap.
func (c *frameCopy) raw() error {
	for {
		if err := c.fill(1); err != nil {
			c.release()
			return err
		}
		c.tap.see(c.buffered())
		if err := c.write(c.buffered()); err != nil {
			return err
		}
		c.r = c.w
	}
}

func outOfOrder(h frameHeader) error {
	if h.op == opContinuation {
		return &framingError{"a message is continued that has not begun"}
	}
	return &framingError{"a message begins inside another"}
}

// next is the head of the next frame, which stays in the window.
func (c *frameCopy) next() (frameHeader, error) {
	for {
		h, ok, err := parseFrame(c.buffered(), c.masked)
		if ok || err != nil {
			return h, err
		}
		if err := c.more(maxFrameHeader); err != nil {
			if len(c.buffered()) > 0 || c.passes {
				err = tooEarly(err)
			}
			return h, err
		}
	}
}

// more hands on what is decided and reads.
func (c *frameCopy) more(want int) error {
	if err := c.flush(); err != nil {
		return err
	}
	err := c.fill(want)
	c.sent = c.r
	return err
}

// payload is that of the frame h at the head of the window, once all of it is there.
func (c *frameCopy) payload(h frameHeader) ([]byte, error) {
	total := h.size + int(h.length)
	for len(c.buffered()) < total {
		if err := c.more(total); err != nil {
			return nil, tooEarly(err)
		}
	}
	return c.buf[c.r+h.size : c.r+total], nil
}

// flush hands on the run of frames that are as they came.
func (c *frameCopy) flush() error {
	run := c.buf[c.sent:c.r]
	c.sent = c.r
	if len(run) == 0 {
		return nil
	}
	return c.write(run)
}

func (c *frameCopy) write(p []byte) error {
	n, err := c.dst.Write(p)
	c.n += int64(n)
	c.lost = c.lost || err != nil
	return err
}

func (c *frameCopy) control(h frameHeader) error {
	p, err := c.payload(h)
	if err != nil {
		return err
	}
	edited := p
	if c.edit.looks(h.op) {
		if edited, err = c.edit.control(h.op, p); err != nil {
			return err
		}
	}
	if same(edited, p) {
		c.r += h.size + len(p)
		return nil
	}
	return c.replace(h, edited)
}

// pass hands on a frame of any length.
func (c *frameCopy) pass(h frameHeader) error {
	c.passes = !h.fin
	for left := int64(h.size) + h.length; ; {
		n := min(left, int64(len(c.buffered())))
		c.r += int(n)
		if left -= n; left == 0 {
			return nil
		}
		if err := c.more(1); err != nil {
			return tooEarly(err)
		}
	}
}

func (c *frameCopy) whole(h frameHeader) error {
	p, err := c.payload(h)
	if err != nil {
		return err
	}
	if h.masked {
		maskFrame(h.key, 0, p)
	}
	edited, short := c.edit.whole(p)
	switch {
	case !short:
		if err := c.flush(); err != nil {
			return err
		}
		if err := c.fragments(h.op, c.edit.stream(bytes.NewReader(p))); err != nil {
			return err
		}
		c.r += h.size + len(p)
		c.sent = c.r
		return nil
	case same(edited, p):
		if h.masked {
			maskFrame(h.key, 0, p)
		}
		c.r += h.size + len(p)
		return nil
	}
	return c.replace(h, edited)
}

// replace sends a frame with the payload p in place of h, the one at the head of the window.
func (c *frameCopy) replace(h frameHeader, p []byte) error {
	if err := c.flush(); err != nil {
		return err
	}
	c.r += h.size + int(h.length)
	c.sent = c.r
	b := make([]byte, maxFrameHeader+len(p))
	copy(b[maxFrameHeader:], p)
	return c.writeFrame(true, h.op, b)
}

// writeFrame sends a frame whose payload stands in b, behind maxFrameHeader bytes of room.
func (c *frameCopy) writeFrame(fin bool, op opcode, b []byte) error {
	p := b[maxFrameHeader:]
	h := frameHeader{fin: fin, op: op, masked: c.masked, length: int64(len(p))}
	if h.masked {
		_, _ = rand.Read(h.key[:]) // never fails: documented to end the program instead
		maskFrame(h.key, 0, p)
	}
	var head [maxFrameHeader]byte
	n := len(appendFrame(head[:0], h))
	copy(b[maxFrameHeader-n:], head[:n])
	return c.write(b[maxFrameHeader-n:])
}

// fragment is the room for one: with its head it fills a TLS record (RFC 8446, section 5.1).
const fragment = 16<<10 - 8

var fragmentBuffers = sync.Pool{New: func() any { return new([maxFrameHeader + fragment]byte) }}

// stream sends on the message that begins with h.
func (c *frameCopy) stream(h frameHeader) error {
	m := &message{c: c}
	if err := m.begin(h); err != nil {
		return err
	}
	return c.fragments(h.op, c.edit.stream(m))
}

// fragments sends what r gives as one message.
func (c *frameCopy) fragments(op opcode, r io.Reader) error {
	pooled := fragmentBuffers.Get().(*[maxFrameHeader + fragment]byte)
	b := pooled[:]
	defer func() { clear(b); fragmentBuffers.Put(pooled) }()
	for {
		n, err := r.Read(b[maxFrameHeader:])
		if n > 0 {
			if err := c.writeFrame(false, op, b[:maxFrameHeader+n]); err != nil {
				return err
			}
			op = opContinuation
		}
		if err == io.EOF {
			return c.writeFrame(true, op, b[:maxFrameHeader])
		}
		if err != nil {
			return err
		}
	}
}

// message is the payload of one message over all of its frames. Control frames that come between them go on at once.
type message struct {
	c    *frameCopy
	h    frameHeader // of the frame that is being read
	left int64       // of its payload
}

func (m *message) begin(h frameHeader) error {
	if err := m.c.flush(); err != nil {
		return err
	}
	m.h, m.left = h, h.length
	m.c.r += h.size
	m.c.sent = m.c.r
	return nil
}

// Read implements io.Reader.
func (m *message) Read(p []byte) (int, error) {
	for m.left == 0 {
		if m.h.fin {
			return 0, io.EOF
		}
		h, err := m.c.next()
		switch {
		case err != nil:
			return 0, tooEarly(err)
		case h.op.control():
			err = m.c.control(h)
		case h.op != opContinuation:
			err = outOfOrder(h)
		default:
			err = m.begin(h)
		}
		if err != nil {
			return 0, err
		}
	}
	n, err := m.c.read(p[:min(int64(len(p)), m.left)])
	m.c.sent = m.c.r
	if m.h.masked {
		maskFrame(m.h.key, m.h.length-m.left, p[:n])
	}
	m.left -= int64(n)
	return n, tooEarly(err)
}

// same reports whether a is b itself, not a copy.
func same(a, b []byte) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }
