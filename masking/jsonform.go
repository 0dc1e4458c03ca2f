package masking

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf16"
)

// jsonStyle is a way of writing a JSON string: what is escaped beyond what must
// be, and with which digits.
type jsonStyle struct {
	extra  string // characters written as \uXXXX
	slash  bool   // / as \/
	ascii  bool   // all beyond ASCII as \uXXXX
	all    bool   // everything as \uXXXX
	digits string
	rest   string // digits of what is no printable ASCII, if not the same: PHP
}

// jsonExtras are the encoders' common ones.
var jsonExtras = []string{
	special,
	"",                                   // JSON.stringify and most others
	"<>",                                 // PHP, where asked for
	"<>&\u2028\u2029",                    // Go, Ruby on Rails
	"<>&'\"",                             // PHP, where asked for all
	"<>&='\u2028\u2029",                  // Gson
	"<>&'\"+`\x7f",                       // .NET
	"<>&'\"+`",                           // the same where DEL is left alone
	"<>&=-;'\"\\`\b\f\n\r\t\u2028\u2029", // Django's escapejs
}

// json adds the forms in a JSON string, and those in a JSON string within one.
func (f *formSet) json(v []byte) {
	minimal := jsonStyle{digits: lowerHex}
	inner := minimal.escape(v)
	for _, style := range jsonStyles(v) {
		form := style.escape(v)
		f.add(form)
		f.add(minimal.escape(form))
		if len(v) > long {
			continue
		}
		f.add(style.escape(inner))
		if style.slash {
			f.add(jsonStyle{slash: true, digits: lowerHex}.escape(form))
		}
	}
	for _, digits := range []string{lowerHex, upperHex} {
		full := jsonStyle{all: true, digits: digits}.escape(v)
		f.add(full)
		f.add(minimal.escape(full))
	}
}

// jsonStyles are those that differ for v.
func jsonStyles(v []byte) (all []jsonStyle) {
	own, ascii := others(v), []bool{false}
	if slices.ContainsFunc(v, func(c byte) bool { return c >= 0x80 }) {
		ascii = append(ascii, true)
	}
	beyond := slices.ContainsFunc(v, func(c byte) bool { return c < ' ' || c >= 0x80 })
	extras := slices.Concat(jsonExtras, mixtures(v), []string{own})
	if len(v) > long {
		extras = jsonExtras
	}
	for _, extra := range extras {
		style := jsonStyle{extra: within(own, extra)}
		for _, style.ascii = range ascii {
			for _, style.digits = range []string{lowerHex, upperHex} {
				style.slash = false
				all = also(all, style)
				if bytes.IndexByte(v, '/') >= 0 {
					style.slash = true
					all = also(all, style)
				}
				if beyond && style.digits == upperHex {
					style.rest = lowerHex
					all = also(all, style)
					style.rest = ""
				}
			}
		}
	}
	return all
}

// escape returns v, valid UTF-8, as it stands between the quotes.
func (j jsonStyle) escape(v []byte) []byte {
	out := make([]byte, 0, len(v)+16)
	for _, r := range string(v) {
		if !j.all && strings.ContainsRune(letters, r) {
			out = append(out, byte(r))
			continue
		}
		short := strings.IndexRune("\"\\\b\f\n\r\t", r)
		switch {
		case j.all || strings.ContainsRune(j.extra, r) || r < ' ' && short < 0 || r >= 0x80 && j.ascii:
			digits := j.digits
			if j.rest != "" && (r < ' ' || r >= 0x80) {
				digits = j.rest
			}
			for _, u := range utf16Units(r) {
				out = append(out, '\\', 'u', digits[u>>12], digits[u>>8&15], digits[u>>4&15], digits[u&15])
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
