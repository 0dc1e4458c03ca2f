package masking

import (
	"bytes"
	"io"
	"sync"
)

const (
	sip      = 4 << 10  // bytes of a pooled buffer to begin with
	chunk    = 32 << 10 // of one for what fills the first
	maxEmpty = 100      // reads in a row that give nothing, before io.ErrNoProgress
)

var (
	sips   = sync.Pool{New: func() any { return new([sip]byte) }}
	chunks = sync.Pool{New: func() any { return new([chunk]byte) }}
)

// stream replaces what a finder finds, in what it reads from src. It gives the
// same bytes however src cuts them, hands out whatever is decided before it asks
// src for more, and keeps only what may still become a match. An error of src,
// io.EOF included, is returned as it is, after all that came before it; but see
// drops.
//
// Its buffers come from a pool and return there, wiped, at the end. While it waits
// for src it holds one, a small one as long as no read has filled it; at most it
// holds two, or, where a pattern is longer than half of one, a few times the
// longest pattern.
type stream struct {
	src  io.Reader
	find *Finder
	// edit says what to put in the place of a hit of n bytes; with false it stays.
	edit func(id, n int) ([]byte, bool)
	// renew, if not nil, returns what find is from now on, for edit too.
	renew func() *Finder
	// word keeps back the whole last word of what was read: see [Evenly].
	word bool
	// drops loses what is held when src ends with an error: it may be the beginning
	// of a value, cut on purpose, and what ends with an error is of no use anyway.
	drops bool
	// through hands on the input untouched and undelayed, and only calls edit.
	through bool
	// looks keeps in before, for edit, what stands before the hit, up to sight bytes.
	looks  bool
	before []byte
	lead   []byte // the last of what came before buf

	buf   []byte // input
	full  bool   // the last read filled buf
	pos   int    // what comes before is dealt with
	safe  int    // matches that begin before are decided
	end   int    // of the input
	fresh []byte // the latest input, when through
	err   error  // of src, once there is one

	put     []byte // to come before what stands at pos
	pending []byte // a piece that did not fit into out
	out     []byte // gathers small pieces
	ready   []byte // what Read has not handed out yet
}

// reader is a stream to outsiders.
type reader struct {
	hidden
	s sealed[stream]
}

func newReader(s *stream) *reader { return &reader{s: seal(s)} }

func (r *reader) Read(p []byte) (int, error) { return r.s.open().Read(p) }

func (r *reader) WriteTo(w io.Writer) (int64, error) { return r.s.open().WriteTo(w) }

// Read returns what is decided; it blocks only while that is nothing.
func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(s.ready) == 0 {
		var err error
		if s.ready, err = s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.ready)
	s.ready = s.ready[n:]
	return n, nil
}

// WriteTo writes all to w, each piece as soon as it is decided.
func (s *stream) WriteTo(w io.Writer) (written int64, err error) {
	for {
		if len(s.ready) == 0 {
			if s.ready, err = s.next(); err == io.EOF {
				return written, nil
			} else if err != nil {
				return written, err
			}
		}
		var n int
		n, err = w.Write(s.ready)
		written += int64(n)
		if err == nil && n < len(s.ready) {
			err = io.ErrShortWrite
		}
		s.ready = s.ready[n:]
		if err != nil {
			return written, err
		}
	}
}

// next returns more output, at least one byte, good until it is called again.
func (s *stream) next() ([]byte, error) {
	for {
		if b := s.decided(); len(b) > 0 {
			return b, nil
		}
		if s.err != nil {
			s.release()
			return nil, s.err
		}
		s.fill()
	}
}

