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
)

// lastFrames is how long one direction of a WebSocket waits, at its end, for what is still to come in the other.
const lastFrames = time.Second

// badGateway is the status with which the client's connection is closed when the upstream's frames cannot be read (IANA
// WebSocket Close Code Number Registry).
const badGateway = 1014

// receiveUpgraded puts a codec around a WebSocket: what comes out of it is scrubbed message by message, and masks are
// swapped in what goes into it where a secret declares the place frame. A value in two halves, each in a message of its
// own, is not found.
func (x *exchange) receiveUpgraded(ctx context.Context, resp *http.Response) *refusal {
	rw, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		host := x.scope.name
		return &refusal{Code: codeUpstreamUnreachable, Host: host, Message: host + " ended the connection while upgrading it", Hint: "try again"}
	}
	u := &upgraded{rw: rw, x: x, down: make(chan struct{}), up: make(chan struct{})}
	// The request's own context may end as soon as the client says that it sends no more.
	u.ctx, u.cancel = context.WithCancel(context.WithoutCancel(ctx))
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
	swapper := &frameSwapper{x: u.x, ctx: u.ctx, told: map[toldSwap]bool{}}
	if u.x.scope.Frames {
		c.edit = swapper
		err = c.run()
	} else {
		c.tap = &frameTap{swapper: swapper}
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

// closing is a close frame's payload (RFC 6455, section 5.5.1), behind room for its head.
func closing(code uint16, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, maxFrameHeader, 64), code), reason...)
}
