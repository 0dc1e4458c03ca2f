package proxy

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// departures looks from time to time for peers that have gone while nobody reads what they say. A copy that waits for one side
// to take something hears nothing of the other; without this it would wait for ever.
type departures struct {
	every time.Duration

	mu      sync.Mutex
	watched map[*departure]bool
	timer   *time.Timer // nil: nobody is watched
}

type departure struct {
	conn syscall.Conn
	half bool // that it says no more is enough
	gone func()
}

// watch calls gone, once, when the peer of c has reset the connection, or, with half, ended its side. stop ends that.
func (d *departures) watch(c net.Conn, half bool, gone func()) (stop func()) {
	conn, ok := socket(c).(syscall.Conn)
	if !ok {
		return func() {}
	}
	one := &departure{conn, half, gone}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watched == nil {
		d.watched = map[*departure]bool{}
	}
	d.watched[one] = true
	if d.timer == nil {
		d.timer = time.AfterFunc(d.every, d.look)
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watched, one)
	}
}

func (d *departures) look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for one := range d.watched {
		if hungUp(one.conn, one.half) {
			delete(d.watched, one)
			go one.gone()
		}
	}
	if d.timer = nil; len(d.watched) > 0 {
		d.timer = time.AfterFunc(d.every, d.look)
	}
}

// clientOf is the connection that a request came by; nil where it is not known.
func clientOf(ctx context.Context) net.Conn {
	if ic, ok := ctx.Value(tunnelKey{}).(*interceptConn); ok {
		return ic
	}
	c, _ := ctx.Value(clientKey{}).(net.Conn)
	return c
}

// departedEvery is how often departures looks.
const departedEvery = 5 * time.Second
