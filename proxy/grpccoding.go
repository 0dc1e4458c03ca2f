package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"

	"kz/masking"
)

// maxFolded is the longest compressed message that is read: the 4 MiB that clients take by default (grpc-go's
// defaultClientMaxReceiveMessageSize, gRPC core's GRPC_DEFAULT_MAX_RECV_MESSAGE_LENGTH) and what a coding may add to them.
// maxUnfolded is the longest that one may become.
const (
	maxFolded   = 5 << 20
	maxUnfolded = 64 << 20
)

var errFolded = errors.New("proxy: reading gRPC messages: a compressed one is too long to be read")

// messageCodings are the codings of the compressed messages in a body. ok is false when one of them cannot be undone.
func messageCodings(h http.Header) (names []string, ok bool) {
	switch envelopeKind(h["Content-Type"]) {
	case "grpc":
		return codings(h["Grpc-Encoding"])
	case "text":
		// Messages in base64 are not decoded, so that one that is compressed is not read.
		names, ok = codings(h["Grpc-Encoding"])
		return nil, ok && len(names) == 0
	case "connect":
		return codings(h["Connect-Content-Encoding"])
	}
	return nil, true
}

// unfolded reads what is in the compressed messages of src. One in which nothing is found goes on as it came; another
// goes on decoded, its values filled, and marked as not compressed, which each message may be (gRPC over HTTP/2,
// "Compressed-Flag"). A message that cannot be decoded ends the transfer.
type unfolded struct {
	src   io.Reader
	names []string
	p     *Proxy
	on    func(name string)
	take  func(n int64) bool // asked before much memory is used
	taken int64
	done  func() // gives back what was taken

	buf    []byte
	ahead  []byte // of buf, not looked at yet
	err    error  // of src, behind ahead
	f      framing
	folded []byte    // a compressed message, behind its head, as far as it has come
	plain  []byte    // of buf, to go on as it is
	now    io.Reader // what goes on in the place of folded
}

func newUnfolded(src io.Reader, names []string, p *Proxy, on func(name string)) *unfolded {
	return &unfolded{src: src, names: names, p: p, on: on, buf: make([]byte, fragment)}
}

// Read implements io.Reader.
func (u *unfolded) Read(p []byte) (int, error) {
	for {
		if len(u.plain) > 0 {
			n := copy(p, u.plain)
			u.plain = u.plain[n:]
			return n, nil
		}
		if u.now != nil {
			n, err := u.now.Read(p)
			if err == io.EOF {
				u.now, err = nil, nil
				if u.folded = u.folded[:0]; cap(u.folded) > maxWhole {
					u.folded = nil
					if u.taken > 0 { // a stream that waits for its next message holds nothing
						u.taken = 0
						u.done()
					}
				}
			}
			if n > 0 || err != nil {
				return n, err
			}
		}
		if err := u.step(); err != nil {
			return 0, err
		}
	}
}

// step looks at one more piece of a message.
func (u *unfolded) step() error {
	if len(u.ahead) == 0 {
		if u.err == io.EOF && !u.f.border() {
			return io.ErrUnexpectedEOF
		}
		if u.err != nil {
			return u.err
		}
		n := 0
		n, u.err = u.src.Read(u.buf)
		u.ahead = u.buf[:n]
		return nil
	}
	run, head, err := u.f.next(u.ahead)
	if err != nil {
		return err
	}
	piece := u.ahead[:run]
	u.ahead = u.ahead[run:]
	if u.f.head[0]&flagCompressed == 0 {
		u.plain = piece
		return nil
	}
	if head && u.f.left > maxFolded {
		return errFolded
	}
	if need := int64(len(u.folded) + len(piece)); need > u.taken+maxWhole {
		if !u.take(2 * (need - u.taken)) { // a slice that grows has its old self beside it
			return errRoom
		}
		u.taken = need
	}
	if u.folded = append(u.folded, piece...); u.f.border() {
		u.now, err = u.message(u.folded)
	}
	return err
}

// message is what goes on in the place of one compressed message and its head.
func (u *unfolded) message(m []byte) (io.Reader, error) {
	found := false
	first := u.decode(m[envelopeHead:], func(string) { found = true })
	length, err := io.Copy(io.Discard, first)
	if err == nil && length > maxUnfolded {
		err = errFolded
	}
	if err != nil {
		return nil, fmt.Errorf("reading a compressed gRPC message: %w", err)
	}
	if !found {
		return bytes.NewReader(m), nil
	}
	head := binary.BigEndian.AppendUint32([]byte{m[0] &^ flagCompressed}, uint32(length))
	return io.MultiReader(bytes.NewReader(head), u.decode(m[envelopeHead:], u.on)), nil
}

// decode gives a decoded message, scrubbed without a change of its length.
func (u *unfolded) decode(m []byte, on func(name string)) io.Reader {
	d := u.p.decodeAnswer(bytes.NewReader(m), u.names, false)
	return u.p.scrubbers().Reader(io.LimitReader(closedAtEnd{d}, maxUnfolded+1), masking.Fill, on)
}

// closedAtEnd closes what is read to its end.
type closedAtEnd struct{ io.ReadCloser }

func (c closedAtEnd) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}
