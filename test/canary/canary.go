// Package canary finds a secret value where it must not be: in outputs, files,
// environments and memory.
//
//	c := canary.New("sk-live-…")
//	for _, hit := range c.Find(stdout) { t.Errorf("stdout holds %s", hit) }
//
// It looks for the value as it is, for pieces of it, and for its base64 (both
// alphabets, each alignment), hex, percent, JSON, HTML and UTF-16 forms. It
// shares no code with the scrubber that it checks.
package canary

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf16"
)

// pieceLen is how long a piece of a value must be to count as a leak of it; a
// value shorter than twice that is only looked for whole. Give values no public
// prefix of that length.
const pieceLen = 12

// Canary is one value to look for. It is immutable.
type Canary struct {
	forms  []form
	starts *[1 << 13]byte // a bit for each two bytes, in lower case, with which a form begins
}

type form struct {
	name  string
	bytes []byte
	fold  bool // compare without case: hex digits
}

// Hit is one find. It tells where, never what.
type Hit struct {
	Where  string // file or stream; "" from Find
	Form   string
	Offset int
}

func (h Hit) String() string {
	s := fmt.Sprintf("the value (form %s) at byte %d", h.Form, h.Offset)
	if h.Where != "" {
		s += " of " + h.Where
	}
	return s
}

// Value makes a fresh value that looks like a key: prefix and 40 random digits
// and letters.
func Value(prefix string) string {
	return prefix + rand.Text() + strings.ToLower(rand.Text()[:14])
}

// New prepares the forms of value, which must have at least 8 bytes.
func New(value string) *Canary {
	if len(value) < 8 {
		panic("canary: a value under 8 bytes is found by chance")
	}
	c := &Canary{starts: new([1 << 13]byte)}
	add := func(name, s string, fold bool) {
		if s == "" || name != "raw" && s == value {
			return
		}
		if fold {
			s = strings.ToLower(s)
		}
		c.forms = append(c.forms, form{name, []byte(s), fold})
		start := int(lower[s[0]])<<8 | int(lower[s[1]])
		c.starts[start>>3] |= 1 << (start & 7)
	}
	add("raw", value, false)
	for name, coding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
		for shift := range 3 {
			add(fmt.Sprintf("%s+%d", name, shift), aligned(coding, value, shift), false)
		}
	}
	var percent strings.Builder
	for _, b := range []byte(value) {
		fmt.Fprintf(&percent, "%%%02x", b)
	}
	add("hex", hex.EncodeToString([]byte(value)), true)
	add("percent", percent.String(), true)
	add("percent minimal", minimal(value), true)
	add("form", url.QueryEscape(value), true)
	quoted, _ := json.Marshal(value)
	add("JSON", inner(quoted), false)
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(value) // strings always encode; a Buffer never fails
	add("JSON without HTML", inner(plain.Bytes()), false)
	add("JSON with slashes", strings.ReplaceAll(inner(plain.Bytes()), "/", `\/`), false)
	add("JSON in ASCII", strings.Trim(strconv.QuoteToASCII(value), `"`), true)
	add("HTML", html.EscapeString(value), false)
	add("HTML by names", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(value), false)
	var escaped, decimal, numbered strings.Builder
	for _, r := range value {
		fmt.Fprintf(&decimal, "&#%d;", r)
		fmt.Fprintf(&numbered, "&#x%x;", r)
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&escaped, `\u%04x`, u)
		}
	}
	add("JSON in full", escaped.String(), true)
	add("HTML in full", decimal.String(), false)
	add("HTML in full, hex", numbered.String(), true)
	little, big := utf16Bytes(value)
	add("UTF-16LE", little, false)
	add("UTF-16BE", big, false)
	if len(value) >= 2*pieceLen {
		for i := 0; i+pieceLen <= len(value); i += pieceLen / 2 {
			add("piece", value[i:i+pieceLen], false)
		}
		add("piece", value[len(value)-pieceLen:], false)
	}
	return c
}

// inner is the text of a JSON string.
func inner(quoted []byte) string {
	s := strings.TrimSpace(string(quoted))
	return s[1 : len(s)-1]
}

// aligned is the part of the base64 of (shift bytes + value + anything) that
// depends on value alone.
func aligned(coding *base64.Encoding, value string, shift int) string {
	s := coding.EncodeToString([]byte("\x00\x00"[:shift] + value))
	s = s[[]int{0, 2, 3}[shift]:]
	if (shift+len(value))%3 != 0 {
		s = s[:len(s)-1] // its low bits belong to what follows
	}
	return s
}

// minimal escapes what a URL's query cannot hold.
func minimal(value string) string {
	var b strings.Builder
	for _, c := range []byte(value) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

func utf16Bytes(value string) (little, big string) {
	var l, b []byte
	for _, u := range utf16.Encode([]rune(value)) {
		l = append(l, byte(u), byte(u>>8))
		b = append(b, byte(u>>8), byte(u))
	}
	return string(l), string(b)
}

// Find returns the first hit of each form in p, and of the pieces the first where
// the whole value is not there.
func (c *Canary) Find(p []byte) []Hit {
	var hits []Hit
	for n, at := range c.first(p) {
		if at < 0 || c.forms[n].name == "piece" && len(hits) > 0 {
			continue // the pieces are last
		}
		hits = append(hits, Hit{Form: c.forms[n].name, Offset: at})
	}
	return hits
}

// first is where each form stands first, or -1. All are looked for at once, by their first two bytes: memory is long. The
// race detector, which has nothing to find here, would take most of the time.
//
//go:norace
func (c *Canary) first(p []byte) []int {
	places := make([]int, len(c.forms))
	for n := range places {
		places[n] = -1
	}
	starts, pair := c.starts, uint16(0)
	for i, b := range p {
		pair = pair<<8 | uint16(lower[b])
		if starts[pair>>3]>>(pair&7)&1 == 0 || i == 0 {
			continue
		}
		for n, f := range c.forms {
			if places[n] < 0 && f.begins(p[i-1:]) {
				places[n] = i - 1
			}
		}
	}
	return places
}

// begins says whether p begins with the form.
func (f form) begins(p []byte) bool {
	if len(p) < len(f.bytes) {
		return false
	}
	for i, b := range f.bytes {
		if p[i] != b && !(f.fold && lower[p[i]] == b) {
			return false
		}
	}
	return true
}

// lower maps bytes to lower case where they are ASCII: memory is seldom text.
var lower = func() (table [256]byte) {
	for i := range table {
		table[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			table[i] += 'a' - 'A'
		}
	}
	return table
}()

// In searches one named stream.
func (c *Canary) In(where string, p []byte) []Hit {
	hits := c.Find(p)
	for i := range hits {
		hits[i].Where = where
	}
	return hits
}

// Files searches the names and contents of all regular files below the roots.
// What vanishes while it looks is passed over.
func (c *Canary) Files(roots ...string) ([]Hit, error) {
	var hits []Hit
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			hits = append(hits, c.In("the name of "+path, []byte(path))...)
			if !d.Type().IsRegular() {
				return nil
			}
			b, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			hits = append(hits, c.In(path, b)...)
			return err
		})
		if err != nil {
			return hits, err
		}
	}
	return hits, nil
}
