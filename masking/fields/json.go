package fields

import (
	"bytes"
	"strconv"
)

// maxDepth bounds nesting; the stack takes one bit for each level.
const maxDepth = 64 << 10

// A jsonLexer reads JSON documents (RFC 8259), one after the other.
type jsonLexer struct {
	track    *tracker
	state    jsonState
	number   numberState
	literal  string // what must follow of true, false or null
	separate bool   // the last value was a number or literal: white space must precede another document

	bits   []uint64 // one for each level, 1: object
	depth  int
	frames []frame // the outermost levels, as far as the selector knows them

	key      []byte // decoded, of a member of the innermost frame
	tooLong  bool   // key is longer than any that matters
	node     place  // of the value that follows; valid if onPath
	onPath   bool
	selected bool

	scratch []byte // the last decoded value

	// Room for what is usual, so that it is not allocated piece by piece.
	roomForBits   [1]uint64
	roomForFrames [4]frame
}

func newJSONLexer(t *tracker) *jsonLexer {
	j := &jsonLexer{track: t}
	j.bits, j.frames = j.roomForBits[:0], j.roomForFrames[:0]
	return j
}

// A frame is an object or array that is a node of the selector.
type frame struct {
	node  int32
	index int // of an array's current element
}

type jsonState uint8

const (
	jsonTop        jsonState = iota // between documents
	jsonValue                       // a value must follow
	jsonFirst                       // a value or ']'
	jsonFirstKey                    // a key or '}'
	jsonNextKey                     // a key
	jsonKey                         // inside a key
	jsonColon                       // ':'
	jsonString                      // inside a string that is a value
	jsonNumber                      // inside a number
	jsonLiteral                     // inside true, false or null
	jsonAfterValue                  // ',' or the end of the object or array
)

// scan implements lexer.
func (j *jsonLexer) scan(w *window, _ bool) (finding, error) {
	b := w.buf[:w.n]
	i := w.pos
	f := finding{kind: more}
	var err error
loop:
	for i < len(b) {
		ok := true
		switch j.state {
		case jsonString:
			var why stop
			if i, why = skim(b, i); w.hold >= 0 && i-w.hold > MaxMember {
				w.hold = -1
				f = finding{kind: long, place: j.node}
				break loop
			}
			switch why {
			case stopShort:
				break loop
			case stopQuote:
				end := i
				i++
				j.endValue()
				if w.hold >= 0 {
					f = finding{kind: found, place: j.node, end: end}
					break loop
				}
			case stopBad:
				ok = false
			}
		case jsonKey:
			var why stop
			if i, why = j.readKey(b, i); why == stopShort {
				break loop
			}
			if ok = why == stopQuote; ok {
				if err = j.endKey(); err != nil {
					break loop
				}
				i++
			}
		case jsonNumber:
			i, ok = j.readNumber(b, i)
		case jsonLiteral:
			if ok = b[i] == j.literal[0]; ok {
				i++
				if j.literal = j.literal[1:]; j.literal == "" {
					j.endValue()
					j.separate = true
				}
			}
		default:
			if c := b[i]; c == ' ' || c == '\n' || c == '\t' || c == '\r' {
				i++
				j.separate = false
				continue
			}
			i, ok = j.token(w, b, i)
		}
		if !ok {
			f.kind = malformed
			break
		}
	}
	w.pos, w.keep = i, i
	if w.hold >= 0 {
		w.keep = w.hold
	}
	return f, err
}

// token reads one byte between values, keys and strings. It returns the next
// index and whether the byte may stand there.
func (j *jsonLexer) token(w *window, b []byte, i int) (int, bool) {
	c := b[i]
	switch j.state {
	case jsonTop:
		if j.separate {
			return i, false
		}
		j.track.reset()
		j.node, j.onPath, j.selected = 0, true, false
		return i + 1, j.startValue(w, c, i+1)
	case jsonFirst:
		if c == ']' {
			return i + 1, j.pop(false)
		}
		fallthrough
	case jsonValue:
		j.element()
		return i + 1, j.startValue(w, c, i+1)
	case jsonFirstKey, jsonNextKey:
		if c == '}' && j.state == jsonFirstKey {
			return i + 1, j.pop(true)
		}
		j.key, j.tooLong = j.key[:0], false
		j.state = jsonKey
		return i + 1, c == '"'
	case jsonColon:
		j.state = jsonValue
		return i + 1, c == ':'
	}
	// jsonAfterValue
	switch c {
	case ',':
		j.state = jsonValue
		if j.inObject() {
			j.state = jsonNextKey
		}
		return i + 1, true
	case '}', ']':
		return i + 1, j.pop(c == '}')
	}
	return i, false
}

