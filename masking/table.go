package masking

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// maxToken is the most bytes of a shaped mask: what fits well into any header.
const maxToken = 256

const placeOfMask = "{mask}"

// Entry is one secret of a table.
type Entry struct {
	Name string
	// Shape, if not empty, is what the mask is put into, where the text {mask}
	// stands in it, once: "sk-ant-{mask}" for programs that look at a key's
	// beginning. The whole is then the token of the secret.
	Shape string
}

// Table knows the masks of one session: token to name, name to token. It never
// changes and is safe for concurrent use. It does not keep the session's key.
type Table struct {
	hidden
	tokens  []token
	byName  map[string]int
	byMask  map[string]int // by the bare mask
	finding *Finder
	bare    *Finder               // of masks without their shapes
	spelled func() *spelledTokens // made when it is first asked for
}

type token struct {
	name, text string
	before     int // bytes of the shape before the mask
}

// Hit is a token found in p[Start:End]. Name is empty for something of the form
// of a mask that is no token of the table.
type Hit struct {
	Start, End int
	Name       string
}

// NewTable makes the masks of the entries. It reports all that is wrong with
// them at once: a name that is empty or occurs twice; a shape without exactly
// one {mask}, with other bytes than the printable ones of ASCII, with a mask's
// prefix in it, which would make tokens that contain one another, or over 256
// bytes with its mask.
func NewTable(k Key, entries []Entry) (*Table, error) {
	t := &Table{byName: make(map[string]int, len(entries)), byMask: make(map[string]int, len(entries))}
	var problems []error
	texts, masks := make([][]byte, 0, len(entries)), make([][]byte, 0, len(entries))
	for _, e := range entries {
		if _, twice := t.byName[e.Name]; twice || e.Name == "" {
			problems = append(problems, fmt.Errorf("making masks: secret name %q is empty or occurs twice", e.Name))
			continue
		}
		mask := k.Mask(e.Name)
		tok := token{name: e.Name, text: mask}
		if e.Shape != "" {
			before, after, err := parseShape(e.Shape)
			if err != nil {
				problems = append(problems, fmt.Errorf("making masks: the shape of %q %w", e.Name, err))
			}
			tok.text, tok.before = before+mask+after, len(before)
		}
		t.byName[e.Name] = len(t.tokens)
		t.byMask[mask] = len(t.tokens)
		t.tokens = append(t.tokens, tok)
		texts, masks = append(texts, []byte(tok.text)), append(masks, []byte(mask))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	t.finding, t.bare = NewFinder(texts), NewFinder(masks)
	t.spelled = sync.OnceValue(func() *spelledTokens { return spellTokens(t.tokens) })
	return t, nil
}

func parseShape(shape string) (before, after string, err error) {
	if strings.Count(shape, placeOfMask) != 1 {
		return "", "", errors.New("must contain {mask} once")
	}
	before, after, _ = strings.Cut(shape, placeOfMask)
	for _, c := range []byte(before + after) {
		if c <= ' ' || c > '~' {
			return "", "", errors.New("must be of printable ASCII characters without spaces")
		}
	}
	switch {
	case strings.Contains(before, Prefix) || strings.Contains(after, Prefix):
		return "", "", errors.New("must not contain a mask's prefix")
	case len(before)+Len+len(after) > maxToken:
		return "", "", fmt.Errorf("must give at most %d bytes", maxToken)
	}
	return before, after, nil
}

// Token returns the token of the named secret, in its shape, or "".
func (t *Table) Token(name string) string {
	if i, ok := t.byName[name]; ok {
		return t.tokens[i].text
	}
	return ""
}

// Next finds the leftmost token of the table in p[from:]. A token counts
// wherever it stands, whatever is next to it.
func (t *Table) Next(p []byte, from int) (Hit, bool) {
	start, end, id, ok := t.finding.Next(p, from)
	if !ok {
		return Hit{}, false
	}
	return Hit{start, end, t.tokens[id].name}, true
}

// Holds reports whether the bare mask of a token stands in p, be it in its shape
// or not.
func (t *Table) Holds(p []byte) bool {
	_, _, _, ok := t.bare.Next(p, 0)
	return ok
}

// NextString is as Next, but also finds what has the form of a mask and is no
// token of the table: the mask of another session, or the mask of a secret
// without the shape it should have. It is for short strings.
func (t *Table) NextString(s string, from int) (Hit, bool) {
	for at := from; at <= len(s); at++ {
		i := strings.Index(s[at:], Prefix)
		if i < 0 {
			break
		}
		if at += i; !isMask(s[at:]) {
			continue
		}
		// A token contains its bare mask and no other prefix of one, so that
		// masks come in the order of the tokens around them.
		if n, ok := t.byMask[s[at:at+Len]]; ok {
			tok := &t.tokens[n]
			if start := at - tok.before; start >= from && strings.HasPrefix(s[start:], tok.text) {
				return Hit{start, start + len(tok.text), tok.name}, true
			}
		}
		return Hit{at, at + Len, ""}, true
	}
	return Hit{}, false
}

// Redact returns s with {NAME} for each token of the table, and {mask} for what
// else has the form of a mask.
func (t *Table) Redact(s string) string {
	var b strings.Builder
	last := 0
	for {
		h, ok := t.NextString(s, last)
		if !ok && last == 0 {
			return s
		}
		if !ok {
			b.WriteString(s[last:])
			return b.String()
		}
		if h.Name == "" {
			h.Name = "mask"
		}
		b.WriteString(s[last:h.Start] + "{" + h.Name + "}")
		last = h.End
	}
}

// Reader returns what r gives with each token replaced by the bytes that replace
// returns for its secret; with false the token stays. What is put in is not
// looked at again, and must not change until the next call. However r cuts its
// bytes, the result is the same; an error of r comes through as it is. The
// reader implements io.WriterTo and is for one goroutine.
func (t *Table) Reader(r io.Reader, replace func(name string) (value []byte, ok bool)) io.Reader {
	return newReader(&stream{src: r, find: t.finding, edit: func(id, _ int) ([]byte, bool) {
		return replace(t.tokens[id].name)
	}})
}

// ReaderAfter is as [Table.Reader], and shows replace what stands before the token in r: its last 80 bytes, or all there is.
func (t *Table) ReaderAfter(r io.Reader, replace func(name string, before []byte) (value []byte, ok bool)) io.Reader {
	s := &stream{src: r, find: t.finding, looks: true}
	s.edit = func(id, _ int) ([]byte, bool) { return replace(t.tokens[id].name, s.before) }
	return newReader(s)
}

// Scan returns what r gives, untouched and undelayed, and calls on for each
// token of the table in it, once the token is complete. The reader implements
// io.WriterTo and is for one goroutine.
func (t *Table) Scan(r io.Reader, on func(name string)) io.Reader {
	return newReader(&stream{src: r, find: t.finding, through: true, edit: func(id, _ int) ([]byte, bool) {
		on(t.tokens[id].name)
		return nil, false
	}})
}
