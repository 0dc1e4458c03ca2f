package proxy

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
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

var errBomb = errors.New("proxy: a coded body unfolds without measure")

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
func decode(r io.Reader, names []string) io.ReadCloser {
	d := &decoder{src: r}
	d.coded.r = r
	d.r = &d.coded
	for i := len(names) - 1; i >= 0; i-- {
		d.r = &lazyDecoder{name: names[i], src: d.r, owner: d}
	}
	return d
}

type decoder struct {
	src   io.Reader
	coded countingReader
	r     io.Reader
	out   int64
	close []func()
}

func (d *decoder) Read(p []byte) (int, error) {
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
// stand. What is between the two is nothing to anyone.
func (d *decoder) end() error {
	if _, err := io.Copy(io.Discard, &d.coded); err != nil {
		return err
	}
	return io.EOF
}

func (d *decoder) Close() error {
	for _, f := range d.close {
		f()
	}
	d.close = nil
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
	r     io.Reader
	err   error
}

func (l *lazyDecoder) Read(p []byte) (int, error) {
	if l.r == nil && l.err == nil {
		l.open()
	}
	if l.err != nil {
		return 0, l.err
	}
	return l.r.Read(p)
}

func (l *lazyDecoder) open() {
	br := bufio.NewReaderSize(l.src, 4<<10)
	head, err := br.Peek(1)
	if len(head) == 0 {
		l.err = err
		return
	}
	switch l.name {
	case "gzip":
		l.r, l.err = gzip.NewReader(br)
	case "deflate":
		// RFC 9110 means zlib; some servers send bare deflate.
		if two, _ := br.Peek(2); len(two) == 2 && two[0]&0x0f == 8 && (int(two[0])<<8|int(two[1]))%31 == 0 {
			l.r, l.err = zlib.NewReader(br)
		} else {
			l.r = flate.NewReader(br)
		}
	case "br":
		l.r = brotli.NewReader(br)
	case "zstd":
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			l.err = err
			return
		}
		l.r = z
		l.owner.close = append(l.owner.close, z.Close)
	}
}

// encode applies the codings to what is read from r. Closing the result ends the goroutine that does it.
func encode(r io.Reader, names []string) io.ReadCloser {
	pr, pw := io.Pipe()
	go func() {
		var w io.WriteCloser = pw
		var open []io.WriteCloser
		for i := len(names) - 1; i >= 0; i-- {
			w = newEncoder(w, names[i])
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

func newEncoder(w io.Writer, name string) io.WriteCloser {
	switch name {
	case "gzip":
		return gzip.NewWriter(w)
	case "deflate":
		return zlib.NewWriter(w)
	case "br":
		return brotli.NewWriterLevel(w, 4)
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic("proxy: zstd options: " + err.Error())
	}
	return z
}
