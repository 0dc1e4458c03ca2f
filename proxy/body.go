package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"kz/masking/fields"
	"kz/proxy/audit"
	"kz/proxy/policy"
)

// maxHeld is the longest body that is read whole before anything is sent (1 MiB, the contract's number).
const maxHeld = 1 << 20

// maxEdited bounds what becomes of such a body, and of one field of any body, by its swaps: a long value may be asked for by
// many short masks. A body that would be longer is edited while it is sent.
const maxEdited = 8 << 20

// defaultHeldTime is how long that may take. It is the one body that a client could have kz wait for with nothing in its hands;
// one that is sent on as it comes is the upstream's to wait for.
const defaultHeldTime = 10 * time.Minute

// requestBody is what becomes of the body of one request.
type requestBody struct {
	x        *exchange
	ctx      context.Context
	format   fields.Format
	boundary string
	coding   []string
	edit     bool   // a swap may stand in it
	counts   bool   // anywhere counts the masks, no one else does
	original []byte // as the client sent it; only of a held body, until it is forgotten
	result   []byte // as it is sent; likewise
	sent     bool   // the transport has all of result

	mu    sync.Mutex
	marks []mark // by the secrets whose masks are in it
	notes []audit.Withheld
	ref   *refusal

	roomForMarks [2]mark
}

// mark says of one secret how many of its masks stood in a body, and how many of those were swapped.
type mark struct {
	secret      string
	seen, swaps int
}

// mark finds or makes the mark of a secret. The caller holds b.mu.
func (b *requestBody) mark(secret string) *mark {
	for i := range b.marks {
		if b.marks[i].secret == secret {
			return &b.marks[i]
		}
	}
	b.marks = append(b.marks, mark{secret: secret})
	return &b.marks[len(b.marks)-1]
}

// swapCount is how many masks were swapped. The caller holds b.mu, or nothing is being sent yet.
func (b *requestBody) swapCount() int {
	n := 0
	for _, m := range b.marks {
		n += m.swaps
	}
	return n
}

// prepareBody plans the body of r. A body that may be swapped and is at most maxHeld long is read here, so that a refusal
// comes before anything is sent; a longer one is edited while it is sent.
func (x *exchange) prepareBody(r *http.Request) *refusal {
	if r.ContentLength == 0 && len(r.Trailer) == 0 {
		// The body of h2 never says that it is none: the transport would send one, and could not send the request again when it
		// finds that an idle connection has just been closed.
		r.Body = http.NoBody
	}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	b := &requestBody{x: x, ctx: r.Context()}
	b.marks = b.roomForMarks[:0]
	x.mu.Lock()
	x.body = b // who loses the room for its headers looks at it
	x.mu.Unlock()
	clear := false
	b.format, b.boundary, clear = bodyFormat(r.Header["Content-Type"])
	known := false
	b.coding, known = codings(r.Header["Content-Encoding"])
	places := x.scope.Body
	b.edit = known && clear && !enveloped(r.Header["Content-Type"]) && (places.Any || places.Selects() && b.format != 0)
	if !known && !places.IsZero() {
		b.notes = append(b.notes, audit.Withheld{Place: "body", Reason: "the body's coding is not known, so it was not read"})
	}
	if !clear && !places.IsZero() {
		b.notes = append(b.notes, audit.Withheld{Place: "body", Reason: "its Content-Type can be read in different ways"})
	}
	src := r.Body
	hold := r.ContentLength > 0 && r.ContentLength <= maxHeld || r.ContentLength < 0 && b.format != 0
	if b.edit && r.ContentLength > maxHeld {
		digests := presentDigests(r)
		if scheme := b.signed(r); scheme != "" {
			digests = append(digests, "the signature ("+scheme+")")
		}
		if len(digests) > 0 {
			// Whether a swap will happen is not known before the digest has gone.
			b.edit = false
			b.notes = append(b.notes, audit.Withheld{Place: "body", Reason: "a swap in this long body would make " + strings.Join(digests, ", ") + " wrong"})
		}
	}
	if !b.edit {
		if known && len(b.coding) == 0 {
			r.Body = &sentBody{r: x.p.opts.Table.ScanSpelled(src, b.found), src: src, x: x}
		} else {
			r.Body = &sentBody{r: src, src: src, x: x}
		}
		return nil
	}
	var head []byte
	if hold {
		var whole bool
		var err error
		waiting := http.NewResponseController(x.w.ResponseWriter)
		_ = waiting.SetReadDeadline(time.Now().Add(x.p.heldTime))
		head, whole, err = readUpTo(src, maxHeld, r.ContentLength, x.take)
		_ = waiting.SetReadDeadline(time.Time{})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			host := x.scope.Authority.String()
			return &refusal{Code: policy.RequestInvalid, Host: host, Message: "the body of the request to " + host + " did not come within " + x.p.heldTime.String(),
				Hint: "send it at once, or with a Content-Type that is not JSON, a form or multipart: it is then sent on as it comes", close: true}
		}
		if x.client.broken.Load() {
			return x.framingRefusal()
		}
		if err != nil {
			x.abort(err)
			panic(http.ErrAbortHandler)
		}
		if whole {
			return b.held(r, head)
		}
	}
	return b.streamed(r, &resumed{head: head, rest: src, done: x.giveBack}, true)
}

