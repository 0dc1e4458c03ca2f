package masking

import (
	"encoding/base64"
	"io"
	"strings"
)

// maxSpelled is of how many tokens spellings are looked for: each has several, and they take memory.
const maxSpelled = 256

// spelledTokens finds tokens as they are and as programs write them into something else.
type spelledTokens struct {
	found *Finder
	names []string // by the number of the pattern
}

func spellTokens(tokens []token) *spelledTokens {
	s := &spelledTokens{}
	var texts [][]byte
	add := func(tok token, text string) {
		texts, s.names = append(texts, []byte(text)), append(s.names, tok.name)
	}
	for i, tok := range tokens {
		add(tok, tok.text)
		if i >= maxSpelled {
			continue
		}
		for _, underscore := range []string{"%5F", "%5f", "&#95;", `\u005f`, `\u005F`} {
			add(tok, strings.ReplaceAll(tok.text, "_", underscore))
		}
		for before := range 3 {
			text := append(make([]byte, before), tok.text...)
			for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				add(tok, alphabet.EncodeToString(text)[(before*8+5)/6:len(text)*8/6])
			}
		}
	}
	s.found = NewFinder(texts)
	return s
}

// ScanSpelled is as [Table.Scan], and also finds tokens whose underscores are escaped as in a URL, HTML or JSON, and tokens in
// base64. Of a table with very many tokens only the first 256 are found like that.
func (t *Table) ScanSpelled(r io.Reader, on func(name string)) io.Reader {
	s := t.spelled()
	return newReader(&stream{src: r, find: s.found, through: true, edit: func(id, _ int) ([]byte, bool) {
		on(s.names[id])
		return nil, false
	}})
}

// Spelled calls on for each token in p that ScanSpelled would find.
func (t *Table) Spelled(p []byte, on func(name string)) {
	s := t.spelled()
	for from := 0; ; {
		_, end, id, ok := s.found.Next(p, from)
		if !ok {
			return
		}
		on(s.names[id])
		from = end
	}
}
