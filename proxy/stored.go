package proxy

import (
	"encoding/binary"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"
)

// stored writes a coding without compressing anything: what stands beside a value in a body is the client's choice, and how well
// both compress together would tell how much of the value it has guessed. Every receiver of the coding reads it.
type stored struct {
	w     io.Writer
	form  storedForm
	begun bool
	n     uint32 // bytes so far, as gzip counts them
	sum   hash.Hash32
	buf   []byte
}

// storedForm is how a coding holds bytes that are not compressed.
type storedForm struct {
	head  []byte // before everything
	block func(dst []byte, n int, first bool) []byte
	end   func(s *stored, dst []byte) []byte
	sum   func() hash.Hash32
}

// maxStored is the longest block: deflate has 16 bits for its length.
const maxStored = 1<<16 - 1

var storedForms = map[string]storedForm{
	// RFC 1952; of an unknown system, without a time.
	"gzip": {head: []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}, block: deflateBlock, sum: func() hash.Hash32 { return crc32.NewIEEE() },
		end: func(s *stored, dst []byte) []byte {
			dst = append(dst, 1, 0, 0, 0xff, 0xff)
			dst = binary.LittleEndian.AppendUint32(dst, s.sum.Sum32())
			return binary.LittleEndian.AppendUint32(dst, s.n)
		}},
	// zlib, RFC 1950.
	"deflate": {head: []byte{0x78, 0x01}, block: deflateBlock, sum: func() hash.Hash32 { return adler32.New() },
		end: func(s *stored, dst []byte) []byte {
			return binary.BigEndian.AppendUint32(append(dst, 1, 0, 0, 0xff, 0xff), s.sum.Sum32())
		}},
	// RFC 7932, section 9: a window of 64 KiB is one bit, 0; a block's head is ISLAST 0, MNIBBLES 0, MLEN-1 in 16 bits, ISUNCOMPRESSED 1.
	"br": {block: func(dst []byte, n int, first bool) []byte {
		head := uint32(n-1)<<3 | 1<<19
		if first {
			head <<= 1
		}
		return append(dst, byte(head), byte(head>>8), byte(head>>16))
	}, end: func(s *stored, dst []byte) []byte {
		if !s.begun {
			return append(dst, 6)
		}
		return append(dst, 3)
	}},
	// RFC 8878, section 3.1.1: no checksum, no length, a window of 128 KiB; raw blocks.
	"zstd": {head: []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3}, block: func(dst []byte, n int, _ bool) []byte {
		return append(dst, byte(n<<3), byte(n>>5), byte(n>>13))
	}, end: func(_ *stored, dst []byte) []byte { return append(dst, 1, 0, 0) }},
}

// deflateBlock is the head of a stored block that is not the last one (RFC 1951, section 3.2.4).
func deflateBlock(dst []byte, n int, _ bool) []byte {
	return append(dst, 0, byte(n), byte(n>>8), byte(^n), byte(^n>>8))
}

// newStored returns a writer of the coding, one of those that codings knows.
func newStored(w io.Writer, name string) *stored {
	s := &stored{w: w, form: storedForms[name]}
	if s.form.sum != nil {
		s.sum = s.form.sum()
	}
	return s
}

func (s *stored) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		piece := p[done:min(len(p), done+maxStored)]
		s.buf = append(s.form.block(s.opened(), len(piece), !s.begun), piece...)
		s.begun = true
		if s.sum != nil {
			_, _ = s.sum.Write(piece) // never fails: documented
		}
		s.n += uint32(len(piece))
		if _, err := s.w.Write(s.buf); err != nil {
			return done, err
		}
		done += len(piece)
	}
	return len(p), nil
}

// opened is the empty buffer, or what begins the coding when nothing has been written.
func (s *stored) opened() []byte {
	if s.begun {
		return s.buf[:0]
	}
	return append(s.buf[:0], s.form.head...)
}

// Close writes the end. It closes nothing else.
func (s *stored) Close() error {
	_, err := s.w.Write(s.form.end(s, s.opened()))
	return err
}
