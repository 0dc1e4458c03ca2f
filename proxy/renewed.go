package proxy

import (
	"bytes"
	"io"

	"kz/masking"
)

// renewed scrubs a body for as long as it lasts: what comes after a new value has been learned is searched for that one too.
// It implements io.WriterTo and is for one goroutine.
type renewed struct {
	p       *Proxy
	src     io.Reader
	mode    masking.Mode
	on      func(name string)
	known   *scrubbers // what r looks for
	r       io.Reader
	changed bool   // known is no longer all
	ahead   []byte // of src, for the next r
	err     error  // of src, behind ahead
}

func (p *Proxy) scrubbing(src io.Reader, mode masking.Mode, on func(name string)) *renewed {
	s := &renewed{p: p, src: src, mode: mode, on: on}
	s.renew()
	return s
}

func (s *renewed) renew() {
	s.changed, s.known = false, s.p.scrubbers()
	s.r = s.known.Reader(renewedSource{s}, s.mode, s.on)
}

// Read implements io.Reader.
func (s *renewed) Read(p []byte) (int, error) {
	for {
		n, err := s.r.Read(p)
		if err != io.EOF || !s.changed {
			return n, err
		}
		s.renew()
		if n > 0 {
			return n, nil
		}
	}
}

// WriteTo implements io.WriterTo.
func (s *renewed) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for {
		n, err := io.Copy(w, s.r)
		written += n
		if err != nil || !s.changed {
			return written, err
		}
		s.renew()
	}
}

// renewedSource is src to r. It ends for an r that does not know every value, before the bytes that came since.
type renewedSource struct{ s *renewed }

func (b renewedSource) Read(p []byte) (int, error) {
	s := b.s
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		s.ahead = s.ahead[n:]
		return n, nil
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.src.Read(p)
	if n > 0 && s.p.scrubbers() != s.known {
		s.changed, s.ahead, s.err = true, bytes.Clone(p[:n]), err
		return 0, io.EOF
	}
	return n, err
}
