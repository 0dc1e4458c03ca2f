package proxy

import (
	"context"
	"encoding/binary"
	"io"
	"unicode/utf8"

	"kz/masking"
	"kz/proxy/policy"
)

// frameEditor changes what one direction of a WebSocket carries.
type frameEditor interface {
	// looks reports whether messages of this kind are looked into. Others go on as they came.
	looks(op opcode) bool
	// whole returns p, the payload of a message, edited; p itself when there is nothing to change. With false the result
	// would be long, and stream is to be used.
	whole(p []byte) ([]byte, bool)
	// stream returns the payload of a message, edited, as it comes.
	stream(r io.Reader) io.Reader
	// control returns the payload of a control frame, edited; p itself when there is nothing to change.
	control(op opcode, p []byte) ([]byte, error)
}

// frameScrubber takes values out of what an upstream sends. Values learned since the connection began count.
type frameScrubber struct {
	x  *exchange
	on func(name string)
}

func (s *frameScrubber) looks(opcode) bool { return true }

func (s *frameScrubber) whole(p []byte) ([]byte, bool) { return s.x.p.scrubbers().Bytes(p, s.on), true }

func (s *frameScrubber) stream(r io.Reader) io.Reader {
	return s.x.p.scrubbing(r, masking.Restore, masking.Evenly, s.on)
}

// control keeps the code of a close frame, and cuts what would not fit.
func (s *frameScrubber) control(op opcode, p []byte) ([]byte, error) {
	scrub, code := s.x.p.scrubbers(), 0
	if op == opClose && len(p) > 0 {
		if code = 2; len(p) == 1 || !closeCode(binary.BigEndian.Uint16(p)) {
			return nil, &framingError{"a close frame has no valid code"}
		}
	}
	if _, found := scrub.Find(p); !found {
		return p, nil
	}
	edited := append(p[:code:code], scrub.Bytes(p[code:], s.on)...)
	if len(edited) > maxControl {
		edited = edited[:maxControl]
		for op == opClose && len(edited) > code && !utf8.Valid(edited[code:]) {
			edited = edited[:len(edited)-1]
		}
	}
	if _, found := scrub.Find(edited); found {
		return nil, &framingError{"a value begins in the code of a close frame"}
	}
	return edited, nil
}

// closeCode reports whether a close frame may carry the code (RFC 6455, section 7.4).
func closeCode(c uint16) bool {
	return c >= 1000 && c < 5000 && c != 1004 && c != 1005 && c != 1006 && c != 1015
}

// frameSwapper puts values into the text messages of a client. Where a message looks like JSON, which it does when it
// begins with { or [, the value is escaped as in a JSON string; anywhere else it goes in as it is.
type frameSwapper struct {
	x    *exchange
	ctx  context.Context
	told map[toldSwap]bool
}

// toldSwap is what the audit says once for a connection, however many messages it has.
type toldSwap struct {
	secret  string
	swapped bool
}

// maxSwapped bounds a message that is put together in memory.
const maxSwapped = maxHeld

func (s *frameSwapper) looks(op opcode) bool { return op == opText }

func (s *frameSwapper) control(_ opcode, p []byte) ([]byte, error) { return p, nil }

func (s *frameSwapper) whole(p []byte) ([]byte, bool) {
	table, last := s.x.p.opts.Table, 0
	hit, ok := table.Next(p, 0)
	if !ok {
		return p, true
	}
	var first firstByte
	first.note(p)
	var out []byte
	for ; ok; hit, ok = table.Next(p, hit.End) {
		value, swap := s.value(hit.Name, p[:hit.Start], first.json())
		if !swap {
			continue
		}
		if out = append(append(out, p[last:hit.Start]...), value...); len(out) > maxSwapped {
			return nil, false
		}
		last = hit.End
	}
	if last == 0 {
		return p, true
	}
	return append(out, p[last:]...), true
}

func (s *frameSwapper) stream(r io.Reader) io.Reader {
	f := &firstByte{r: r}
	return s.x.p.opts.Table.ReaderAfter(f, func(name string, before []byte) ([]byte, bool) { return s.value(name, before, f.json()) })
}

// value is what goes in for one mask, behind before; with false the mask stays, inert as it is.
func (s *frameSwapper) value(name string, before []byte, json bool) ([]byte, bool) {
	d := s.x.scope.Judge(name, policy.Site{Kind: policy.InFrame})
	if d.Verdict != policy.Swap {
		return s.withhold(name, d.Reason)
	}
	if takesIn(before) {
		return s.withhold(name, "what stands before it begins an escape, which would take in the beginning of the value")
	}
	v, ref := s.x.p.value(s.ctx, name, s.x.scope.Authority)
	if ref != nil {
		return s.withhold(name, ref.Message)
	}
	if !utf8.ValidString(v) {
		return s.withhold(name, "the value is not UTF-8, which a text message must be")
	}
	if s.tell(name, true) {
		s.x.didSwap(name, d.Place.String())
	}
	if json {
		return jsonString(v), true
	}
	return []byte(v), true
}

func (s *frameSwapper) withhold(name, reason string) ([]byte, bool) {
	if s.tell(name, false) {
		s.x.didWithhold(name, policy.Site{Kind: policy.InFrame}.Entry(), reason)
	}
	return nil, false
}

// tell reports whether this is said for the first time.
func (s *frameSwapper) tell(name string, swapped bool) bool {
	t := toldSwap{name, swapped}
	told := s.told[t]
	s.told[t] = true
	return !told
}

// firstByte notes the first byte of a message that is not white space.
type firstByte struct {
	r io.Reader
	b byte
}

func (f *firstByte) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	f.note(p[:n])
	return n, err
}

func (f *firstByte) note(p []byte) {
	for i := 0; i < len(p) && f.b == 0; i++ {
		switch p[i] {
		case ' ', '\t', '\r', '\n':
		default:
			f.b = p[i]
		}
	}
}

func (f *firstByte) json() bool { return f.b == '{' || f.b == '[' }
