package proxy

import (
	"bufio"
	"io"
	"reflect"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The decoders that most traffic needs are kept for the next body: a new one costs tens of kilobytes. Only one that came to the end of its body without an error is put back.
var (
	codedReaders sync.Pool // *bufio.Reader
	gzipReaders  sync.Pool // *gzip.Reader
	brReaders    sync.Pool // *brotli.Reader
	zstdReaders  sync.Pool // *zstd.Decoder
)

// take gets a kept one or the zero value.
func take[T any](p *sync.Pool) T {
	v, _ := p.Get().(T)
	return v
}

// nothing is what a kept decoder reads from: no body is held alive by it.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
func (nothing) ReadByte() (byte, error)  { return 0, io.EOF }

func takeCodedReader(r io.Reader) *bufio.Reader {
	if br := take[*bufio.Reader](&codedReaders); br != nil {
		br.Reset(r)
		return br
	}
	return bufio.NewReaderSize(r, 4<<10)
}

// openGzip returns a decoder of br, and what puts it back.
func openGzip(br *bufio.Reader, hidden func() bool) (io.Reader, func(), error) {
	z := take[*gzip.Reader](&gzipReaders)
	if z == nil {
		z = new(gzip.Reader)
	}
	g := &gzipReader{z: z, br: br, hidden: hidden}
	return g, func() { gzipReaders.Put(z) }, g.member()
}

// gzipReader reads one member after the other. Each is given whole before the next is waited for. What is behind the last
// one and is none, padding say, is left unread. In an answer it may be, as most clients have it: a member ends with a sum and
// a length of what came, so that nobody can end one inside a value.
type gzipReader struct {
	z       *gzip.Reader
	br      *bufio.Reader
	hidden  func() bool // reports whether sums must be wrong
	between bool        // two members
}

func (g *gzipReader) member() error {
	err := g.z.Reset(g.br)
	g.z.Multistream(false)
	return err
}

func (g *gzipReader) Read(p []byte) (int, error) {
	for {
		if g.between {
			head, err := g.br.Peek(len(gzipMagic))
			switch {
			case len(head) > 0 && !strings.HasPrefix(gzipMagic, string(head)):
				return 0, io.EOF
			case err == io.EOF && len(head) > 0:
				return 0, io.ErrUnexpectedEOF
			case err == nil:
				err = g.member()
			}
			if err != nil {
				return 0, err
			}
			g.between = false
		}
		n, err := g.z.Read(p)
		if err == io.EOF || err == gzip.ErrChecksum && g.hidden() {
			g.between, err = true, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// gzipMagic begins a member (RFC 1952, section 2.3.1).
const gzipMagic = "\x1f\x8b"

func openBrotli(br *bufio.Reader) (io.Reader, func(), error) {
	z := take[*brotli.Reader](&brReaders)
	if z == nil {
		z = brotli.NewReader(nothing{})
	}
	return &brotliReader{Reader: z}, func() {
		if z.Reset(nothing{}) == nil {
			brReaders.Put(z)
		}
	}, z.Reset(br)
}

// brotliReader undoes a mistake of brotli.Reader (v1.2.8): where the last bytes of a coding come one by one, it takes its own
// copy of them, long used, for input behind the end. With what is really there, input is left unread.
type brotliReader struct {
	*brotli.Reader
	ended bool // it must not be asked again: it would swallow what is behind
}

func (b *brotliReader) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.Reader.Read(p)
	if err != nil && err.Error() == "brotli: excessive input" {
		in := reflect.ValueOf(b.Reader).Elem().FieldByName("in")
		if b.ended = in.Kind() == reflect.Slice && in.Len() == 0; b.ended {
			return n, io.EOF
		}
	}
	return n, err
}

// openZstd returns a decoder of br that, with unsummed, does not compare sums: it cannot go on behind one that is wrong.
func openZstd(br *bufio.Reader, unsummed bool) (io.Reader, func(), error) {
	z := take[*zstd.Decoder](&zstdReaders)
	if z == nil {
		var err error
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, err
		}
	}
	return z, func() {
		if z.Reset(nothing{}) == nil {
			zstdReaders.Put(z)
		}
	}, z.ResetWithOptions(br, zstd.IgnoreChecksum(unsummed))
}
