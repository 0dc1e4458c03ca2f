package proxy

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"kz/masking/fields"
)

// digestHeaders hold a digest of, or a signature over, the body. A swap makes them wrong.
var digestHeaders = []string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "X-Amz-Content-Sha256", "X-Goog-Hash",
	"Signature-Input", "X-Hub-Signature", "X-Hub-Signature-256"}

func presentDigests(h http.Header) []string {
	var found []string
	for _, name := range digestHeaders {
		if v := h[name]; len(v) > 0 && v[0] != "" && v[0] != "UNSIGNED-PAYLOAD" {
			found = append(found, name)
		}
	}
	return found
}

func (b *requestBody) digestRefusal(h http.Header) *refusal {
	found := presentDigests(h)
	if len(found) == 0 {
		return nil
	}
	host := b.x.scope.name
	return &refusal{Code: codeSignatureUnsupported, Secret: b.only(), Host: host, Hint: "send the request without " + strings.Join(found, ", "),
		Message: "request to " + host + ": a swap in the body would make " + strings.Join(found, ", ") + " wrong"}
}

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

// bodyFormat is the format of a body that can be edited; 0 for any other.
func bodyFormat(contentType []string) (fields.Format, string) {
	if len(contentType) != 1 {
		return 0, ""
	}
	if contentType[0] == "application/json" {
		return fields.JSON, ""
	}
	media, params, err := mime.ParseMediaType(contentType[0])
	if err != nil {
		return 0, ""
	}
	switch {
	case media == "application/json", media == "text/json":
		return fields.JSON, ""
	case media == "application/x-www-form-urlencoded":
		return fields.Form, ""
	case media == "multipart/form-data" && params["boundary"] != "":
		return fields.Multipart, params["boundary"]
	// Envelopes of Connect are not JSON, though they end like it (connectrpc.com, "Streaming RPCs").
	case strings.HasSuffix(media, "+json") && !strings.HasPrefix(media, "application/connect") && !strings.HasPrefix(media, "application/grpc"):
		return fields.JSON, ""
	}
	return 0, ""
}

// firstRoom is what is allocated for a body before any of it has come: a length is quickly said.
const firstRoom = 64 << 10

// readUpTo reads at most limit bytes. whole reports that r ended within them.
func readUpTo(r io.Reader, limit int64, length int64) (b []byte, whole bool, err error) {
	if length >= 0 && length <= limit {
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
			b = append(b, make([]byte, min(length+1-int64(n), int64(3*n)))...)
		}
		// The framing's end, with its trailers, stands behind the last byte.
		if _, err := io.ReadFull(r, b[length:length+1]); err != io.EOF {
			return b[:length], false, err
		}
		return b[:length], true, nil
	}
	var buf bytes.Buffer
	_, err = io.CopyN(&buf, r, limit+1)
	if err == io.EOF {
		return buf.Bytes(), true, nil
	}
	return buf.Bytes(), false, err
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

// readAll is io.ReadAll for something of about n bytes. More than limit is errLong.
func readAll(r io.Reader, n, limit int) ([]byte, error) {
	b := make([]byte, 0, n)
	for {
		if len(b) > limit {
			return nil, errLong
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
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
