package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"unicode/utf8"

	"kz/masking/fields"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// pipeline decodes src, edits it and encodes it again; with scan it also notes the masks that stand in it.
func (b *requestBody) pipeline(src io.Reader, scan bool) (io.ReadCloser, error) {
	var close multiCloser
	r := src
	if len(b.coding) > 0 {
		if !b.x.takeCoder(encoderCost(b.coding)) {
			return nil, errRoom
		}
		d := decode(r, b.coding)
		d.take = b.x.takeCoder
		close = append(close, d)
		r = d
	}
	t, places := b.x.p.opts.Table, b.x.scope.Body
	selects := b.format != 0 && places.Selects()
	switch {
	case !scan:
	case places.Any && !selects: // anywhere sees every mask
		b.counts = true
	default:
		r = t.ScanSpelled(r, b.found)
	}
	if selects {
		var err error
		r, err = fields.NewReader(r, fields.Options{Format: b.format, Boundary: b.boundary, Selector: b.x.scope.selector, Edit: b.editField, Marked: b.marked, OnLong: b.long,
			Grow: func(n int) bool { return b.x.take(int64(n)) }})
		if err != nil {
			return nil, err
		}
	}
	if places.Any {
		r = t.ReaderAfter(r, b.anywhere)
	}
	r = &errorWatch{r: r, b: b}
	if len(b.coding) > 0 {
		e := encode(r, b.coding)
		close = append(close, e)
		r = e
	}
	return &editedBody{r, close}, nil
}

// editedBody is a body with its swaps. It implements io.WriterTo.
type editedBody struct {
	io.Reader
	io.Closer
}

// WriteTo implements io.WriterTo.
func (e *editedBody) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, e.Reader) }

// editField judges the masks of one selected field.
func (b *requestBody) editField(f fields.Field, value []byte) ([]byte, bool, error) {
	t := b.x.p.opts.Table
	hit, ok := t.Next(value, 0)
	if !ok {
		return nil, false, nil
	}
	var out []byte
	last := 0
	for ; ok; hit, ok = t.Next(value, hit.End) {
		d := b.x.scope.Judge(hit.Name, policy.Site{Kind: policy.InField, Name: f.Name, Pointer: f.Pointer, Top: f.Top,
			Credential: fields.IsCredential(f.Name), Whole: hit.Start == 0 && hit.End == len(value)})
		if d.Verdict != policy.Swap || d.Place.Kind == policy.BodyAny {
			continue
		}
		v, ref := b.x.value(b.ctx, hit.Name)
		if ref != nil {
			return nil, false, b.refuse(ref.about("", b.x.scope.Authority))
		}
		where := fmt.Sprintf("the body's field %q", f.Name)
		if b.beginsBoundary(value[last:hit.Start], last == 0) {
			return nil, false, b.refuse(b.boundaryRefusal(hit.Name, where))
		}
		if takesIn(value[:hit.Start]) {
			return nil, false, b.refuse(b.x.takenIn(hit.Name, where))
		}
		if out = append(append(out, value[last:hit.Start]...), v...); len(out) > maxEdited {
			return nil, false, b.refuse(unfit(where+": with its masks swapped it is longer than 8 MiB").about(hit.Name, b.x.scope.Authority))
		}
		last = hit.End
		b.swapped(hit.Name, d.Place)
	}
	if last == 0 {
		return nil, false, nil
	}
	return append(out, value[last:]...), true, nil
}

// beginsBoundary reports whether before, what a client has put before a mask of a multipart field, ends with the beginning of
// the boundary's line. With the value behind it that line may or may not be one, and what becomes of the request would tell a
// client that chooses the boundary how the value begins. first says that before is the beginning of the field.
func (b *requestBody) beginsBoundary(before []byte, first bool) bool {
	if b.boundary == "" {
		return false
	}
	line := bytes.LastIndexAny(before, "\r\n") + 1
	if line == 0 && !first {
		return false
	}
	before = before[line:]
	return len(before) > 0 && bytes.HasPrefix([]byte("--"+b.boundary), before)
}

func (b *requestBody) boundaryRefusal(secret, where string) *refusal {
	host := b.x.scope.name
	return &refusal{Code: policy.RequestInvalid, Secret: secret, Host: host, Hint: "send the mask alone, or choose another boundary",
		Message: "request to " + host + ": what stands before the mask in " + where + " may begin a boundary"}
}

// anywhere gives the value for a mask under body:*, encoded for the body's format. before is what stands before it.
func (b *requestBody) anywhere(name string, before []byte) ([]byte, bool) {
	if b.counts {
		b.found(name)
	}
	d := b.x.scope.Judge(name, policy.Site{Kind: policy.InBody})
	if d.Verdict != policy.Swap || b.refusal() != nil {
		return nil, false
	}
	switch {
	case b.beginsBoundary(before, true):
		_ = b.refuse(b.boundaryRefusal(name, "the body"))
		return nil, false
	case takesIn(before):
		_ = b.refuse(b.x.takenIn(name, "the body"))
		return nil, false
	}
	v, ref := b.x.value(b.ctx, name)
	if ref != nil {
		_ = b.refuse(ref.about("", b.x.scope.Authority))
		return nil, false
	}
	if b.format == fields.JSON && !utf8.ValidString(v) {
		_ = b.refuse(unfit("a JSON body: it is not UTF-8").about(name, b.x.scope.Authority))
		return nil, false
	}
	b.swapped(name, d.Place)
	switch b.format {
	case fields.JSON:
		return jsonString(v), true
	case fields.Form:
		return []byte(url.QueryEscape(v)), true
	}
	return []byte(v), true
}

func (b *requestBody) marked(value []byte) bool {
	_, ok := b.x.p.opts.Table.Next(value, 0)
	return ok
}

func (b *requestBody) found(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mark(name).seen++
}

func (b *requestBody) long(f fields.Field) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.notes) < maxNotes {
		b.notes = append(b.notes, audit.Withheld{Place: "body:" + f.Name, Reason: "the field is longer than 1 MiB, so it was not read"})
	}
}

// maxNotes bounds what is said of one body: of a body without end there could be more than a line of the audit can hold.
const maxNotes = 100

func (b *requestBody) swapped(name string, place policy.Place) {
	b.mu.Lock()
	m := b.mark(name)
	m.swaps++
	first := m.swaps == 1
	b.mu.Unlock()
	if first {
		b.x.didSwap(name, place.String())
	}
}
