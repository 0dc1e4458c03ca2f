package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"kz/masking"
	"kz/proxy/policy"
)

// lastFrames is how long one direction of a WebSocket waits, at its end, for what is still to come in the other.
const lastFrames = time.Second

// badGateway is the status with which the client's connection is closed when the upstream's frames cannot be read (IANA
// WebSocket Close Code Number Registry).
const badGateway = 1014

// receiveUpgraded puts a codec around a WebSocket: what comes out of it is scrubbed message by message, and masks are
// swapped in what goes into it where a secret declares the place frame.
func (x *exchange) receiveUpgraded(ctx context.Context, resp *http.Response) *refusal {
	rw, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		host := x.scope.Authority.String()
		return &refusal{Code: codeUpstreamUnreachable, Host: host, Message: host + " ended the connection while upgrading it", Hint: "try again"}
	}
	u := &upgraded{rw: rw, x: x, down: make(chan struct{}), up: make(chan struct{})}
	u.ctx, u.cancel = context.WithCancel(ctx)
	resp.Body = u
	x.w.upgrade = u
	return nil
}

// upgraded is the upstream's side of a WebSocket. goproxy copies from it and to it with io.Copy, which finds WriteTo and
// ReadFrom, and goes on when either has returned.
type upgraded struct {
	rw     io.ReadWriteCloser
	x      *exchange
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	down   chan struct{} // closed once nothing more goes to the client
	up     chan struct{} // closed once nothing more goes to the upstream

	mu      sync.Mutex
	over    bool
	copying sync.WaitGroup
}

// begin reports whether a copy may still begin. One that does is waited for by end.
func (u *upgraded) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.over {
		u.copying.Add(1)
	}
	return !u.over
}

// end closes the upstream's side and waits for the copies, so that all they did is recorded. The client's side must have
// been closed.
func (u *upgraded) end() {
	u.mu.Lock()
	u.over = true
	u.mu.Unlock()
	u.cancel()
	_ = u.rw.Close()
	u.copying.Wait()
}

// WriteTo carries the upstream's frames to the client, scrubbed.
func (u *upgraded) WriteTo(client io.Writer) (int64, error) {
	if !u.begin() {
		return 0, net.ErrClosed
	}
	defer u.copying.Done()
	c := &frameCopy{window: newWindow(&countedReader{u.rw, &u.x.in}), dst: client, edit: &frameScrubber{u.x, u.x.didScrub("frame")}}
	err := c.run()
	var bad *framingError
	if errors.As(err, &bad) {
		u.x.abort(&upgradeError{"upstream", bad})
		_ = c.writeFrame(true, opClose, closing(badGateway, "the upstream's frames cannot be read"))
	}
	close(u.down)
	switch {
	case bad != nil || c.lost:
	case err == io.EOF:
		halfClose(client)
		u.wait(u.up)
	case !ended(u.up) && u.ctx.Err() == nil:
		u.x.abort(err)
	}
	return c.n, err
}

// ReadFrom carries the client's frames to the upstream.
func (u *upgraded) ReadFrom(client io.Reader) (int64, error) {
	if !u.begin() {
		return 0, net.ErrClosed
	}
	defer u.copying.Done()
	c := &frameCopy{window: newWindow(client), dst: &countedWriter{u.rw, &u.x.out}, masked: true}
	var err error
	if u.x.scope.Frames {
		c.edit = &frameSwapper{x: u.x, ctx: u.ctx, told: map[toldSwap]bool{}}
		err = c.run()
	} else {
		err = c.raw()
	}
	close(u.up)
	var bad *framingError
	switch {
	case errors.As(err, &bad):
		u.x.abort(&upgradeError{"client", bad})
	case c.lost:
		// The upstream may have said why before it went.
		u.wait(u.down)
	case err == io.EOF:
		halfClose(u.rw)
		u.wait(u.down)
	}
	return c.n, err
}

// wait gives the other direction time to end.
func (u *upgraded) wait(other <-chan struct{}) {
	t := time.NewTimer(lastFrames)
	defer t.Stop()
	select {
	case <-other:
	case <-t.C:
	case <-u.ctx.Done():
	}
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// halfClose tells the other side that no more will come. Where that cannot be said, nothing is.
func halfClose(c any) {
	if hc, ok := c.(interface{ CloseWrite() error }); ok {
		_ = hc.CloseWrite()
	}
}

// Read is there for goproxy, which asks for an io.ReadWriter; it never reads: WriteTo is what looks into frames.
func (u *upgraded) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Write is like Read.
func (u *upgraded) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Close implements io.Closer.
func (u *upgraded) Close() error { return u.rw.Close() }

// upgradeError says whose frames were not frames.
type upgradeError struct {
	whose string
	err   *framingError
}

func (e *upgradeError) Error() string {
	return "the WebSocket frames of the " + e.whose + " cannot be read: " + e.err.why
}
func (e *upgradeError) Unwrap() error { return e.err }

// countedWriter counts what is written through it.
type countedWriter struct {
	w io.Writer
	c *counter
}

func (w *countedWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.c.add(n)
	return n, err
}

// raw carries bytes as they are.
func (c *frameCopy) raw() error {
	for {
		if err := c.fill(1); err != nil {
			c.release()
			return err
		}
		if err := c.write(c.buffered()); err != nil {
			return err
		}
		c.r = c.w
	}
}

// closing is a close frame's payload (RFC 6455, section 5.5.1), behind room for its head.
func closing(code uint16, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, maxFrameHeader, 64), code), reason...)
}

