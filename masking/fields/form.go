package fields

import "bytes"

// A formLexer reads application/x-www-form-urlencoded as the WHATWG URL
// standard has it, except that it does not read invalid percent escapes.
type formLexer struct {
	track   *tracker
	state   formState
	begun   bool   // the field has a byte
	name    []byte // decoded
	bad     bool   // the name is longer than any that matters, or badly escaped
	place   place
	scratch []byte // the last decoded value
}

type formState uint8

const (
	formName formState = iota
	formHeld           // inside a selected value
	formSkip           // inside any other value
)

// scan implements lexer.
func (x *formLexer) scan(w *window, eof bool) (finding, error) {
	b := w.buf[:w.n]
	i := w.pos
	f := finding{kind: more}
	var err error
	for i < len(b) && f.kind == more && err == nil {
		switch x.state {
		case formName:
			n := x.readName(b[i:], eof)
			if n == 0 {
				w.pos, w.keep = i, i
				return f, nil
			}
			if c := b[i]; n == 1 && (c == '=' || c == '&') {
				err = x.endName(c == '=')
				if err != nil {
					break
				}
				if x.state == formHeld {
					w.hold = i + 1
				}
			}
			i += n
		case formSkip:
			n := bytes.IndexByte(b[i:], '&')
			if n < 0 {
				i = len(b)
				break
			}
			i += n + 1
			x.startField()
		case formHeld:
			n := bytes.IndexByte(b[i:], '&')
			if n < 0 {
				n = len(b) - i
			}
			switch i += n; {
			case i-w.hold > MaxMember:
				w.hold = -1
				x.state = formSkip
				f = finding{kind: long, place: x.place}
			case i < len(b):
				f = finding{kind: found, place: x.place, end: i}
				x.state = formSkip // which goes on at the '&'
			}
		}
	}
	if eof && err == nil && f.kind == more {
		switch {
		case x.state == formHeld:
			f = finding{kind: found, place: x.place, end: i}
			x.state = formSkip
		case x.state == formName && x.begun:
			err = x.endName(false)
		}
	}
	w.pos, w.keep = i, i
	if w.hold >= 0 {
		w.keep = w.hold
	}
	return f, err
}

func (x *formLexer) startField() {
	x.state, x.begun, x.name, x.bad = formName, false, x.name[:0], false
}

// readName reads one byte or escape of a name. It returns how much of b that
// is, 0 if that depends on what follows.
func (x *formLexer) readName(b []byte, eof bool) int {
	c, n := b[0], 1
	switch c {
	case '=', '&':
		return 1
	case '+':
		c = ' '
	case '%':
		if len(b) < 3 && !eof {
			return 0
		}
		var ok bool
		if c, ok = unpercent(b); ok {
			n = 3
		} else {
			x.bad = true
		}
	}
	x.begun = true
	if len(x.name) > x.track.sel.longest {
		x.bad = true
	} else {
		x.name = append(x.name, c)
	}
	return n
}

// endName looks up the name that '=' or the end of its field has ended. The
// error is that of a place that has thereby occurred again.
func (x *formLexer) endName(value bool) error {
	begun := x.begun || value
	name, bad := x.name, x.bad
	x.startField()
	if value {
		x.state = formSkip
	}
	if bad || !begun {
		return nil
	}
	if err := x.track.charset(name); err != nil {
		return err
	}
	p, selected, _ := x.track.top(name, false)
	if !selected {
		return nil
	}
	if x.track.occur(p) {
		return x.track.ambiguous(p, false)
	}
	if value {
		x.state, x.place = formHeld, p
	}
	return nil
}

// value implements lexer.
func (x *formLexer) value(raw []byte) ([]byte, bool) {
	// Some receivers begin another field at a semicolon.
	one := bytes.IndexByte(raw, ';') < 0
	if bytes.IndexByte(raw, '%') < 0 && bytes.IndexByte(raw, '+') < 0 {
		return raw, one
	}
	var ok bool
	x.scratch, ok = decodeForm(x.scratch[:0], raw)
	return x.scratch, ok && one
}

// encode implements lexer.
func (x *formLexer) encode(dst, v []byte) ([]byte, bool) {
	return encodeForm(dst, v), true
}

// decodeForm appends raw decoded. A percent sign that begins no escape stands
// for itself and makes ok false.
func decodeForm(dst, raw []byte) (decoded []byte, ok bool) {
	ok = true
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if d, valid := unpercent(raw[i:]); valid {
				c = d
				i += 2
			} else {
				ok = false
			}
		}
		dst = append(dst, c)
	}
	return dst, ok
}

// unpercent decodes the escape at the start of b, which is a percent sign that
// ok == false leaves alone.
func unpercent(b []byte) (c byte, ok bool) {
	if len(b) < 3 || unhex(b[1]) < 0 || unhex(b[2]) < 0 {
		return '%', false
	}
	return byte(unhex(b[1])<<4 | unhex(b[2])), true
}

// encodeForm appends v as application/x-www-form-urlencoded has it.
func encodeForm(dst, v []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range v {
		switch {
		case c == ' ':
			dst = append(dst, '+')
		case '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'z', c == '*', c == '-', c == '.', c == '_':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}
