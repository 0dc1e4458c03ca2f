package proxy

import (
	"io"

	"kz/proxy/policy"
)

// frameTap looks into what a client sends by a WebSocket that passes as it is, for masks that its user may wonder about: they
// stand in text messages and no secret declares the place frame there. It holds nothing up, and says no more once the bytes
// are no frames.
type frameTap struct {
	swapper *frameSwapper // that has said so far what was withheld
	scan    io.Reader     // of next; nil until there was text
	next    fed

	head   []byte // of a frame, as far as it has come
	frame  frameHeader
	left   int64 // of its payload
	text   bool  // the message is one
	closed bool
	b, got [256]byte
}

// see takes what comes next, and leaves it as it is.
func (t *frameTap) see(p []byte) {
	for len(p) > 0 && !t.closed {
		if t.left == 0 {
			t.head = append(t.head, p[0])
			p = p[1:]
			t.begin()
			continue
		}
		n := int(min(t.left, int64(len(p)), int64(len(t.b))))
		if t.text && !t.frame.op.control() {
			copy(t.b[:], p[:n])
			maskFrame(t.frame.key, t.frame.length-t.left, t.b[:n])
			t.look(t.b[:n])
		}
		t.left -= int64(n)
		p = p[n:]
	}
}

// begin takes a head, once all of it is there.
func (t *frameTap) begin() {
	h, ok, err := parseFrame(t.head, true)
	if t.closed = err != nil; !ok {
		return
	}
	t.head, t.frame, t.left = t.head[:0], h, h.length
	if h.op == opText || h.op == opBinary {
		if t.text = h.op == opText; t.text {
			t.look([]byte{'\n'}) // a mask in two messages is none
		}
	}
}

func (t *frameTap) look(p []byte) {
	if s := t.swapper; t.scan == nil {
		t.scan = s.x.p.opts.Table.Scan(&t.next, func(name string) {
			s.withhold(name, s.x.scope.Judge(name, policy.Site{Kind: policy.InFrame}).Reason)
		})
	}
	for t.next = p; len(t.next) > 0; {
		_, _ = t.scan.Read(t.got[:]) // a fed does not fail
	}
}

// fed is a reader that is given its bytes as they come.
type fed []byte

// Read implements io.Reader.
func (f *fed) Read(p []byte) (int, error) {
	n := copy(p, *f)
	*f = (*f)[n:]
	return n, nil
}
