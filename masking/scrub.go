package masking

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode/utf8"
)

// MinScrub is the least length of a value to scrub, in bytes, a line break at
// its end not counted: shorter ones would be found where they are not meant.
const MinScrub = 8

// Scrubbable says whether a value can be scrubbed: it has MinScrub bytes as it is
// and, if it is text, in UTF-16, where three characters of three bytes have six.
func Scrubbable(value []byte) bool {
	v := trimNewline(value)
	if len(v) < MinScrub || !utf8.Valid(v) {
		return len(v) >= MinScrub
	}
	little, _ := utf16Bytes(v)
	return len(little) >= MinScrub
}

// ErrShortValue is what NewScrubber's error is, for a value that is not Scrubbable.
var ErrShortValue = errors.New("masking: value shorter than 8 bytes")

// Value is a secret's value, current or past, to be kept from the program. It
// formats, logs and marshals as a placeholder, as a [Key] does.
type Value struct {
	Name  string
	Mask  string // the token to restore
	Bytes []byte
}

// Format writes a placeholder, whatever the verb.
func (Value) Format(s fmt.State, verb rune) { hidden{}.Format(s, verb) }

// LogValue is a placeholder.
func (Value) LogValue() slog.Value { return hidden{}.LogValue() }

// MarshalText is a placeholder.
func (Value) MarshalText() ([]byte, error) { return hidden{}.MarshalText() }

// Mode says what a Scrubber puts in the place of a hit.
type Mode int

const (
	// Restore puts the mask itself: the length changes.
	Restore Mode = iota
	// Fill keeps the length: the mask, cut or continued with underscores.
	Fill
)

// Scrubber finds the values of a session and puts their masks back. It finds a
// value as it is and
//
//   - JSON-escaped, as common encoders do or in full, also in a JSON string that
//     stands in another one
//   - in base64, standard and URL alphabets, whatever stands before and after it,
//     also where JSON or a form escapes + / and =
//   - in hex, in lower or in upper case
//   - percent-encoded, in full or where common encoders do, and form-encoded
//   - HTML-escaped, by names and by numbers, as common encoders do or in full
//   - in UTF-16, little-endian and big-endian
//
// with its line breaks as LF or CR LF, and one at its end left aside. Where a
// value has at most three characters that encoders differ about, any set of them
// may be escaped. Of a value over 256 bytes fewer forms are looked for. What one encoder would not do is not found: the same character
// in two ways, or digits in both cases. Of the digits of base64 that hold bits of
// both the value and a neighbour, one at each side may remain.
//
// It never changes and is safe for concurrent use.
type Scrubber struct {
	hidden
	finding *Finder
	scrubs  []*scrub // by the number of the pattern; no values in them
	haste   int      // bytes of a form that may pass a [Veil], at most
}

// scrub is what stands in the place of one secret's forms.
type scrub struct {
	name   string
	mask   []byte
	filler []byte // as long as the longest form
}

// NewScrubber prepares the values. Of equal ones the first counts. Its error
// names all secrets whose value is not Scrubbable.
func NewScrubber(values []Value) (*Scrubber, error) {
	s := &Scrubber{}
	var problems []error
	var texts [][]byte
	for _, v := range values {
		if !Scrubbable(v.Bytes) {
			problems = append(problems, fmt.Errorf("preparing to scrub %q: %w", v.Name, ErrShortValue))
			continue
		}
		found := forms(v.Bytes)
		one := &scrub{name: v.Name, mask: []byte(v.Mask), filler: filler(v.Mask, longestForm(found))}
		for _, form := range found {
			texts = append(texts, form)
			s.scrubs = append(s.scrubs, one)
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	s.finding = NewFinder(texts)
	s.haste = maxHaste
	for _, text := range texts {
		s.haste = min(s.haste, len(text)-shadeLeast)
	}
	return s, nil
}

// filler returns n bytes that begin like the mask.
func filler(mask string, n int) []byte {
	return []byte(mask[:min(n, len(mask))] + strings.Repeat("_", max(0, n-len(mask))))
}

// Empty says whether there is nothing to find.
func (s *Scrubber) Empty() bool { return len(s.scrubs) == 0 }

// Find returns the name of the first secret that p contains in any form.
func (s *Scrubber) Find(p []byte) (name string, ok bool) {
	if _, _, id, ok := s.finding.Next(p, 0); ok {
		return s.scrubs[id].name, true
	}
	return "", false
}

// Bytes returns p with a mask for each hit, and calls on, if not nil, with the
// secret's name for each. It returns p itself when there is none, and never
// changes p.
func (s *Scrubber) Bytes(p []byte, on func(name string)) []byte {
	var out []byte
	for last := 0; ; {
		start, end, id, ok := s.finding.Next(p, last)
		switch {
		case !ok && last == 0:
			return p
		case !ok:
			return append(out, p[last:]...)
		}
		if on != nil {
			on(s.scrubs[id].name)
		}
		out = append(append(out, p[last:start]...), s.scrubs[id].mask...)
		last = end
	}
}

// String is Bytes for a string.
func (s *Scrubber) String(v string, on func(name string)) string {
	if _, _, _, ok := s.finding.Next([]byte(v), 0); !ok {
		return v
	}
	return string(s.Bytes([]byte(v), on))
}

// Reader returns what r gives with each hit replaced as the mode says, calling
// on, if not nil, with the secret's name for each. However r cuts its bytes, the
// result is the same. It hands out all that is decided before it reads on, and
// keeps back only the longest end that is the beginning of a form. An error of r
// comes through as it is, after what came before it; of that, an end which may
// be the beginning of a value is lost, unless the error is io.EOF. The reader
// implements io.WriterTo and is for one goroutine.
func (s *Scrubber) Reader(r io.Reader, m Mode, on func(name string)) io.Reader {
	e := &scrubbing{with: s, mode: m, on: on}
	return newReader(&stream{src: r, find: s.finding, drops: true, edit: e.edit})
}

// Holding says what is kept back at the end of what has come of a stream so far.
type Holding int

const (
	// Closely keeps back only what is the beginning of a form. Whoever sends
	// guesses and sees which of them wait learns a value byte by byte.
	Closely Holding = iota
	// Evenly keeps back the whole last word, whatever it is, so that a value can
	// be guessed only in whole: events, lines and messages of JSON end in a break
	// and do not wait. A value with white space in it can be guessed word by word.
	Evenly
)

// Follow is as [Scrubber.Reader] with the latest of the scrubbers that current
// returns, and with what h says kept back. It is asked after each read of r; what was read, and what is kept
// back of what was before, is searched with its answer. So a value that spans
// the change is found by either.
func Follow(r io.Reader, m Mode, h Holding, current func() *Scrubber, on func(name string)) io.Reader {
	e := &scrubbing{with: current(), current: current, mode: m, on: on}
	return newReader(&stream{src: r, find: e.with.finding, word: h == Evenly, drops: true, edit: e.edit, renew: e.renew})
}

// scrubbing is what a stream does with its hits.
type scrubbing struct {
	with    *Scrubber
	current func() *Scrubber
	mode    Mode
	on      func(name string)
}

func (e *scrubbing) edit(id, n int) ([]byte, bool) {
	one := e.with.scrubs[id]
	if e.on != nil {
		e.on(one.name)
	}
	if e.mode == Fill {
		return one.filler[:n], true
	}
	return one.mask, true
}

func (e *scrubbing) renew() *Finder {
	e.with = e.current()
	return e.with.finding
}