// decided returns what can go out now, up to about a chunk of it.
func (s *stream) decided() []byte {
	if s.through {
		for s.piece() != nil {
		}
		b := s.fresh
		s.fresh = nil
		return b
	}
	out := s.out[:0]
	for {
		b := s.pending
		if s.pending = nil; b == nil {
			b = s.piece()
		}
		switch {
		case b == nil:
			return out
		case len(out) == 0 && (len(b) >= chunk || s.pos == s.safe && s.put == nil):
			return b // in no need of a copy
		case len(out)+len(b) > chunk:
			s.pending = b
			return out
		}
		if s.out == nil {
			s.out = chunks.Get().(*[chunk]byte)[:]
			out = s.out[:0]
		}
		out = append(out, b...)
	}
}

// piece returns the next piece of output that is decided, not empty, or nil.
func (s *stream) piece() []byte {
	for {
		if b := s.put; b != nil {
			if s.put = nil; len(b) > 0 {
				return b
			}
		}
		if s.pos >= s.safe {
			return nil
		}
		from := s.pos
		start, end, id, ok := s.find.Next(s.buf[:s.end], from)
		if !ok || start >= s.safe {
			s.pos = s.safe
			return s.buf[from:s.pos]
		}
		if s.looks {
			s.before = lastOf(s.lead, s.buf[:start])
		}
		if s.put, ok = s.edit(id, end-start); !ok {
			s.put = s.buf[start:end]
		}
		if s.pos = end; end > s.safe {
			s.settle()
		}
		if start > from {
			return s.buf[from:start]
		}
	}
}

// settle fixes up to where matches are decided: up to the first place that may
// be the beginning of a match, or of a longer one, that ends in later input, and
// with word not beyond the last end of a word.
func (s *stream) settle() {
	s.safe = s.end
	if s.err == nil || s.drops && s.err != io.EOF {
		hold := s.find.Hold
		if s.word {
			hold = s.find.HoldWord
		}
		s.safe -= hold(s.buf[s.pos:s.end])
	}
}

// fill reads once from src, behind what was kept.
func (s *stream) fill() {
	recycle(s.out) // all of it has been handed out
	s.out = nil
	if s.looks {
		s.lead = lastOf(s.lead, s.buf[:s.pos])
	}
	s.end = copy(s.buf, s.buf[s.pos:s.end])
	s.pos = 0
	if s.full && len(s.buf) < chunk || s.end > len(s.buf)/2 || s.buf == nil {
		s.grow()
	}
	n := 0
	for range maxEmpty {
		if n, s.err = s.src.Read(s.buf[s.end:]); n != 0 || s.err != nil {
			break
		}
	}
	if n == 0 && s.err == nil {
		s.err = io.ErrNoProgress
	}
	if s.through {
		s.fresh = s.buf[s.end : s.end+n]
	}
	s.end += n
	s.full = s.end == len(s.buf)
	if s.renew != nil {
		s.find = s.renew()
	}
	s.settle()
}

// sight is how much of what stands before a hit can be seen: a line that begins as a multipart boundary, and more than any
// escape takes.
const sight = 80

// lastOf returns a copy of the last of a and b together.
func lastOf(a, b []byte) []byte {
	if len(b) >= sight {
		return bytes.Clone(b[len(b)-sight:])
	}
	all := append(bytes.Clone(a), b...)
	return all[max(0, len(all)-sight):]
}

// release gives the buffers back. The stream is at its end then.
func (s *stream) release() {
	recycle(s.buf)
	recycle(s.out)
	s.buf, s.out = nil, nil
	s.pos, s.safe, s.end = 0, 0, 0
}

// grow makes buf larger.
func (s *stream) grow() {
	var larger []byte
	switch {
	case s.buf == nil:
		larger = sips.Get().(*[sip]byte)[:]
	case len(s.buf) < chunk:
		larger = chunks.Get().(*[chunk]byte)[:]
	default:
		larger = make([]byte, 2*len(s.buf))
	}
	copy(larger, s.buf[:s.end])
	recycle(s.buf)
	s.buf = larger
}

func recycle(b []byte) {
	clear(b)
	switch len(b) {
	case sip:
		sips.Put((*[sip]byte)(b))
	case chunk:
		chunks.Put((*[chunk]byte)(b))
	}
}