// streamed has body edited while it is sent; with scan its masks are counted as well.
func (b *requestBody) streamed(r *http.Request, body io.Reader, scan bool) *refusal {
	r.ContentLength, r.GetBody = -1, nil
	r.Header.Del("Content-Length")
	if ref := b.digestRefusal(r); ref != nil {
		return ref
	}
	edited, err := b.pipeline(body, scan)
	if err != nil {
		return b.internal(err)
	}
	r.Body = &sentBody{r: edited, src: multiCloser{edited, r.Body}, x: b.x}
	return nil
}

// held edits a whole body. One that is not changed is sent as it came.
func (b *requestBody) held(r *http.Request, original []byte) *refusal {
	b.mu.Lock()
	b.original = original
	b.mu.Unlock()
	result := original
	if len(b.coding) == 0 {
		b.x.p.opts.Table.Spelled(original, b.found)
	}
	if b.mayHoldMask(original) {
		edited, long, ref := b.edited(original)
		if ref != nil {
			return ref
		}
		if long {
			return b.streamed(r, bytes.NewReader(original), false)
		}
		if edited != nil {
			if ref := b.digestRefusal(r); ref != nil {
				return ref
			}
			result = edited
		}
	}
	if len(r.Trailer) == 0 {
		r.ContentLength = int64(len(result))
		r.Header.Del("Content-Length")
		r.TransferEncoding = nil
	}
	b.mu.Lock()
	b.result, b.sent = result, false
	b.mu.Unlock()
	r.Body = newHeldBody(result, r.Body, b.x)
	r.GetBody = func() (io.ReadCloser, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.result == nil {
			return nil, errRoom
		}
		b.sent = false
		b.x.out.n.Store(0)
		return newHeldBody(b.result, http.NoBody, b.x), nil
	}
	return nil
}

// mayHoldMask is a quick look: false means that no field of p, however it is escaped, holds a mask of the session.
func (b *requestBody) mayHoldMask(p []byte) bool {
	switch {
	case len(b.coding) > 0, b.x.p.opts.Table.Holds(p):
		return true
	case b.format == fields.JSON:
		return bytes.Contains(p, []byte(`\u`)) // no other escape can stand for a byte of a mask
	case b.format == fields.Form:
		return bytes.IndexByte(p, '%') >= 0
	}
	return false
}

// edited is original with the values put in; nil when nothing was. long says that the result is too long to be held.
func (b *requestBody) edited(original []byte) (result []byte, long bool, ref *refusal) {
	b.x.mu.Lock()
	before := len(b.x.swapped)
	b.x.mu.Unlock()
	edited, err := b.pipeline(bytes.NewReader(original), len(b.coding) > 0)
	if err != nil {
		return nil, false, b.internal(err)
	}
	result, err = readAll(edited, len(original)+bytes.MinRead, maxEdited, b.x.take)
	_ = edited.Close()
	if ref := b.refusal(); ref != nil {
		return nil, false, ref
	}
	long = err == errLong && len(b.coding) == 0
	if err != nil && !long && (len(b.coding) == 0 || errors.Is(err, errRoom) || errors.Is(err, fields.ErrRoom)) {
		return nil, false, b.internal(err)
	}
	if err != nil { // a body that does not decode, or not to its like, is not ours to judge: it goes on as it is, and nothing was put in
		b.x.mu.Lock()
		b.x.swapped = b.x.swapped[:before]
		b.x.mu.Unlock()
		b.mu.Lock()
		for i := range b.marks {
			b.marks[i].swaps = 0
		}
		b.mu.Unlock()
	}
	if err != nil || b.swapCount() == 0 {
		return nil, long, nil
	}
	return result, false, nil
}

func (b *requestBody) wasSent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = true
}

// forget lets go of a held body that has been sent. It reports false for any other.
func (b *requestBody) forget() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.sent {
		return false
	}
	b.original, b.result = nil, nil
	return true
}

// kept is a held body as the client sent it; nil: there is none.
func (b *requestBody) kept() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.original
}

// repeat edits a held body once more, with the values as they are now.
func (b *requestBody) repeat(r *http.Request) bool {
	b.mu.Lock()
	b.marks = b.marks[:0]
	b.mu.Unlock()
	b.x.out.n.Store(0)
	original := b.kept()
	return original != nil && b.held(r, original) == nil
}

func (b *requestBody) refuse(ref *refusal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ref == nil {
		b.ref = ref
	}
	return ref
}

// refusal is why the body, and with it the request, is refused; nil when it is not.
func (b *requestBody) refusal() *refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ref
}

func (b *requestBody) internal(error) *refusal {
	host := b.x.scope.name
	return &refusal{Code: policy.RequestInvalid, Host: host, Message: "the body of the request to " + host + " could not be read", Hint: "send the request again"}
}

// only is the secret whose mask stands in the body, if it is the only one: what is wrong with the body is about it.
func (b *requestBody) only() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.marks) != 1 {
		return ""
	}
	return b.marks[0].secret
}

// withheld lists the masks that were left in the body.
func (b *requestBody) withheld() []audit.Withheld {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.notes
	for _, m := range b.marks {
		if m.seen > m.swaps {
			d := b.x.scope.Judge(m.secret, policy.Site{Kind: policy.InBody})
			reason := d.Reason
			if reason == "" {
				reason = "it stood where it could not be swapped"
			}
			out = append(out, audit.Withheld{Secret: m.secret, Place: "body", Reason: reason})
		}
	}
	return out
}
