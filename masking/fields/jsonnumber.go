package fields

// A numberState is what of a number (RFC 8259 section 6) has been read.
type numberState uint8

const (
	numMinus numberState = iota
	numZero
	numInt
	numPoint
	numFraction
	numE
	numSign
	numExponent
)

// readNumber reads on inside a number. It returns the next index and false
// where the number goes on as none may.
func (j *jsonLexer) readNumber(b []byte, i int) (int, bool) {
	for ; i < len(b); i++ {
		c := b[i]
		digit := '0' <= c && c <= '9'
		switch s := j.number; {
		case digit && (s == numInt || s == numFraction || s == numExponent):
			for i+1 < len(b) && '0' <= b[i+1] && b[i+1] <= '9' {
				i++
			}
		case digit && s == numMinus:
			j.number = numInt
			if c == '0' {
				j.number = numZero
			}
		case digit && s == numPoint:
			j.number = numFraction
		case digit && (s == numE || s == numSign):
			j.number = numExponent
		case c == '.' && (s == numZero || s == numInt):
			j.number = numPoint
		case c|0x20 == 'e' && (s == numZero || s == numInt || s == numFraction):
			j.number = numE
		case (c == '+' || c == '-') && s == numE:
			j.number = numSign
		default:
			// Digits after a leading zero are not what may follow a value.
			j.endValue()
			j.separate = true
			return i, s == numZero || s == numInt || s == numFraction || s == numExponent
		}
	}
	return i, true
}
