package masking

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
)

// Veil keeps values away from decoders. Whoever chooses what stands around a
// value in a coded body, a table of its codes say, has the decoder turn it into
// something that no scrubber knows. So a value that stands in coded bytes as
// it is, as incompressible text may, goes through the decoder as another string
// of its length, a shade, and is put back behind it, where a scrubber finds it.
// Where only a part of the shade comes out, because the coding repeats a part of
// the value, reading ends with an error: a part of the value belongs there.
//
// Hide goes before each decoder, Show behind the last one. A veil is for one
// body and one goroutine.
type Veil struct {
	hidden
	s sealed[veil]
}

// errShade is how a body ends of which a part cannot be shown.
var errShade = errors.New("masking: a part of a value is repeated in a coded body")

const (
	shadeBytes = 0x80 // those that continue a character in UTF-8: text has few in a row
	shadePart  = 4    // bytes of a shade by which its parts are known
	shadeLeast = 5    // bytes of a shade by which it is known
	maxHaste   = 11   // bytes of a form that may pass, at most: coded bytes hardly ever have more in a row that are like it
)

type veil struct {
	current func() *Scrubber
	hasty   bool
	shades  map[string][]byte // by form, with what of it had gone before
	texts   [][]byte          // shades and their parts
	shown   []shown           // by the number of the text
	find    *Finder           // texts; nil: to be made anew
}

// shown is what stands behind a shade.
type shown struct {
	form []byte // nil: the text is a part of a shade
	gone int    // bytes of the form that the shade does not stand for
}

// NewVeil makes a veil over the values of what current returns at each time.
// With hasty coded bytes do not wait for what comes after them, and what may be
// the first bytes of a form, at most eleven, passes as it is where no more has
// come yet. A longer run of such bytes waits, be it the beginning of a value or
// not: what waits tells nothing.
func NewVeil(current func() *Scrubber, hasty bool) *Veil {
	return &Veil{s: seal(&veil{current: current, hasty: hasty})}
}

// Used says whether anything has been hidden. Then sums over what was coded
// cannot be right.
func (v *Veil) Used() bool { return v.s.open().used() }

func (v *veil) used() bool { return len(v.texts) > 0 }

// shade is what stands for the form behind its first gone bytes.
func (v *veil) shade(form []byte, gone int) []byte {
	key := string(rune(gone)) + string(form)
	if s, ok := v.shades[key]; ok {
		return s
	}
	s := make([]byte, len(form)-gone)
	_, _ = rand.Read(s)
	for i := range s {
		s[i] = s[i]&0x3f | shadeBytes
	}
	if v.shades == nil {
		v.shades = make(map[string][]byte)
	}
	v.shades[key] = s
	v.texts, v.shown, v.find = append(v.texts, s), append(v.shown, shown{bytes.Clone(form), gone}), nil
	for i := 0; i+shadePart <= len(s); i++ {
		v.texts, v.shown = append(v.texts, s[i:i+shadePart]), append(v.shown, shown{})
	}
	return s
}

// Hide returns what r gives with a shade for each value in it.
func (v *Veil) Hide(r io.Reader) io.Reader {
	return &veiled{s: seal(&veiling{v: v.s.open(), src: r})}
}

// Show returns what r gives with the value for each shade in it.
func (v *Veil) Show(r io.Reader) io.Reader {
	return &veiled{s: seal(&veiling{v: v.s.open(), src: r, shows: true})}
}

type veiled struct {
	hidden
	s sealed[veiling]
}

func (r *veiled) Read(p []byte) (int, error) { return r.s.open().Read(p) }

// veiling replaces in place: a shade is as long as what it stands for.
type veiling struct {
	v     *veil
	src   io.Reader
	shows bool

	buf     []byte
	given   int // bytes of buf that were handed out
	settled int // in these nothing is to be replaced any more
	ready   int // may be handed out
	err     error
}

func (h *veiling) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for h.given >= h.ready {
		if h.err != nil {
			return 0, h.err
		}
		if h.shows && !h.v.used() {
			if n, err := h.pass(p); n > 0 || err != nil {
				return n, err
			}
			continue
		}
		h.fill()
	}
	n := copy(p, h.buf[h.given:h.ready])
	h.given += n
	return n, nil
}

// pass reads into p, as long as nothing is hidden, and keeps the last bytes only. It returns none where something is.
func (h *veiling) pass(p []byte) (int, error) {
	n, err := h.src.Read(p)
	if !h.v.used() {
		h.buf = append(h.buf, p[max(0, n-maxHaste):n]...)
		h.buf = h.buf[:copy(h.buf, h.buf[max(0, len(h.buf)-maxHaste):])]
		h.given, h.settled, h.ready = len(h.buf), len(h.buf), len(h.buf)
		return n, err
	}
	h.buf, h.err = append(h.buf, p[:n]...), err
	h.settle()
	return 0, nil
}

// fill reads once, behind what is not settled or not given, and a few bytes before that.
func (h *veiling) fill() {
	from := min(h.given, max(0, h.settled-maxHaste))
	kept := copy(h.buf, h.buf[from:])
	h.given, h.settled = h.given-from, h.settled-from
	if cap(h.buf) < kept+sip {
		larger := make([]byte, kept, 2*kept+sip)
		copy(larger, h.buf)
		h.buf = larger
	}
	n := 0
	for range maxEmpty {
		if n, h.err = h.src.Read(h.buf[kept : kept+sip]); n != 0 || h.err != nil {
			break
		}
	}
	if n == 0 && h.err == nil {
		h.err = io.ErrNoProgress
	}
	h.buf = h.buf[:kept+n]
	h.settle()
}

// settle replaces what is whole, and keeps what may become so.
func (h *veiling) settle() {
	find, replace, run := h.v.find, h.show, 0
	if h.shows {
		if find == nil {
			find = NewFinder(h.v.texts)
			h.v.find = find
		}
	} else {
		with := h.v.current()
		find, replace = with.finding, h.hide
		if h.v.hasty {
			run = with.haste + 1
		}
	}
	done := h.settled
	limit := func() int {
		if h.err == io.EOF {
			return len(h.buf)
		}
		return len(h.buf) - find.Hold(h.buf[done:])
	}
	safe := limit()
	for {
		start, end, id, ok := find.Next(h.buf, done)
		if !ok || start >= safe {
			break
		}
		replace(start, end, id)
		if done = end; done > safe {
			safe = limit()
		}
	}
	h.settled, h.ready = safe, safe
	if run > 0 && h.err != io.EOF {
		h.ready = len(h.buf) - find.HoldRun(h.buf[done:], run)
		h.settled = min(safe, h.ready)
	}
	if h.err != nil {
		h.buf = h.buf[:h.ready] // with an error the rest is of no use
	}
}

func (h *veiling) hide(start, end, _ int) {
	gone := max(0, h.given-start)
	copy(h.buf[start+gone:end], h.v.shade(h.buf[start:end], gone))
}

func (h *veiling) show(start, _, id int) {
	one := h.v.shown[id]
	if one.form == nil || start < one.gone || !bytes.Equal(h.buf[start-one.gone:start], one.form[:one.gone]) {
		h.err = errShade
		return
	}
	copy(h.buf[start:], one.form[one.gone:])
}
