package proxy

import (
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

// The flags of a message: compressed; the end of a Connect stream; trailers of gRPC-Web.
const (
	flagCompressed = 0x01
	flagsKnown     = flagCompressed | 0x02 | 0x80
)

var (
	errEnvelope = errors.New("proxy: reading gRPC messages: the flags are not known ones")
	errAcross   = errors.New("proxy: reading gRPC messages: a value stands across the border of a message")
)

// envelopeKind is the family of a Content-Type whose body is messages, each behind an envelopeHead, and "" for any other.
// gRPC-Web's text form is "text": it is scrubbed as any other text, a mask in it takes a message's place. Of several types,
// any counts: which one the other side goes by is not known.
func envelopeKind(contentType []string) string {
	for _, t := range contentType {
		if kind := kindOf(t); kind != "" {
			return kind
		}
	}
	return ""
}

func kindOf(contentType string) string {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	media, _, _ = strings.Cut(media, "+")
	switch media {
	case "application/grpc", "application/grpc-web":
		return "grpc"
	case "application/grpc-web-text":
		return "text"
	case "application/connect":
		return "connect"
	}
	return ""
}

func enveloped(contentType []string) bool {
	kind := envelopeKind(contentType)
	return kind == "grpc" || kind == "connect"
}

// inEnvelopes reports whether an answer is read as messages: only what was asked for as such. A stored body with that type,
// its lengths chosen, could be cut inside a value.
func inEnvelopes(resp *http.Response, r *http.Request) bool {
	return resp.StatusCode == http.StatusOK && enveloped(resp.Header["Content-Type"]) && enveloped(r.Header["Content-Type"])
}

// envelopes scrubs a body of messages. A message keeps its length, for what is inside counts bytes too: a hit becomes a
// filler that begins like the mask. Two parties choose where messages end, and one may be the program, by way of what it
// stored; so values are looked for in the bytes as they come, heads included, and one that reaches into a head ends the
// transfer: no border can cut a value in two.
//
// At the end of a message less than masking.MinScrub bytes are not held back, though a value may begin with them: else
// a dialogue could stop over one byte, each side waiting for the other. More are, until the next byte shows what they are.
//
// A body that ends inside a message ends with io.ErrUnexpectedEOF.
type envelopes struct {
	src io.Reader
	r   *renewed // what src gives, filled
	in  framing
	err error // of src

	heads []byte                 // the heads between in and out, as they came
	taken int64                  // bytes read from src
	given int64                  // of those, handed out by r
	tail  [masking.MinScrub]byte // the latest of taken, the last one at the end
	early int                    // bytes of tail that went on before r gave them, the last ones then

	out    framing
	dst    countedDst
	length int64 // the body's, where that was announced; -1: it was not
}

func newEnvelopes(src io.Reader, p *Proxy, on func(name string)) *envelopes {
	e := &envelopes{src: src, length: -1}
	// A message must not wait for the next one, as the whole last word would.
	e.r = p.scrubbing(envelopeSource{e}, masking.Fill, masking.Closely, on)
	return e
}

// WriteTo implements io.WriterTo. Each write is what was decided when nothing more was there to be read.
func (e *envelopes) WriteTo(w io.Writer) (int64, error) {
	e.dst.w = w
	_, err := e.r.WriteTo(envelopeSink{e})
	return e.dst.n, err
}

// Read is there for the type of a body; what copies bodies asks for WriteTo.
func (e *envelopes) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// envelopeSource is what the scrubber reads: src, in which the heads are noted.
type envelopeSource struct{ e *envelopes }

func (s envelopeSource) Read(p []byte) (int, error) {
	e := s.e
	if e.err != nil {
		return 0, e.err
	}
	if err := e.release(); err != nil {
		e.err = err
		return 0, err
	}
	n, err := e.src.Read(p)
	e.note(p[:n])
	for rest := p[:n]; len(rest) > 0; {
		run, head, bad := e.in.next(rest)
		if bad != nil {
			e.err = bad
			return n, bad
		}
		if head {
			e.heads = append(e.heads, rest[:run]...)
		}
		rest = rest[run:]
	}
	if err == io.EOF && !e.in.border() {
		err = io.ErrUnexpectedEOF
	}
	e.err = err
	return n, err
}

// note keeps the end of what was taken.
func (e *envelopes) note(p []byte) {
	e.taken += int64(len(p))
	p = p[max(0, len(p)-len(e.tail)):]
	copy(e.tail[:], e.tail[len(p):])
	copy(e.tail[len(e.tail)-len(p):], p)
}

// release hands on what r holds back, if that is little and a message ends with it. All that r has decided has been
// handed on by now: it reads only then.
func (e *envelopes) release() error {
	held := e.taken - e.given
	if held >= masking.MinScrub || held <= int64(e.early) || !e.in.border() {
		return nil
	}
	p := e.tail[len(e.tail)-int(held)+e.early:]
	e.early = int(held)
	return e.pass(p)
}

// envelopeSink takes what the scrubber gives.
type envelopeSink struct{ e *envelopes }

func (s envelopeSink) Write(p []byte) (int, error) {
	e := s.e
	e.given += int64(len(p))
	n := min(e.early, len(p)) // of a value, if they are filled now: its next byte is a head's, and was filled too
	e.early -= n
	return len(p), e.pass(p[n:])
}

// pass hands p on, once the heads in it are known to be as they came.
func (e *envelopes) pass(p []byte) error {
	heads := e.heads
	for rest := p; len(rest) > 0; {
		run, head, err := e.out.next(rest)
		if err != nil {
			return err
		}
		if head {
			if string(rest[:run]) != string(heads[:run]) {
				return errAcross
			}
			heads = heads[run:]
		}
		rest = rest[run:]
	}
	e.heads = e.heads[:copy(e.heads, heads)]
	if e.dst.n+int64(len(p)) == e.length && !e.out.border() {
		return io.ErrUnexpectedEOF // with all that was announced the client would take it for whole
	}
	return e.dst.put(p)
}

// framing follows a sequence of messages.
type framing struct {
	left int64 // of the payload
	n    int   // bytes of the head that have come; 0 in a payload
	head [envelopeHead]byte
}

// border reports whether a message has ended and no other begun.
func (f *framing) border() bool { return f.left == 0 && f.n == 0 }

// next is how many bytes at the beginning of p, which is not empty, belong to one head or to one payload. Behind a whole
// head, f.head is that one until the next begins.
func (f *framing) next(p []byte) (run int, head bool, err error) {
	if f.left > 0 {
		run = int(min(int64(len(p)), f.left))
		f.left -= int64(run)
		return run, false, nil
	}
	run = copy(f.head[f.n:], p)
	f.n += run
	if f.head[0]&^flagsKnown != 0 {
		return run, true, errEnvelope
	}
	if f.n == envelopeHead {
		f.n = 0
		f.left = int64(binary.BigEndian.Uint32(f.head[1:]))
	}
	return run, true, nil
}

// countedDst counts what w took.
type countedDst struct {
	w io.Writer
	n int64
}

func (c *countedDst) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// put is Write, of which nothing is seen when p is empty.
func (c *countedDst) put(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := c.Write(p)
	return err
}

// receiveEnvelopes streams the body of a gRPC answer, decoded already, message by message.
func (x *exchange) receiveEnvelopes(resp *http.Response, plain io.Reader, decoded bool, close io.Closer) {
	dropDigests(resp.Header)
	length := int64(-1)
	if names, _ := messageCodings(resp.Header); len(names) > 0 {
		// Before the bytes are searched as they come: what a coding leaves as it is would be filled, and not be decoded then.
		u := newUnfolded(plain, names, x.p, x.didScrub("body"))
		u.take, u.done, plain = x.take, x.giveBack, u
	} else if !decoded {
		length = resp.ContentLength
	}
	messages := newEnvelopes(plain, x.p, x.didScrub("body"))
	messages.length, x.w.length = length, length
	x.w.stream = true
	resp.Body = &scrubbedBody{r: messages, x: x, resp: resp, decoded: decoded, close: close}
}
