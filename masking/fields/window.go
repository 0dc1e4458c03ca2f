package fields

import "sync"

const (
	windowSize = 32 << 10 // of a pooled buffer
	minRead    = 4 << 10  // room that is made before a read
	// windowLimit holds a member of MaxMember bytes, or a part's header, with
	// what a lexer looks back and ahead around it.
	windowLimit = MaxMember + windowSize
)

var windows = sync.Pool{New: func() any { return new([windowSize]byte) }}

// A window is the piece of the input that is in memory:
//
//	given away | out … ready | waiting for a decision or the lexer … n | room
//
// The lexer moves pos, keep and hold; the Reader the rest.
type window struct {
	buf    []byte
	pooled *[windowSize]byte
	out    int // bytes before are given away
	ready  int // bytes before are decided: they go out as they are
	n      int // bytes before are filled
	pos    int // bytes before have been scanned
	keep   int // bytes before are of no use to the lexer any more
	hold   int // start of a selected value that is not decided, or -1
	grow   func(n int) bool
}

// room makes room for a read. All that is not held must have been given away:
// then nothing before keep is waiting to go out. It returns nil where it may not
// grow.
func (w *window) room() []byte {
	if w.buf == nil {
		w.pooled = windows.Get().(*[windowSize]byte)
		w.buf = w.pooled[:]
	}
	if base := w.keep; base == w.n || base > 0 && len(w.buf)-w.n < minRead {
		copy(w.buf, w.buf[base:w.n])
		w.out -= base
		w.ready -= base
		w.n -= base
		w.pos -= base
		w.keep -= base
		if w.hold >= 0 {
			w.hold -= base
		}
	}
	if len(w.buf)-w.n < minRead {
		old := w.buf
		size := min(2*len(old), windowLimit)
		if w.grow != nil && !w.grow(size-len(old)) {
			return nil
		}
		w.buf = make([]byte, size)
		copy(w.buf, old[:w.n])
		w.recycle()
	}
	return w.buf[w.n:]
}

// release lets go of the buffer; the window is empty afterwards.
func (w *window) release() {
	w.recycle()
	*w = window{hold: -1, grow: w.grow}
}

func (w *window) recycle() {
	if w.pooled != nil {
		windows.Put(w.pooled)
		w.pooled = nil
	}
}
