package masking

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// forms returns the byte strings to look for because of one value: the value
// and its encodings, each once. None is shorter than the value without its last
// newline, and none than MinScrub, for a value that is not.
func forms(value []byte) [][]byte {
	var all formSet
	for _, v := range lineEnds(trimNewline(value)) {
		all.add(v)
		all.encoded(v)
		all.base64(v)
	}
	// What `echo value | base64` writes differs to the last digit; in all other
	// forms the newline comes after that of the value itself.
	all.base64(value)
	return all.list
}

// trimNewline drops one line break from the end: a file's, not the secret's.
func trimNewline(v []byte) []byte {
	if t, ok := bytes.CutSuffix(v, []byte("\r\n")); ok {
		return t
	}
	return bytes.TrimSuffix(v, []byte("\n"))
}

// lineEnds returns v, and v with each line break as LF and as CR LF.
func lineEnds(v []byte) [][]byte {
	lf := bytes.ReplaceAll(v, []byte("\r\n"), []byte("\n"))
	return [][]byte{v, lf, bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))}
}

// formSet is a list without duplicates and without what is too short.
type formSet struct {
	list [][]byte
	seen map[string]bool
}

func (f *formSet) add(form []byte) {
	if len(form) < MinScrub || f.seen[string(form)] {
		return
	}
	if f.seen == nil {
		f.seen = make(map[string]bool)
	}
	f.seen[string(form)] = true
	f.list = append(f.list, bytes.Clone(form))
}

// encoded adds all forms but the value itself and base64.
func (f *formSet) encoded(v []byte) {
	f.hex(v)
	f.add(percentEncode(v, "", false, upperHex))
	f.add(percentEncode(v, "", false, lowerHex))
	valid := utf8.Valid(v)
	if valid {
		little, big := utf16Bytes(v)
		f.add(little)
		f.add(big)
	}
	if !slices.ContainsFunc(v, special) {
		return // what follows changes nothing
	}
	for _, digits := range []string{upperHex, lowerHex} {
		for _, keep := range percentKept {
			f.add(percentEncode(v, keep, false, digits))
		}
		for _, keep := range formKept {
			f.add(percentEncode(v, keep, true, digits))
		}
	}
	for _, html := range htmlEscapers {
		f.add([]byte(html.Replace(string(v))))
	}
	if valid {
		for _, style := range jsonStyles {
			f.add(style.escape(v))
		}
	}
}

// special says whether any of the escapers has its way with c.
func special(c byte) bool {
	return strings.IndexByte(letters+"-._", c) < 0
}

func (f *formSet) hex(v []byte) {
	digits := hex.AppendEncode(nil, v)
	f.add(digits)
	f.add(bytes.ToUpper(digits))
}

// base64 adds what stands for v in base64, with 0, 1 and 2 bytes before it in
// its group of three: the digits that no neighbour of v has a part in, and the
// same with the last digit and padding for where v is the end of the text.
func (f *formSet) base64(v []byte) {
	for before := range 3 {
		text := append(make([]byte, before), v...)
		for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			digits := alphabet.AppendEncode(nil, text)
			first := (before*8 + 5) / 6
			ended := bytes.TrimRight(digits, "=")
			f.add(digits[first : len(text)*8/6])
			f.add(ended[first:])
			f.add(digits[first:])
		}
	}
}

const (
	letters    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	unreserved = letters + "-._~" // RFC 3986 section 2.3

	upperHex = "0123456789ABCDEF"
	lowerHex = "0123456789abcdef"
)

// percentKept are the sets of characters that encoders leave alone, where they
// do not escape all.
var percentKept = []string{
	unreserved,
	unreserved + "!'()*",              // encodeURIComponent
	unreserved + "!'()*;,/?:@&=+$#",   // encodeURI
	unreserved + "!'()*;,/?:@&=+$#[]", // all that is reserved
	unreserved + "!$&'()*+,;=:@",      // pchar: RFC 3986 section 3.3
	unreserved + "$&+=:@",             // Go's url.PathEscape
	unreserved + "/",                  // Python's quote
}

// formKept are those of application/x-www-form-urlencoded, where a space is +.
var formKept = []string{
	letters + "*-._", // WHATWG URL section 5.2
	letters + "-._",  // PHP before 5.3, Python before 3.7
	unreserved,       // Go, Python, PHP
}

func percentEncode(v []byte, keep string, plus bool, digits string) []byte {
	out := make([]byte, 0, 3*len(v))
	for _, c := range v {
		switch {
		case c == ' ' && plus:
			out = append(out, '+')
		case strings.IndexByte(keep, c) >= 0:
			out = append(out, c)
		default:
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return out
}

// htmlEscapers are the combinations of how quotes are written; & < > have one
// way. The last is Go's html/template.
var htmlEscapers = func() (all []*strings.Replacer) {
	for _, quote := range []string{`"`, "&#34;", "&quot;"} {
		for _, apostrophe := range []string{"'", "&#39;", "&#x27;", "&#039;", "&apos;"} {
			all = append(all, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, quote, "'", apostrophe))
		}
	}
	return append(all, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "+", "&#43;"))
}()

func utf16Bytes(v []byte) (little, big []byte) {
	for _, r := range string(v) {
		for _, unit := range utf16Units(r) {
			little = append(little, byte(unit), byte(unit>>8))
			big = append(big, byte(unit>>8), byte(unit))
		}
	}
	return little, big
}

// longestForm returns the length of the longest of the forms.
func longestForm(forms [][]byte) int {
	return len(slices.MaxFunc(forms, func(a, b []byte) int { return len(a) - len(b) }))
}