// frameScrubber takes values out of what an upstream sends. Values learned since the connection began count.
type frameScrubber struct {
	x  *exchange
	on func(name string)
}

func (s *frameScrubber) looks(opcode) bool { return true }

func (s *frameScrubber) whole(p []byte) ([]byte, bool) { return s.x.p.scrubbers().Bytes(p, s.on), true }

func (s *frameScrubber) stream(r io.Reader) io.Reader {
	return s.x.p.scrubbers().Reader(r, masking.Restore, s.on)
}

// control keeps the code of a close frame, and cuts what would not fit.
func (s *frameScrubber) control(op opcode, p []byte) ([]byte, error) {
	scrub, code := s.x.p.scrubbers(), 0
	if op == opClose && len(p) > 0 {
		if code = 2; len(p) == 1 || !closeCode(binary.BigEndian.Uint16(p)) {
			return nil, &framingError{"a close frame has no valid code"}
		}
	}
	if _, found := scrub.Find(p); !found {
		return p, nil
	}
	edited := append(p[:code:code], scrub.Bytes(p[code:], s.on)...)
	if len(edited) > maxControl {
		edited = edited[:maxControl]
		for op == opClose && len(edited) > code && !utf8.Valid(edited[code:]) {
			edited = edited[:len(edited)-1]
		}
	}
	if _, found := scrub.Find(edited); found {
		return nil, &framingError{"a value begins in the code of a close frame"}
	}
	return edited, nil
}

// closeCode reports whether a close frame may carry the code (RFC 6455, section 7.4).
func closeCode(c uint16) bool {
	return c >= 1000 && c < 5000 && c != 1004 && c != 1005 && c != 1006 && c != 1015
}

// frameSwapper puts values into the text messages of a client. Where a message looks like JSON, which it does when it
// begins with { or [, the value is escaped as in a JSON string; anywhere else it goes in as it is.
type frameSwapper struct {
	x    *exchange
	ctx  context.Context
	told map[toldSwap]bool
}

// toldSwap is what the audit says once for a connection, however many messages it has.
type toldSwap struct {
	secret  string
	swapped bool
}

// maxSwapped bounds a message that is put together in memory.
const maxSwapped = maxHeld

func (s *frameSwapper) looks(op opcode) bool { return op == opText }

func (s *frameSwapper) control(_ opcode, p []byte) ([]byte, error) { return p, nil }

func (s *frameSwapper) whole(p []byte) ([]byte, bool) {
	table, last := s.x.p.opts.Table, 0
	hit, ok := table.Next(p, 0)
	if !ok {
		return p, true
	}
	var first firstByte
	first.note(p)
	var out []byte
	for ; ok; hit, ok = table.Next(p, hit.End) {
		value, swap := s.value(hit.Name, first.json())
		if !swap {
			continue
		}
		if out = append(append(out, p[last:hit.Start]...), value...); len(out) > maxSwapped {
			return nil, false
		}
		last = hit.End
	}
	if last == 0 {
		return p, true
	}
	return append(out, p[last:]...), true
}

func (s *frameSwapper) stream(r io.Reader) io.Reader {
	f := &firstByte{r: r}
	return s.x.p.opts.Table.Reader(f, func(name string) ([]byte, bool) { return s.value(name, f.json()) })
}

// value is what goes in for one mask; with false the mask stays, inert as it is.
func (s *frameSwapper) value(name string, json bool) ([]byte, bool) {
	d := s.x.scope.Judge(name, policy.Site{Kind: policy.InFrame})
	if d.Verdict != policy.Swap {
		return s.withhold(name, d.Reason)
	}
	v, ref := s.x.p.value(s.ctx, name, s.x.scope.Authority)
	if ref != nil {
		return s.withhold(name, ref.Message)
	}
	if !utf8.ValidString(v) {
		return s.withhold(name, "the value is not UTF-8, which a text message must be")
	}
	if s.tell(name, true) {
		s.x.didSwap(name, d.Place.String())
	}
	if json {
		return jsonString(v), true
	}
	return []byte(v), true
}

func (s *frameSwapper) withhold(name, reason string) ([]byte, bool) {
	if s.tell(name, false) {
		s.x.didWithhold(name, policy.Site{Kind: policy.InFrame}.Entry(), reason)
	}
	return nil, false
}

// tell reports whether this is said for the first time.
func (s *frameSwapper) tell(name string, swapped bool) bool {
	t := toldSwap{name, swapped}
	told := s.told[t]
	s.told[t] = true
	return !told
}

// firstByte notes the first byte of a message that is not white space.
type firstByte struct {
	r io.Reader
	b byte
}

func (f *firstByte) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	f.note(p[:n])
	return n, err
}

func (f *firstByte) note(p []byte) {
	for i := 0; i < len(p) && f.b == 0; i++ {
		switch p[i] {
		case ' ', '\t', '\r', '\n':
		default:
			f.b = p[i]
		}
	}
}

func (f *firstByte) json() bool { return f.b == '{' || f.b == '[' }
