package fields

import (
	"errors"
	"fmt"
	"io"
)

// MaxMember is the longest value, in bytes as they stand in the body (between
// the quotes, for a JSON string), that is held and offered.
const MaxMember = 1 << 20

// Format is how a body is written.
type Format int

// The formats, and the media types they belong to.
const (
	JSON      Format = iota + 1 // application/json, application/*+json, application/x-ndjson
	Form                        // application/x-www-form-urlencoded
	Multipart                   // multipart/form-data
)

// String returns the format's name.
func (f Format) String() string {
	switch f {
	case JSON:
		return "JSON"
	case Form:
		return "form"
	case Multipart:
		return "multipart"
	}
	return fmt.Sprintf("Format(%d)", int(f))
}

// Field says where a value stands.
type Field struct {
	Pointer string // JSON: the member's pointer (RFC 6901); otherwise ""
	Name    string // decoded name: the last key or array index, the form field, the part
	Top     bool   // a member of the top-level object, a form field or a part
}

// String returns the pointer or, without one, the name, quoted.
func (f Field) String() string {
	if f.Pointer != "" {
		return fmt.Sprintf("%q", f.Pointer)
	}
	return fmt.Sprintf("%q", f.Name)
}

// Editor is offered one selected value, decoded. It returns replaced == false
// to leave the value exactly as it was written, or the decoded value to write
// in its place. It must not modify value, nor keep it; replacement is used
// before the Editor is called again. An error ends reading and is returned as
// it is, after everything that stands before the value.
type Editor func(f Field, value []byte) (replacement []byte, replaced bool, err error)

// Options are the settings of a [Reader].
type Options struct {
	Format   Format    // required
	Boundary string    // of a multipart body; one that RFC 2046 does not allow leaves the body as it is
	Selector *Selector // nil: nothing is selected, the body passes as it is
	Edit     Editor    // required
	// Marked says whether a decoded value holds a mask, which makes a repeated
	// place ambiguous. Nil: those hold one that Edit replaces.
	Marked func(value []byte) bool
	// OnLong is told of each selected value longer than MaxMember; it passes
	// as it is and counts as holding no mask. Nil: nobody is told.
	OnLong func(f Field)
	// Grow is asked before n more bytes are held; with false reading ends with
	// [ErrRoom]. Nil: there is always room.
	Grow func(n int) bool
}

// Reader reads a body with its selected values edited. It is not safe for
// concurrent use. Its memory is bounded by MaxMember, whatever the input.
type Reader struct {
	src     io.Reader
	opt     Options
	lex     lexer // nil: nothing that follows is edited
	track   tracker
	w       window
	rep     []byte // encoded replacement, goes out after what is ready
	pending []byte // what of rep has not gone out yet
	resume  int    // where the window goes on after rep, or -1
	scanned bool   // the lexer has seen all that is in the window
	srcErr  error  // what the last read of src returned
	err     error  // what Read returns once the window is empty
}

// A lexer finds the selected values of one format.
type lexer interface {
	// scan reads on from w.pos. It is called again after each finding. eof says
	// that nothing will follow what is in w.
	scan(w *window, eof bool) (finding, error)
	// value describes what stands in raw, the value just found.
	value(raw []byte) (decoded []byte, editable bool)
	// encode appends value as it is written in this format; false: it cannot be.
	encode(dst, value []byte) ([]byte, bool)
}

// A finding is what a scan ended with.
type finding struct {
	kind  findingKind
	place place // of found and long
	end   int   // of found: the value is w.buf[w.hold:end]
}

type findingKind uint8

const (
	more      findingKind = iota // the window has been scanned as far as it can be
	found                        // a selected value
	long                         // a selected value longer than MaxMember; w.hold is -1
	malformed                    // the rest passes as it is
)

// NewReader returns a Reader of r's body. Errors are those of o: an unknown
// Format or no Edit.
func NewReader(r io.Reader, o Options) (*Reader, error) {
	var errs []error
	if o.Edit == nil {
		errs = append(errs, errors.New("reading fields: no editor given"))
	}
	rd := &Reader{src: r, opt: o, track: tracker{sel: o.Selector}, w: window{hold: -1, grow: o.Grow}, resume: -1}
	switch o.Format {
	case JSON:
		rd.lex = newJSONLexer(&rd.track)
	case Form:
		rd.lex = &formLexer{track: &rd.track}
	case Multipart:
		if validBoundary(o.Boundary) {
			rd.lex = newMultipartLexer(&rd.track, o.Boundary)
		}
	default:
		errs = append(errs, fmt.Errorf("reading fields: unknown format %d", int(o.Format)))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if o.Selector.Empty() {
		rd.lex = nil
	} else {
		rd.track.reset()
	}
	return rd, nil
}

// Read implements [io.Reader].
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if b := r.next(); len(b) > 0 {
			n := copy(p, b)
			r.gave(n)
			return n, nil
		}
		switch {
		case r.err != nil:
			r.w.release()
			return 0, r.err
		case r.verbatim():
			r.w.release()
			n, err := r.src.Read(p)
			r.err = err
			return n, err
		}
		r.advance()
	}
}

