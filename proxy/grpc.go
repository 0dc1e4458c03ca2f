package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"

	"kz/masking"
)

// envelopeHead is the length of what stands before each message: flags and a length of four bytes (gRPC over HTTP/2,
// "Length-Prefixed-Message"; gRPC-Web and the streams of Connect have the same).
const envelopeHead = 5

// flagsKnown are bit 0, compressed; bit 1, the end of a Connect stream; bit 7, trailers of gRPC-Web.
const flagsKnown = 0x83

var errEnvelope = errors.New("proxy: reading gRPC messages: the flags are not known ones")

// enveloped reports whether a body of this Content-Type is a sequence of messages, each behind an envelopeHead.
// gRPC-Web's text form is base64, which is not.
func enveloped(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	media, _, _ := strings.Cut(contentType[0], ";")
	media = strings.ToLower(strings.TrimSpace(media))
	for _, kind := range [...]string{"application/grpc", "application/grpc-web"} {
		if rest, ok := strings.CutPrefix(media, kind); ok && (rest == "" || rest[0] == '+') {
			return true
		}
	}
	return strings.HasPrefix(media, "application/connect+")
}

// envelopes scrubs a body of messages. A message keeps its length, for what is inside counts bytes too: a hit becomes a
// filler that begins like the mask. A message is whole when it is handed on, or, beyond maxWhole, streams; nothing of it
// waits for the next one. A body that ends inside a message ends with io.ErrUnexpectedEOF.
//
// What a compressed message unfolds to is not seen: a stated limit. Its bytes are, for the flag is only a claim.
type envelopes struct {
	window
	p     *Proxy
	on    func(name string)
	long  io.Reader // what is left of a message that streams; nil: a head comes next
	piece []byte    // room for a piece of it
	ready []byte    // decided and not handed out by Read
}

func newEnvelopes(src io.Reader, p *Proxy, on func(name string)) *envelopes {
	return &envelopes{window: newWindow(src), p: p, on: on}
}

// next is what can be handed on, at least one byte, good until it is called again.
func (e *envelopes) next() ([]byte, error) {
	for {
		if e.long != nil {
			n, err := e.long.Read(e.piece)
			if n > 0 {
				return e.piece[:n], nil
			}
			if err != io.EOF {
				return nil, err
			}
			e.long, e.piece = nil, nil
		}
		from := e.r
		want, err := e.whole()
		if e.r > from {
			return e.buf[from:e.r], nil
		}
		if err != nil {
			return nil, err
		}
		if want > envelopeHead+maxWhole {
			head := e.buf[e.r : e.r+envelopeHead]
			e.r += envelopeHead
			e.begin(want - envelopeHead)
			return head, nil
		}
		if err := e.fill(int(want)); err != nil {
			if len(e.buffered()) > 0 {
				err = tooEarly(err)
			} else {
				e.release()
			}
			return nil, err
		}
	}
}

// whole deals with the whole messages that are in the window, and returns how many bytes from r on the next one needs.
func (e *envelopes) whole() (want int64, err error) {
	for {
		b := e.buffered()
		if len(b) > 0 && b[0]&^flagsKnown != 0 {
			return 0, errEnvelope
		}
		if len(b) < envelopeHead {
			return envelopeHead, nil
		}
		want = envelopeHead + int64(binary.BigEndian.Uint32(b[1:]))
		if want > int64(len(b)) || want > envelopeHead+maxWhole {
			return want, nil
		}
		if err := e.scrub(b[envelopeHead:want]); err != nil {
			return 0, err
		}
		e.r += int(want)
	}
}

// scrub fills the hits in a whole message, in place.
func (e *envelopes) scrub(p []byte) error {
	s := e.p.scrubbers()
	if _, found := s.Find(p); !found {
		return nil
	}
	// Writing never overtakes reading: a filler is as long as what it stands for.
	_, err := io.ReadFull(s.Reader(bytes.NewReader(p), masking.Fill, e.on), p)
	return tooEarly(err)
}

func (e *envelopes) begin(length int64) {
	e.piece = make([]byte, fragment)
	e.long = e.p.scrubbing(&limited{&e.window, length}, masking.Fill, e.on)
}

// Read implements io.Reader.
func (e *envelopes) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(e.ready) == 0 {
		var err error
		if e.ready, err = e.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, e.ready)
	e.ready = e.ready[n:]
	return n, nil
}

// WriteTo implements io.WriterTo.
func (e *envelopes) WriteTo(w io.Writer) (written int64, err error) {
	for {
		if len(e.ready) == 0 {
			if e.ready, err = e.next(); err == io.EOF {
				return written, nil
			} else if err != nil {
				return written, err
			}
		}
		n, err := w.Write(e.ready)
		written += int64(n)
		e.ready = e.ready[n:]
		if err != nil {
			return written, err
		}
	}
}

// limited reads the next left bytes of a window, and no end before them.
type limited struct {
	b    *window
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	n, err := l.b.read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, tooEarly(err)
}

// receiveEnvelopes streams the body of a gRPC answer, decoded already, message by message.
func (x *exchange) receiveEnvelopes(resp *http.Response, plain io.Reader, decoded bool, close io.Closer) {
	dropDigests(resp.Header)
	if resp.ContentLength >= 0 && !decoded {
		x.w.length = resp.ContentLength
	}
	x.w.stream = true
	resp.Body = &scrubbedBody{r: newEnvelopes(plain, x.p, x.didScrub("body")), x: x, resp: resp, close: close}
}
