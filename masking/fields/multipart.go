package fields

import "bytes"

// maxPartHeader bounds the header of one part.
const maxPartHeader = 64 << 10

// A multipartLexer reads multipart/form-data (RFC 7578), strictly.
type multipartLexer struct {
	track *tracker
	dash  []byte // "--" and the boundary
	state partState
	place place // of the selected value
}

type partState uint8

const (
	partPreamble partState = iota // before the first delimiter
	partHead                      // inside a header, from the delimiter's CRLF on
	partHeld                      // inside a selected value
	partSkip                      // inside any other content
	partEnd                       // behind the last delimiter
)

func newMultipartLexer(t *tracker, boundary string) *multipartLexer {
	return &multipartLexer{track: t, dash: append([]byte("--"), boundary...)}
}

// validBoundary reports whether s is a boundary by RFC 2046 section 5.1.1.
func validBoundary(s string) bool {
	if s == "" || len(s) > 70 || s[len(s)-1] == ' ' {
		return false
	}
	for _, c := range []byte(s) {
		alnum := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !alnum && bytes.IndexByte([]byte("'()+_,-./:=? "), c) < 0 {
			return false
		}
	}
	return true
}

// progress is how far a piece of the grammar has been read.
type progress uint8

const (
	short progress = iota // it depends on what follows
	bad                   // it is malformed
	done
)

// scan implements lexer.
func (m *multipartLexer) scan(w *window, eof bool) (finding, error) {
	for {
		switch m.state {
		case partEnd:
			return finding{kind: malformed}, nil
		case partHead:
			p, err := m.head(w)
			if err != nil || p == short {
				return finding{kind: more}, err
			}
			if p == bad {
				return finding{kind: malformed}, nil
			}
		default:
			at, next, p := m.delimiter(w, eof)
			if m.state == partHeld && w.pos-2-w.hold > MaxMember {
				w.hold = -1
				m.state = partSkip
				return finding{kind: long, place: m.place}, nil
			}
			if p == short {
				return finding{kind: more}, nil
			}
			if p == bad {
				return finding{kind: malformed}, nil
			}
			held := m.state == partHeld
			m.state = next
			w.pos = at + len(m.dash)
			w.keep = w.pos
			if held {
				return finding{kind: found, place: m.place, end: at - 2}, nil
			}
		}
	}
}

// delimiter looks, from w.pos on, for the delimiter that ends the content which
// w.keep is in or at the start of. It leaves w.pos at the delimiter or, when
// there is none, where one may begin.
func (m *multipartLexer) delimiter(w *window, eof bool) (at int, next partState, p progress) {
	b := w.buf[:w.n]
	at = bytes.Index(b[w.pos:], m.dash)
	if at < 0 {
		w.pos = max(w.pos, w.n-len(m.dash)+1)
		if m.state != partHeld {
			w.keep = max(w.keep, w.pos-2)
		}
		return 0, 0, short
	}
	at += w.pos
	w.pos = at
	// At 0 stands the start of the body: two bytes are kept of all that is
	// passed later.
	first := m.state == partPreamble && at == 0
	afterLine := at-2 >= w.keep && string(b[at-2:at]) == "\r\n"
	if !first && !afterLine {
		return at, 0, bad
	}
	rest := b[at+len(m.dash):]
	switch {
	case bytes.HasPrefix(rest, []byte("\r\n")):
		return at, partHead, done
	case bytes.HasPrefix(rest, []byte("--\r\n")), eof && string(rest) == "--":
		return at, partEnd, done
	case !eof && (len(rest) < 2 || string(rest) == "--" || string(rest) == "--\r"):
		return at, 0, short
	}
	return at, 0, bad
}

// head reads the header of a part: what is from w.keep, the CRLF of its
// delimiter, to the first blank line. The error is that of a name that has
// thereby occurred again.
func (m *multipartLexer) head(w *window) (progress, error) {
	b := w.buf[:w.n]
	from := max(w.keep, w.pos-3)
	end := bytes.Index(b[from:], []byte("\r\n\r\n"))
	if end < 0 {
		w.pos = w.n
		if w.n-3-w.keep > maxPartHeader {
			return bad, nil
		}
		return short, nil
	}
	end += from
	lines := b[w.keep+2 : end+2]
	if end-w.keep > maxPartHeader || bytes.Contains(lines, m.dash) {
		return bad, nil
	}
	names, editable, ok := readPartHeader(lines)
	if !ok {
		return bad, nil
	}
	w.pos, w.keep = end+4, end+4
	m.state = partSkip
	for _, name := range names {
		if err := m.track.charset(name); err != nil {
			return done, err
		}
		p, selected, _ := m.track.top(name, false)
		if !selected {
			continue
		}
		if m.track.occur(p) {
			return done, m.track.ambiguous(p, false)
		}
		if editable {
			m.state, m.place = partHeld, p
			w.hold = w.pos
		}
	}
	return done, nil
}

// value implements lexer.
func (m *multipartLexer) value(raw []byte) ([]byte, bool) { return raw, true }

// encode implements lexer.
func (m *multipartLexer) encode(dst, v []byte) ([]byte, bool) {
	return append(dst, v...), !m.delimits(v)
}

// delimits reports whether a line of v begins as a delimiter does. One that stands elsewhere in a line is none (RFC 2046
// section 5.1.1); to refuse those too would tell whoever chooses the boundary what stands in v.
func (m *multipartLexer) delimits(v []byte) bool {
	for from := 0; ; {
		i := bytes.Index(v[from:], m.dash)
		if i < 0 {
			return false
		}
		if i += from; i == 0 || v[i-1] == '\n' || v[i-1] == '\r' {
			return true
		}
		from = i + 1
	}
}
