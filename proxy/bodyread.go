package proxy

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"strings"

	"kz/masking/fields"
)

var errLong = errors.New("proxy: an edited body is too long to be held")

// errorWatch turns the errors of the editors into refusals.
type errorWatch struct {
	r io.Reader
	b *requestBody
}

func (w *errorWatch) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if ref := w.b.refusal(); ref != nil {
		return 0, ref
	}
	return n, w.refused(err)
}

// WriteTo implements io.WriterTo.
func (w *errorWatch) WriteTo(dst io.Writer) (int64, error) {
	n, err := io.Copy(&watchedWriter{dst, w.b}, w.r)
	if ref := w.b.refusal(); ref != nil {
		return n, ref
	}
	return n, w.refused(err)
}

// refused is err, or the refusal that it stands for.
func (w *errorWatch) refused(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var ambiguous *fields.AmbiguousError
	var unencodable *fields.UnencodableError
	switch {
	case errors.As(err, &ambiguous):
		return w.b.refuse(w.b.x.ambiguous(w.b.only(), "the body's field "+ambiguous.Field.String()+" occurs more than once"))
	case errors.As(err, &unencodable):
		return w.b.refuse(unfit("the body's field "+unencodable.Field.String()).about(w.b.only(), w.b.x.scope.Authority))
	}
	return err
}

// watchedWriter takes nothing more of a body once it is refused.
type watchedWriter struct {
	w io.Writer
	b *requestBody
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	if ref := w.b.refusal(); ref != nil {
		return 0, ref
	}
	return w.w.Write(p)
}

// bodyFormat is the format of a body of which single fields can be edited, 0 for any other, and the boundary of a multipart one.
// clear says that receivers agree about it; what they may read in different ways is not edited at all.
func bodyFormat(contentType []string) (format fields.Format, boundary string, clear bool) {
	switch {
	case len(contentType) == 0:
		return 0, "", true
	case len(contentType) > 1:
		return 0, "", false
	case contentType[0] == "application/json":
		return fields.JSON, "", true
	}
	media, params, err := mime.ParseMediaType(contentType[0])
	if charset, ok := params["charset"]; err != nil || ok && !plainCharset(charset) {
		return 0, "", false
	}
	switch {
	case media == "application/json", media == "text/json":
		return fields.JSON, "", true
	case media == "application/x-www-form-urlencoded":
		return fields.Form, "", true
	case strings.HasPrefix(media, "multipart/"):
		if boundary = params["boundary"]; boundary == "" || !oneBoundary(contentType[0]) {
			return 0, "", false
		}
		if media == "multipart/form-data" {
			format = fields.Multipart
		}
		return format, boundary, true
	// Envelopes of Connect are not JSON, though they end like it (connectrpc.com, "Streaming RPCs").
	case strings.HasSuffix(media, "+json") && !strings.HasPrefix(media, "application/connect") && !strings.HasPrefix(media, "application/grpc"):
		return fields.JSON, "", true
	}
	return 0, "", true
}

// oneBoundary reports whether every receiver finds the same boundary in a Content-Type: not where it is continued or encoded
// (RFC 2231), escaped, or where another one stands in the quotes of something else.
func oneBoundary(contentType string) bool {
	lower := strings.ToLower(contentType)
	_, after, _ := strings.Cut(lower, "boundary")
	return strings.HasPrefix(after, "=") && !strings.Contains(after, "boundary=") && !strings.Contains(after, "boundary*") && !strings.Contains(lower, "\\")
}

// plainCharset reports whether ASCII, and what most values are, reads the same in the charset: a client that chooses another one,
// UTF-16 say, has its upstream read another text than the value, which it may then echo.
func plainCharset(name string) bool {
	switch strings.ToLower(name) {
	case "*", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso8859-1", "latin1", "iso-8859-15", "windows-1252":
		return true
	}
	return false
}

// firstRoom is what is allocated for a body before any of it has come: a length is quickly said.
const firstRoom = 16 << 10

// freeHeld is what of a body may be held without asking.
const freeHeld = 4 << 10

// readUpTo reads at most limit bytes. whole reports that r ended within them. take is asked before memory is used for them; where
// it says no, the error is errRoom.
func readUpTo(r io.Reader, limit int64, length int64, take func(n int64) bool) (b []byte, whole bool, err error) {
	if length >= 0 && length <= limit {
		if length > freeHeld && !take(min(length+1, firstRoom)) {
			return nil, false, errRoom
		}
		b = make([]byte, min(length+1, firstRoom))
		for n := 0; ; {
			m, err := io.ReadFull(r, b[n:min(length, int64(len(b)))])
			if n += m; err != nil {
				if n > 0 {
					err = tooEarly(err)
				}
				return b[:n], false, err
			}
			if int64(len(b)) > length {
				break
			}
			more := min(length+1-int64(n), int64(3*n))
			if !take(more) {
				return b[:n], false, errRoom
			}
			b = append(b, make([]byte, more)...)
		}
		// The framing's end, with its trailers, stands behind the last byte.
		if _, err := io.ReadFull(r, b[length:length+1]); err != io.EOF {
			return b[:length], false, err
		}
		return b[:length], true, nil
	}
	b = make([]byte, freeHeld)
	for n := 0; ; {
		m, err := r.Read(b[n:])
		if n += m; err == io.EOF {
			return b[:n], true, nil
		}
		if err != nil || int64(n) > limit {
			return b[:n], false, err
		}
		if n == len(b) {
			more := min(int64(n), limit+1-int64(n))
			if !take(more) {
				return b[:n], false, errRoom
			}
			b = append(b, make([]byte, more)...)
		}
	}
}

// sentBody is what the transport sends: it counts, and closes the client's body.
type sentBody struct {
	r   io.Reader
	src io.Closer
	x   *exchange
}

func (s *sentBody) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.x.out.add(n)
	return n, err
}

// WriteTo implements io.WriterTo, which saves a copy.
func (s *sentBody) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(&countedWriter{w, &s.x.out}, s.r)
}

func (s *sentBody) Close() error { return s.src.Close() }

// heldBody is a sentBody that was read before.
type heldBody struct {
	r   bytes.Reader
	src io.Closer
	x   *exchange
}

func newHeldBody(p []byte, src io.Closer, x *exchange) *heldBody {
	b := &heldBody{src: src, x: x}
	b.r.Reset(p)
	return b
}

func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.x.out.add(n)
	if b.r.Len() == 0 {
		b.r.Reset(nil)
		b.x.body.wasSent()
	}
	return n, err
}

func (b *heldBody) Close() error { return b.src.Close() }

// multiCloser closes several, and returns the first error.
type multiCloser []io.Closer

func (m multiCloser) Close() error {
	var first error
	for _, c := range m {
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// readAll is io.ReadAll for something of about n bytes. More than limit is errLong. take is asked for what goes beyond n; where it
// says no, the error is errRoom.
func readAll(r io.Reader, n, limit int, take func(n int64) bool) ([]byte, error) {
	b := make([]byte, 0, n)
	for {
		if len(b) > limit {
			return nil, errLong
		}
		if len(b) == cap(b) {
			more := min(cap(b), limit+bytes.MinRead-cap(b))
			if !take(int64(more)) {
				return nil, errRoom
			}
			b = append(make([]byte, 0, cap(b)+more), b...)
		}
		m, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+m]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}
