package masking

import (
	"strings"
	"unicode/utf16"
)

// jsonStyle is a way of writing a JSON string: what is escaped beyond what must
// be, and with which digits.
type jsonStyle struct {
	extra  string // characters written as \uXXXX
	slash  bool   // / as \/
	lines  bool   // U+2028 and U+2029 as \uXXXX
	ascii  bool   // all beyond ASCII as \uXXXX
	digits string
}

// jsonStyles are the encoders' common ones: JSON.stringify and most others;
// Go and Ruby on Rails (< > &, line separators); Python, Ruby and PHP (ASCII
// only), PHP with \/; .NET (ASCII only, and quotes as \u0022).
var jsonStyles = func() (all []jsonStyle) {
	for _, digits := range []string{lowerHex, upperHex} {
		for _, extra := range []string{"", "<>&"} {
			for _, slash := range []bool{false, true} {
				for _, ascii := range []bool{false, true} {
					all = append(all, jsonStyle{extra: extra, slash: slash, lines: extra != "" || ascii, ascii: ascii, digits: digits})
				}
			}
		}
	}
	return append(all,
		jsonStyle{extra: "<>&'\"+`\x7f", ascii: true, digits: upperHex},
		jsonStyle{extra: "<>&'\"", slash: true, ascii: true, digits: upperHex})
}()

// escape returns v, valid UTF-8, as it stands between the quotes.
func (j jsonStyle) escape(v []byte) []byte {
	out := make([]byte, 0, len(v)+16)
	for _, r := range string(v) {
		short := strings.IndexRune("\"\\\b\f\n\r\t", r)
		switch {
		case r < 0x80 && strings.IndexByte(j.extra, byte(r)) >= 0,
			r < ' ' && short < 0,
			r >= 0x80 && j.ascii,
			(r == 0x2028 || r == 0x2029) && j.lines:
			for _, u := range utf16Units(r) {
				out = append(out, '\\', 'u', j.digits[u>>12], j.digits[u>>8&15], j.digits[u>>4&15], j.digits[u&15])
			}
		case short >= 0:
			out = append(out, '\\', `"\bfnrt`[short])
		case r == '/' && j.slash:
			out = append(out, '\\', '/')
		default:
			out = append(out, string(r)...)
		}
	}
	return out
}

// utf16Units returns the one or two UTF-16 code units of r.
func utf16Units(r rune) []uint16 {
	return utf16.AppendRune(make([]uint16, 0, 2), r)
}
