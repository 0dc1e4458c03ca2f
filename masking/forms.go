package masking

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// long is the length of a value, in bytes, above which fewer forms are looked
// for, or they would take much memory: those of the best known encoders.
const long = 256

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

// lineEnds returns v, and v with each line break as LF and as CR LF, where that
// is something else.
func lineEnds(v []byte) [][]byte {
	lf := bytes.ReplaceAll(v, []byte("\r\n"), []byte("\n"))
	crlf := bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))
	return slices.CompactFunc([][]byte{lf, v, crlf}, bytes.Equal)
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
	f.percent(v)
	if !utf8.Valid(v) {
		return // not text: nobody writes it as such
	}
	little, big := utf16Bytes(v)
	f.add(little)
	f.add(big)
	f.html(v)
	f.json(v)
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
			f.inText(digits[first : len(text)*8/6])
			f.inText(ended[first:])
			f.inText(digits[first:])
		}
	}
}

// inText adds digits of base64, as they are and as they stand in a JSON string,
// HTML or a URL, where + / and = may be escaped.
func (f *formSet) inText(digits []byte) {
	f.add(digits)
	if bytes.ContainsAny(digits, "+/=") {
		for _, pairs := range base64Escapes {
			f.add([]byte(pairs.Replace(string(digits))))
		}
	}
}

// base64Escapes are those of common encoders.
var base64Escapes = []*strings.Replacer{
	strings.NewReplacer("/", `\/`),                          // PHP's JSON
	strings.NewReplacer("=", `\u003d`),                      // Gson
	strings.NewReplacer("+", `\u002B`),                      // .NET's JSON
	strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D"), // forms and queries
	strings.NewReplacer("+", "%2b", "/", "%2f", "=", "%3d"),
}

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
