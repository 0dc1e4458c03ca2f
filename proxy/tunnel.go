package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"kz/proxy/audit"
	"kz/proxy/policy"
)

const established = "HTTP/1.1 200 Connection established\r\n\r\n"

// tunnel copies bytes between client and upstream until both directions have ended, and records it. They are unread but for
// the opening that the route wants.
func (p *Proxy) tunnel(client, upstream net.Conn, a policy.Authority, id string, start time.Time, route policy.Route) {
	var out, in int64
	var refused *openingError
	done := p.tunnels.add(client, upstream)
	p.unrecorded.Add(1)
	defer p.unrecorded.Add(-1)
	defer func() {
		_ = client.Close()
		_ = upstream.Close()
		done()
		e := audit.Event{Time: start.UTC(), Request: id, Kind: audit.Tunnel, Method: http.MethodConnect, Host: p.redact(a.Host), Port: int(a.Port),
			Status: http.StatusOK, BytesOut: out, BytesIn: in, DurationMS: milliseconds(time.Since(start)), Reason: route.Reason}
		if refused != nil {
			e.Kind, e.Status, e.Code, e.Reason = audit.Refusal, 0, refused.code, refused.reason
		}
		p.record(e)
	}()
	if _, err := io.WriteString(client, established); err != nil {
		return
	}
	var wg sync.WaitGroup
	if route.Opening == policy.AnyOpening {
		wg.Go(func() { out = pipe(upstream, client) })
		in = pipe(client, upstream)
		wg.Wait()
		return
	}
	retried := make(chan bool, 1)
	wg.Go(func() {
		var err error
		if out, err = opened(client, upstream, a, route.Opening, retried); errors.As(err, &refused) {
			_, _ = client.Close(), upstream.Close()
			return
		}
		out += pipe(upstream, client)
	})
	in = answered(client, upstream, retried)
	in += pipe(client, upstream)
	wg.Wait()
}

// pipe copies until src ends, then half-closes dst, so that each direction can end on its own. When it cannot go on it
// ends both. Between two TCP connections the kernel moves the bytes.
func pipe(dst, src net.Conn) int64 {
	n := int64(0)
	if rc, ok := src.(*replayConn); ok {
		m, err := dst.Write(rc.ahead)
		n += int64(m)
		if err != nil {
			_ = src.Close()
			return n
		}
		src = rc.Conn
	}
	if rc, ok := dst.(*replayConn); ok {
		dst = rc.Conn
	}
	m, err := io.Copy(bare(dst), bare(src))
	if err != nil || closeWrite(dst) != nil {
		_ = dst.Close()
		_ = src.Close()
	}
	return n + m
}

func closeWrite(c net.Conn) error {
	if hc, ok := c.(interface{ CloseWrite() error }); ok {
		return hc.CloseWrite()
	}
	return errors.ErrUnsupported
}

// tunnels knows the open ones, to end them.
type tunnels struct {
	departures *departures

	mu   sync.Mutex
	open map[net.Conn]net.Conn
}

// add notes a tunnel, and ends it when one of its ends has gone altogether.
func (t *tunnels) add(client, upstream net.Conn) (done func()) {
	end := func() { _, _ = client.Close(), upstream.Close() }
	first, second := t.departures.watch(client, false, end), t.departures.watch(upstream, false, end)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[net.Conn]net.Conn{}
	}
	t.open[client] = upstream
	return func() {
		first()
		second()
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.open, client)
	}
}

// wait looks from time to time, as http.Server.Shutdown does: a WaitGroup must not be added to while it is waited for.
func (t *tunnels) wait(ctx context.Context) error {
	for t.any() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

func (t *tunnels) any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open) > 0
}

func (t *tunnels) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for client, upstream := range t.open {
		_ = client.Close()
		_ = upstream.Close()
	}
}
