package proxy

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"

	"kz/masking"
)

// maxCodings is how many codings on top of each other are undone.
const maxCodings = 2

// zstdWindow is the most memory that a Content-Encoding of zstd may ask for (RFC 9659).
const zstdWindow = 8 << 20

// maxRatio and ratioFloor bound what a small coded body can unfold to: deflate cannot exceed 1032:1, so that beyond it,
// past the first bytes, is a bomb of another coding.
const (
	maxRatio   = 1100
	ratioFloor = 64 << 20
)

var (
	errBomb   = errors.New("proxy: a coded body unfolds without measure")
	errClosed = errors.New("proxy: reading a body that is closed")
	errBehind = errors.New("proxy: a coded body goes on behind its end")
)

// codings splits Content-Encoding into the codings that were applied, in order. ok is false when one is not known, or
// there are too many.
func codings(values []string) (names []string, ok bool) {
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "", "identity":
			case "gzip", "x-gzip":
				names = append(names, "gzip")
			case "deflate", "br", "zstd":
				names = append(names, name)
			default:
				return nil, false
			}
		}
	}
	return names, len(names) <= maxCodings
}

// decode undoes the codings. The reader it returns ends with an error where a coding is cut short. Closing releases
// the decoders, not r.
func decode(r io.Reader, names []string) *decoder {
	d := &decoder{src: r}
	d.coded.r = r
	d.r = &d.coded
	for i := len(names) - 1; i >= 0; i-- {
		d.r = &lazyDecoder{name: names[i], src: d.r, owner: d}
	}
	return d
}

// decodeAnswer is decode for an answer: values do not reach the decoders as they are. With hasty nothing waits for what comes
// after it.
func (p *Proxy) decodeAnswer(r io.Reader, names []string, hasty bool) *decoder {
	d := decode(r, names)
	d.veil = masking.NewVeil(func() *masking.Scrubber { return p.scrubbers().Scrubber }, hasty)
	d.r = d.veil.Show(d.r)
	return d
}

type decoder struct {
	take  func(n int64) bool // asked before much memory is used; nil: it need not be
	src   io.Reader
	veil  *masking.Veil // nil: of a request
	coded countingReader
	r     io.Reader
	out   int64
	// padded lets anything stand behind a whole gzip body, which is left out.
	padded bool

	mu   sync.Mutex // held while reading: a transport may close a body that is being read
	err  error      // how reading ended
	keep []func()   // puts the decoders back
}

func (d *decoder) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.read(p)
	d.err = err
	return n, err
}

func (d *decoder) read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.out += int64(n)
	if d.out > ratioFloor && d.out/maxRatio > d.coded.n {
		return 0, errBomb
	}
	if err == io.EOF {
		if n > 0 {
			return n, nil
		}
		err = d.end()
	}
	return n, err
}

// end reads on from where the coding says that it ends to where its framing does: only there a cut shows, and trailers
// stand.
func (d *decoder) end() error {
	if _, err := io.Copy(io.Discard, &d.coded); err != nil {
		return err
	}
	return io.EOF
}

// Close gives the decoders back. One that is in use, or did not come to an end, is left to the garbage collector.
func (d *decoder) Close() error {
	if !d.mu.TryLock() {
		return nil
	}
	defer d.mu.Unlock()
	if d.err == io.EOF {
		for _, f := range d.keep {
			f()
		}
	}
	if d.err == nil {
		d.err = errClosed
	}
	d.keep = nil
	return nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// lazyDecoder reads nothing before it is asked to, and takes an empty body for an empty one.
type lazyDecoder struct {
	name  string
	src   io.Reader
	owner *decoder
	br    *bufio.Reader // src
	r     io.Reader
	err   error
	out   int64
	taken int64 // of out, what was asked for, or would have been within the window
}

func (l *lazyDecoder) Read(p []byte) (int, error) {
	if l.r == nil && l.err == nil {
		l.open()
	}
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.r.Read(p)
	if !l.room(n) {
		return 0, errRoom
	}
	if err == zlib.ErrChecksum && l.hidden() {
		err = io.EOF
	}
	if err == io.EOF && !(l.owner.padded && l.name == "gzip") {
		// Whoever stored the body may have chosen where its coding ends: inside a value, say, the rest of which follows.
		if _, err = l.br.Peek(1); err == nil {
			err = errBehind
		}
	}
	return n, err
}

// hidden reports whether the decoder did not read what was coded, so that a sum over it must be wrong.
func (l *lazyDecoder) hidden() bool { return l.owner.veil != nil && l.owner.veil.Used() }

// room asks for the window of what has been decoded. The decoders of gzip and deflate look back 32 KiB, the others as far as
// their body says, and have that in memory.
func (l *lazyDecoder) room(n int) bool {
	if l.out += int64(n); l.owner.take == nil || l.name != "br" && l.name != "zstd" {
		return true
	}
	for ; l.out > l.taken+coderStep; l.taken += coderStep {
		step := int64(coderStep)
		if l.taken >= l.window() {
			step = 0 // it only says that it is not standing still
		}
		if !l.owner.take(step) {
			return false
		}
	}
	return true
}

func (l *lazyDecoder) window() int64 {
	if l.name == "zstd" {
		return zstdWindow
	}
	return coderWindow
}

// coderWindow is what a decoder of br looks back at most, one of zstd half of it; coderStep is by how much its share grows. The
// first such step is free.
const (
	coderWindow = 16 << 20
	coderStep   = 256 << 10
)

// encoderCost is about what the encoders of these codings work with.
func encoderCost(names []string) (n int64) {
	for _, name := range names {
		if n += 1 << 20; name == "br" || name == "zstd" {
			n += 3 << 20
		}
	}
	return n
}

func (l *lazyDecoder) open() {
	if l.owner.veil != nil {
		l.src = l.owner.veil.Hide(l.src)
	}
	br := takeCodedReader(l.src)
	l.br = br
	head, err := br.Peek(1)
	if len(head) == 0 {
		l.err = err
		return
	}
	keep := func() {}
	switch l.name {
	case "gzip":
		l.r, keep, l.err = openGzip(br, l.hidden)
	case "deflate":
		// RFC 9110 means zlib; some servers send bare deflate.
		if two, _ := br.Peek(2); len(two) == 2 && two[0]&0x0f == 8 && (int(two[0])<<8|int(two[1]))%31 == 0 {
			l.r, l.err = zlib.NewReader(br)
		} else {
			l.r = flate.NewReader(br)
		}
	case "br":
		l.r, keep, l.err = openBrotli(br)
	case "zstd":
		l.r, keep, l.err = openZstd(br, l.owner.veil != nil)
	}
	l.owner.keep = append(l.owner.keep, keep, func() {
		br.Reset(nothing{})
		codedReaders.Put(br)
	})
}

// encode applies the codings, without compressing, to what is read from r. Closing the result ends the goroutine that does it.
func encode(r io.Reader, names []string) io.ReadCloser {
	pr, pw := io.Pipe()
	go func() {
		var w io.WriteCloser = pw
		var open []io.WriteCloser
		for i := len(names) - 1; i >= 0; i-- {
			w = newStored(w, names[i])
			open = append(open, w)
		}
		_, err := io.Copy(w, r)
		for i := len(open) - 1; i >= 0 && err == nil; i-- {
			err = open[i].Close()
		}
		_ = pw.CloseWithError(err)
	}()
	return pr
}
