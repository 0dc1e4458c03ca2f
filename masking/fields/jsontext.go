package fields

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// plain returns the index of the first byte at or after i that is a quote, a
// backslash or a control byte, or len(b). It looks at eight bytes at a time: a
// zero byte of x borrows in x-ones, and the lowest borrow is exact.
func plain(b []byte, i int) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^ones*'"', x^ones*'\\'
		m := (quote-ones)&^quote | (slash-ones)&^slash | (x-ones*' ')&^x
		if m &= highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' || c < ' ' {
			break
		}
	}
	return i
}

// stop is why skim has stopped.
type stop uint8

const (
	stopShort stop = iota // what follows is not in memory yet
	stopQuote             // the string's closing quote
	stopBad               // no JSON string goes on like that
)

// skim returns where, at or after i, the string that b[i] is in stops.
func skim(b []byte, i int) (int, stop) {
	for {
		i = plain(b, i)
		switch {
		case i == len(b):
			return i, stopShort
		case b[i] == '"':
			return i, stopQuote
		case b[i] != '\\':
			return i, stopBad
		}
		switch {
		case i+1 == len(b):
			return i, stopShort
		case unescaped[b[i+1]] != 0:
			i += 2
			continue
		case b[i+1] != 'u':
			return i, stopBad
		}
		switch _, n := unhex4(b[i:]); n {
		case 0:
			return i, stopShort
		case -1:
			return i, stopBad
		}
		i += 6
	}
}

// unescaped has what follows a backslash and what the two stand for.
var unescaped = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// unescape decodes the escape, or pair of surrogate escapes, at the start of b.
// A lone surrogate is returned as such. n is its length, 0 if that depends on
// what follows b, which last rules out, and -1 for what is not an escape.
func unescape(b []byte, last bool) (r rune, n int) {
	short := 0
	if last {
		short = -1
	}
	if len(b) < 2 {
		return 0, short
	}
	if b[1] != 'u' {
		if unescaped[b[1]] == 0 {
			return 0, -1
		}
		return rune(unescaped[b[1]]), 2
	}
	r, n = unhex4(b)
	if n < 6 || r < 0xd800 || r >= 0xdc00 {
		if n == 0 {
			n = short
		}
		return r, n
	}
	// A high surrogate: a low one makes a pair of it.
	rest := b[6:]
	if len(rest) == 0 || rest[0] == '\\' && len(rest) == 1 {
		if !last {
			return 0, 0
		}
		return r, 6
	}
	if rest[0] != '\\' || rest[1] != 'u' {
		return r, 6
	}
	low, m := unhex4(rest)
	if m == 0 && !last {
		return 0, 0
	}
	if pair := utf16.DecodeRune(r, low); m == 6 && pair != utf8.RuneError {
		return pair, 12
	}
	return r, 6
}

// unhex4 decodes the \uXXXX at the start of b; n is 6, 0 if b ends too early,
// or -1.
func unhex4(b []byte) (r rune, n int) {
	for i := 2; i < 6; i++ {
		if i >= len(b) {
			return 0, 0
		}
		h := unhex(b[i])
		if h < 0 {
			return 0, -1
		}
		r = r<<4 | rune(h)
	}
	return r, 6
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// appendRune appends r, a surrogate in the generalised form of UTF-8.
func appendRune(dst []byte, r rune) []byte {
	if utf16.IsSurrogate(r) {
		return append(dst, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
	}
	return utf8.AppendRune(dst, r)
}

// decodeJSON appends what the JSON string between whose quotes raw stands says.
func decodeJSON(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		r, n := unescape(raw[i:], true)
		dst = appendRune(append(dst, raw[:i]...), r)
		raw = raw[i+n:]
	}
}

// encodeJSON appends v as it stands between the quotes of a JSON string. It
// escapes only what must be: quotes, backslashes, control bytes, and surrogates
// in their generalised form. It returns false if v is not UTF-8 otherwise.
func encodeJSON(dst, v []byte) ([]byte, bool) {
	const digits = "0123456789abcdef"
	dst = slices.Grow(dst, len(v))
	for i := 0; i < len(v); {
		c := v[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			_, n := utf8.DecodeRune(v[i:])
			if n > 1 {
				dst = append(dst, v[i:i+n]...)
				i += n
				continue
			}
			r := surrogate(v[i:])
			if r < 0 {
				return dst, false
			}
			dst = append(dst, '\\', 'u', 'd', digits[r>>8&15], digits[r>>4&15], digits[r&15])
			i += 3
			continue
		}
		i++
	}
	return dst, true
}

// surrogate returns the surrogate whose generalised form b begins with, or -1.
func surrogate(b []byte) rune {
	if len(b) < 3 || b[0] != 0xed || b[1]&0xe0 != 0xa0 || b[2]&0xc0 != 0x80 {
		return -1
	}
	return 0xd000 | rune(b[1]&0x3f)<<6 | rune(b[2]&0x3f)
}