// WriteTo implements [io.WriterTo].
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if b := r.next(); len(b) > 0 {
			n, err := w.Write(b)
			r.gave(n)
			total += int64(n)
			if err == nil && n < len(b) {
				err = io.ErrShortWrite
			}
			if err != nil {
				return total, err
			}
			continue
		}
		switch {
		case r.err == io.EOF:
			r.w.release()
			return total, nil
		case r.err != nil:
			r.w.release()
			return total, r.err
		case r.verbatim():
			r.w.release()
			buf := windows.Get().(*[windowSize]byte)
			n, err := io.CopyBuffer(w, r.src, buf[:])
			windows.Put(buf)
			if err == nil {
				r.err = io.EOF
			}
			return total + n, err
		}
		r.advance()
	}
}

// next returns what can be given away now.
func (r *Reader) next() []byte {
	if r.w.out < r.w.ready {
		return r.w.buf[r.w.out:r.w.ready]
	}
	return r.pending
}

// gave notes that n bytes of next have been given away.
func (r *Reader) gave(n int) {
	if r.w.out < r.w.ready {
		r.w.out += n
	} else {
		r.pending = r.pending[n:]
	}
}

// verbatim reports whether all that follows can be taken from src directly.
func (r *Reader) verbatim() bool {
	return r.lex == nil && r.srcErr == nil && r.w.out == r.w.n
}

// advance takes one step: it scans what is in the window or, when that is done,
// reads more. All that next had must have been given away.
func (r *Reader) advance() {
	switch {
	case r.resume >= 0:
		r.w.out, r.w.ready, r.resume = r.resume, r.resume, -1
	case r.lex != nil && !r.scanned:
		r.scan()
	case r.srcErr != nil:
		r.w.ready, r.err = r.w.n, r.srcErr
	default:
		r.fill()
	}
}

// fill reads once; a reader that keeps returning nothing is given up.
func (r *Reader) fill() {
	buf := r.w.room()
	if buf == nil {
		r.err = ErrRoom
		return
	}
	for range 100 {
		n, err := r.src.Read(buf)
		if n > 0 || err != nil {
			r.w.n += n
			r.srcErr, r.scanned = err, false
			return
		}
	}
	r.srcErr = io.ErrNoProgress
}

// scan lets the lexer go on and decides what it finds.
func (r *Reader) scan() {
	f, err := r.lex.scan(&r.w, r.srcErr == io.EOF)
	if err == nil && f.kind == found {
		err = r.decide(f)
	}
	if err != nil {
		r.w.ready, r.err = r.w.pos, err
		if r.w.hold >= 0 {
			r.w.ready = r.w.hold
		}
		return
	}
	switch f.kind {
	case found:
		r.w.hold = -1
	case long:
		if r.opt.OnLong != nil {
			r.opt.OnLong(r.track.field(f.place, r.opt.Format == JSON))
		}
	case more:
		r.scanned = true
		r.w.ready = r.w.n
		if r.w.hold >= 0 {
			r.w.ready = r.w.hold
		}
	case malformed:
		r.lex = nil
		r.w.ready, r.w.hold = r.w.n, -1
	}
}

// decide asks the editor about the value found and queues its replacement.
func (r *Reader) decide(f finding) error {
	pointers := r.opt.Format == JSON
	value, editable := r.lex.value(r.w.buf[r.w.hold:f.end:f.end])
	if r.opt.Marked != nil && r.opt.Marked(value) && r.track.mark(f.place) {
		return r.track.ambiguous(f.place, pointers)
	}
	if !editable {
		return nil
	}
	field := r.track.field(f.place, pointers)
	rep, replaced, err := r.opt.Edit(field, value)
	if err != nil || !replaced {
		return err
	}
	if r.track.mark(f.place) {
		return r.track.ambiguous(f.place, pointers)
	}
	enc, ok := r.lex.encode(r.rep[:0], rep)
	if !ok {
		return &UnencodableError{Field: field, Format: r.opt.Format}
	}
	r.rep, r.pending = enc, enc
	r.w.ready, r.resume = r.w.hold, f.end
	return nil
}
