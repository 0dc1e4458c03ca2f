package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// deaf is an upstream that takes nothing any more, and says a last thing after a while.
type deaf struct {
	after time.Duration
	last  io.Reader
	once  sync.Once
}

func (d *deaf) Read(p []byte) (int, error) {
	d.once.Do(func() { time.Sleep(d.after) })
	return d.last.Read(p)
}

func (d *deaf) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
func (d *deaf) Close() error              { return nil }

func TestAnUpstreamThatTakesNothingMoreIsHeardOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		after, waits time.Duration
		sent         int
	}{{lastFrames / 2, lastFrames / 2, 1}, {2 * lastFrames, lastFrames, 0}} {
		synctest.Test(t, func(t *testing.T) {
			_, x := frameProxy(t)
			u := &upgraded{rw: &deaf{after: c.after, last: strings.NewReader("\x88\x02\x03\xf0")}, x: x, down: make(chan struct{}), up: make(chan struct{})}
			u.ctx, u.cancel = context.WithCancel(t.Context())
			client := make(sentTo, 10)
			go func() { _, _ = u.WriteTo(client) }()
			start := time.Now()
			if _, err := u.ReadFrom(bytes.NewReader(framesOf(true, opText, "x"))); err != io.ErrClosedPipe {
				t.Error(err)
			}
			if waited := time.Since(start); waited != c.waits || len(client) != c.sent {
				t.Errorf("after %v: the client got %d frames", waited, len(client))
			}
			u.end()
		})
	}
}

func TestAWebSocketOutlastsTheContextOfItsRequest(t *testing.T) {
	t.Parallel()
	_, x := frameProxy(t)
	x.w = &responseWriter{}
	ctx, cancel := context.WithCancel(t.Context())
	resp := &http.Response{Body: &deaf{}}
	if ref := x.receiveUpgraded(ctx, resp); ref != nil {
		t.Fatal(ref)
	}
	cancel()
	u := x.w.upgrade
	if u.ctx.Err() != nil {
		t.Error("it ended with the request's")
	}
	if u.end(); u.ctx.Err() == nil {
		t.Error("it has no end")
	}
	if _, err := u.WriteTo(io.Discard); err != net.ErrClosed {
		t.Errorf("after its end: %v", err)
	}
}
