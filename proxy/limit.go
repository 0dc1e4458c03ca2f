package proxy

import (
	"context"
	"net"
	"sync"
	"time"
)

// limitListener lets at most cap(slots) accepted connections be open at a time; further ones wait to be accepted. One that
// is not admitted within headerTimeout is closed, so that strangers hold no slot for long.
type limitListener struct {
	net.Listener
	slots   chan struct{}
	clients *presence
	closed  chan struct{}
	once    sync.Once
}

func newLimitListener(l net.Listener, n int, clients *presence) *limitListener {
	return &limitListener{Listener: l, slots: make(chan struct{}, n), clients: clients, closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	l.clients.enter()
	release := sync.OnceFunc(func() { l.clients.leave(); <-l.slots })
	stranger := time.AfterFunc(headerTimeout, func() { _ = c.Close(); release() })
	return &limitedConn{Conn: c, release: release, stranger: stranger}, nil
}

// Close implements net.Listener.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	release  func()
	stranger *time.Timer // closes the connection
}

type clientKey struct{}

// withClient puts an accepted connection into the context of its requests, for admit.
func withClient(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// admit lets the connection of a request stay: it has shown the session's credential.
func admit(ctx context.Context) {
	if c, ok := ctx.Value(clientKey{}).(*limitedConn); ok {
		c.stranger.Stop()
	}
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.stranger.Stop()
	err := c.Conn.Close()
	c.release()
	return err
}

// CloseWrite half-closes a TCP connection.
func (c *limitedConn) CloseWrite() error { return closeWrite(c.Conn) }

// presence counts the clients' connections and calls alone once none has been there for a while.
type presence struct {
	after time.Duration
	alone func()

	mu    sync.Mutex
	n     int
	timer *time.Timer
}

func (p *presence) enter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	if p.timer != nil {
		p.timer.Stop()
	}
}

func (p *presence) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n--; p.n > 0 {
		return
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(p.after, p.alone)
	} else {
		p.timer.Reset(p.after)
	}
}

// bare is the connection that the kernel can splice, without the wrappers of this package. Only for copying: closing it
// would not release what the wrappers hold.
func bare(c net.Conn) net.Conn {
	switch w := c.(type) {
	case *limitedConn:
		return w.Conn
	case *dialled:
		return w.Conn
	}
	return c
}
