package proxy

import (
	"cmp"
	"context"
	"net"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"kz/proxy/audit"
)

// limitListener lets at most cap(slots) accepted connections be open at a time. A further one takes the place of another: see
// makePlace. One that is not admitted within headerTimeout is closed, so that strangers hold no slot for long.
type limitListener struct {
	net.Listener
	slots   chan struct{}
	clients *presence
	closed  chan struct{}
	once    sync.Once

	mu   sync.Mutex
	open map[*limitedConn]bool
}

func newLimitListener(l net.Listener, n int, clients *presence) *limitListener {
	return &limitListener{Listener: l, slots: make(chan struct{}, n), clients: clients, closed: make(chan struct{}), open: map[*limitedConn]bool{}}
}

// Accept implements net.Listener.
func (l *limitListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !l.slot() {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	l.clients.enter()
	lc := &limitedConn{Conn: c}
	lc.release = sync.OnceFunc(func() {
		l.mu.Lock()
		delete(l.open, lc)
		l.mu.Unlock()
		l.clients.leave()
		<-l.slots
	})
	lc.stranger = time.AfterFunc(headerTimeout, func() { _ = c.Close(); lc.release() })
	l.mu.Lock()
	l.open[lc] = true
	l.mu.Unlock()
	return lc, nil
}

// slot waits until there is one, and sees to it that there will be. It reports false once the listener is closed.
func (l *limitListener) slot() bool {
	select {
	case l.slots <- struct{}{}:
		return true
	default:
	}
	for tries := 0; ; tries++ {
		enough := quietLong
		if tries >= patience {
			enough = placeEvery
		}
		l.makePlace(enough)
		select {
		case l.slots <- struct{}{}:
			return true
		case <-l.closed:
			return false
		case <-time.After(placeEvery):
		}
	}
}

// placeEvery is how often a place is looked for while there is none, quietLong how long a connection must have been quiet to be
// taken for one that nobody needs while others do not come in. What waits for a slow upstream is quiet too, but of as many
// connections as there may be the quietest is hardly that. After as many tries as patience says placeEvery is long enough: a byte
// now and then holds no place.
const (
	placeEvery = 100 * time.Millisecond
	quietLong  = time.Second
	patience   = 5
)

// makePlace closes those connections on which nothing has come or gone for the longest, and for enough, of that client address which has the most:
// a few at a time, since looking costs. So one client that opens all it can, and holds it, keeps no other out.
func (l *limitListener) makePlace(enough time.Duration) {
	type quiet struct {
		c    *limitedConn
		long time.Duration
	}
	l.mu.Lock()
	by := map[string][]*limitedConn{}
	most := ""
	for c := range l.open {
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		if by[host] = append(by[host], c); len(by[host]) > len(by[most]) {
			most = host
		}
	}
	l.mu.Unlock()
	var found []quiet
	for _, c := range by[most] {
		if sc, ok := c.Conn.(syscall.Conn); ok {
			if d, ok := quietFor(sc); ok && d >= enough {
				found = append(found, quiet{c, d})
			}
		}
	}
	slices.SortFunc(found, func(a, b quiet) int { return cmp.Compare(b.long, a.long) })
	for _, q := range found[:min(len(found), 1+cap(l.slots)/256)] {
		_ = q.c.Close()
	}
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
	head     headMeter
	reads    uint // of its one reader

	asked, vouched bool         // see vouch
	refused        *audit.Event // a request without the credential, until there is one with it
}

// yieldEvery is after how many reads a connection lets all others go first. Two goroutines that hand small frames to each other
// keep their processor for 10 ms at a time, however many wait. Measured with eight connections of small windows on two processors:
// another client's request took 370 to 400 ms, and takes 90 to 260; what others pay for it is below the benchmark's noise.
const yieldEvery = 32

// Read implements net.Conn.
func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.reads++; c.reads%yieldEvery == 0 {
		runtime.Gosched()
	}
	if !c.head.read(n) {
		_ = c.Close()
		return 0, errRoom
	}
	return n, err
}

type clientKey struct{}

// withClient puts an accepted connection into the context of its requests, for admit.
func withClient(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// admit lets the connection of a request stay: it has shown the session's credential, or is vouched for.
func admit(ctx context.Context) {
	if c, ok := ctx.Value(clientKey{}).(*limitedConn); ok {
		c.stranger.Stop()
	}
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.stranger.Stop()
	err := c.Conn.Close()
	c.head.closed()
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