// startValue begins the value whose first byte is c. A string's content begins
// at next. It returns false if no value begins with c.
func (j *jsonLexer) startValue(w *window, c byte, next int) bool {
	switch c {
	case '"':
		j.state = jsonString
		if j.selected {
			w.hold = next
		}
		return true
	case '{', '[':
		return j.push(c == '{')
	case 't':
		j.literal = "rue"
	case 'f':
		j.literal = "alse"
	case 'n':
		j.literal = "ull"
	case '-':
		j.state, j.number = jsonNumber, numMinus
		return true
	case '0':
		j.state, j.number = jsonNumber, numZero
		return true
	default:
		j.state, j.number = jsonNumber, numInt
		return '1' <= c && c <= '9'
	}
	j.state = jsonLiteral
	return true
}

// endValue goes on behind a value; j.node is left for the finding.
func (j *jsonLexer) endValue() {
	j.onPath, j.selected, j.separate = false, false, false
	j.state = jsonAfterValue
	if j.depth == 0 {
		j.state = jsonTop
	}
}

// push enters an object or array and returns false if that is too deep.
func (j *jsonLexer) push(object bool) bool {
	if j.depth == maxDepth {
		return false
	}
	if j.onPath && j.node >= 0 {
		// Deeper levels cannot match once one has not: frames has no gaps.
		j.frames = append(j.frames, frame{node: int32(j.node), index: -1})
	}
	if j.depth>>6 == len(j.bits) {
		j.bits = append(j.bits, 0)
	}
	bit := uint64(1) << (j.depth & 63)
	j.bits[j.depth>>6] &^= bit
	j.state = jsonFirst
	if object {
		j.bits[j.depth>>6] |= bit
		j.state = jsonFirstKey
	}
	j.depth++
	j.onPath, j.selected = false, false
	return true
}

// pop leaves an object or array; false: it is the other of the two.
func (j *jsonLexer) pop(object bool) bool {
	if j.inObject() != object {
		return false
	}
	j.depth--
	if len(j.frames) > j.depth {
		j.frames = j.frames[:j.depth]
	}
	j.endValue()
	return true
}

// inObject reports whether the innermost level is an object. There must be one.
func (j *jsonLexer) inObject() bool {
	d := j.depth - 1
	return j.bits[d>>6]>>(d&63)&1 == 1
}

// frame returns the innermost level if the selector knows it.
func (j *jsonLexer) frame() *frame {
	if j.depth == 0 || len(j.frames) != j.depth {
		return nil
	}
	return &j.frames[j.depth-1]
}

// readKey reads on inside a key, and collects it if it may matter.
func (j *jsonLexer) readKey(b []byte, i int) (int, stop) {
	if len(j.frames) != j.depth || j.tooLong {
		return skim(b, i)
	}
	for {
		e := plain(b, i)
		j.key = append(j.key, b[i:min(e, i+j.track.sel.longest+1)]...)
		switch i = e; {
		case i == len(b):
			j.limitKey()
			return i, stopShort
		case b[i] == '"':
			j.limitKey()
			return i, stopQuote
		case b[i] != '\\':
			return i, stopBad
		}
		r, n := unescape(b[i:], false)
		if n <= 0 {
			if n == 0 {
				return i, stopShort
			}
			return i, stopBad
		}
		j.key = appendRune(j.key, r)
		i += n
		if j.limitKey(); j.tooLong {
			return skim(b, i)
		}
	}
}

// limitKey gives up a key that is longer than any that matters.
func (j *jsonLexer) limitKey() {
	if len(j.key) > j.track.sel.longest {
		j.key, j.tooLong = j.key[:0], true
	}
}

// endKey looks up the key that has just ended. The error is that of a place
// that has thereby occurred again.
func (j *jsonLexer) endKey() error {
	j.state = jsonColon
	fr := j.frame()
	if fr == nil || j.tooLong {
		return nil
	}
	if j.depth == 1 {
		j.node, j.selected, j.onPath = j.track.top(j.key, true)
	} else if c := j.track.sel.child(fr.node, j.key); c > 0 {
		j.node, j.selected, j.onPath = place(c), j.track.sel.nodes[c].byPtr, true
	}
	if j.onPath && j.track.occur(j.node) {
		return j.track.ambiguous(j.node, true)
	}
	return nil
}

// element looks up the next element when the innermost level is an array. It
// need not note that it occurs: it can only do so again below a key that does.
func (j *jsonLexer) element() {
	fr := j.frame()
	if fr == nil || j.inObject() {
		return
	}
	fr.index++
	if sel := j.track.sel; len(sel.nodes[fr.node].children) > 0 {
		var buf [20]byte
		c := sel.child(fr.node, strconv.AppendInt(buf[:0], int64(fr.index), 10))
		if c > 0 {
			j.node, j.selected, j.onPath = place(c), sel.nodes[c].byPtr, true
		}
	}
}

// value implements lexer.
func (j *jsonLexer) value(raw []byte) ([]byte, bool) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw, true
	}
	j.scratch = decodeJSON(j.scratch[:0], raw)
	return j.scratch, true
}

// encode implements lexer.
func (j *jsonLexer) encode(dst, v []byte) ([]byte, bool) { return encodeJSON(dst, v) }
