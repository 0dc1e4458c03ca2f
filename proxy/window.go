package proxy

import (
	"io"
	"sync"
)

// The sizes of a window: small for what is idle, large for one message that is read whole.
const (
	smallWindow = 4 << 10
	maxWhole    = 64 << 10
	largeWindow = maxWhole + maxFrameHeader
)

// maxEmptyReads is how many reads in a row may give nothing, as in bufio.
const maxEmptyReads = 100

var largeWindows = sync.Pool{New: func() any { return new([largeWindow]byte) }}

// window is what has been read from src and not been dealt with: buf[r:w]. It borrows a large buffer while much comes,
// so that an idle stream costs little. It is for one goroutine.
type window struct {
	src   io.Reader
	buf   []byte
	r, w  int
	small []byte
	used  int   // of buf, at most, since it was borrowed
	full  bool  // the latest read left no room, so more is likely to be there
	err   error // of src, to be returned after what came before it
}

func newWindow(src io.Reader) window {
	small := make([]byte, smallWindow)
	return window{src: src, buf: small, small: small}
}

func (b *window) buffered() []byte { return b.buf[b.r:b.w] }

// fill reads once, behind what is there, with room for at least want bytes from r on; want is at most largeWindow.
// Slices of the window are void afterwards.
func (b *window) fill(want int) error {
	if b.err != nil {
		return b.err
	}
	if b.r == b.w && !b.full && want <= smallWindow {
		b.release()
	}
	if len(b.buf) == smallWindow && (b.full || want > smallWindow) {
		large := largeWindows.Get().(*[largeWindow]byte)[:]
		b.w = copy(large, b.buffered())
		b.buf, b.r = large, 0
	} else if b.r > 0 && (len(b.buf)-b.r < want || b.w == len(b.buf)) {
		b.w = copy(b.buf, b.buffered())
		b.r = 0
	}
	n := 0
	for range maxEmptyReads {
		if n, b.err = b.src.Read(b.buf[b.w:]); n > 0 || b.err != nil {
			break
		}
	}
	b.w += n
	b.used = max(b.used, b.w)
	b.full = b.w == len(b.buf)
	switch {
	case n > 0:
		return nil
	case b.err == nil:
		b.err = io.ErrNoProgress
	}
	return b.err
}

// read reads past the window what is not in it yet.
func (b *window) read(p []byte) (int, error) {
	if n := copy(p, b.buffered()); n > 0 {
		b.r += n
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	b.release()
	n, err := b.src.Read(p)
	if b.err = err; n > 0 {
		return n, nil
	}
	return 0, err
}

// release gives a large buffer back, wiped, once nothing is left in it or wanted of it.
func (b *window) release() {
	b.r, b.w, b.full = 0, 0, false
	if len(b.buf) == largeWindow {
		clear(b.buf[:b.used])
		largeWindows.Put((*[largeWindow]byte)(b.buf))
		b.buf = b.small
	}
	b.used = 0
}

// tooEarly is err where more had to come.
func tooEarly(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
