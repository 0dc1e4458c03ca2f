package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// gateWidth is how many connections to one host that speaks h2 are made at the same time. One carries at least 100 requests
// as a rule (RFC 9113, section 6.5.2).
const gateWidth = 4

// handOver is how long a new connection may take to reach the request that it was made for.
const handOver = 50 * time.Millisecond

// maxGateHosts is of how many hosts a gate remembers what they speak.
const maxGateHosts = 1024

// errSpared ends a dial whose request has found another connection. Nobody sees it.
var errSpared = errors.New("the request has a connection")

// dialGate keeps requests that come at the same moment from each making a connection of its own: net/http dials for every one
// that finds none, though a single connection of h2 could carry them all. Until it is known what a host speaks, one dial goes
// and the others wait for it; to a host that speaks HTTP/1.1 nobody waits. The zero value is ready.
type dialGate struct {
	mu    sync.Mutex
	hosts map[string]*gatedHost
}

// gatedHost is what a gate knows of one host.
type gatedHost struct {
	width int // how many may dial; 0: any number
	busy  int
	inUse int // dials under way and those that wait
	round *dialRound
}

// dialRound ends with the next dial that does. Its err is set before over is closed.
type dialRound struct {
	over chan struct{}
	err  error
}

// dial calls dial, alone or beside few others to the same host, or returns what one that it waited for failed with. A dial for
// an exchange that gets a connection in the meantime is given up.
func (g *dialGate) dial(ctx context.Context, addr string, dial func() (net.Conn, error)) (net.Conn, error) {
	var connected <-chan struct{} // for ever, where nobody tells
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if ok {
		connected = x.arrival.wait()
	}
	h := g.enter(addr)
	kept := false
	defer func() {
		if !kept {
			g.leave(addr, h)
		}
	}()
	for {
		select {
		case <-connected:
			return nil, errSpared
		default:
		}
		round, alone := g.take(h)
		if alone && ok {
			x.turn.end() // each needs a connection of its own
		}
		if round == nil {
			break
		}
		select {
		case <-round.over:
			if round.err != nil {
				return nil, round.err
			}
		case <-connected:
			return nil, errSpared
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	conn, err := dial()
	if err != nil || connected == nil {
		g.done(ctx, h, conn, err)
		return conn, err
	}
	// net/http gives the connection to all who wait for one, after this.
	kept = true
	go func() {
		defer g.leave(addr, h)
		late := time.NewTimer(handOver)
		defer late.Stop()
		select {
		case <-connected:
		case <-late.C: // the request has ended, or has another connection
		}
		g.done(ctx, h, conn, nil)
	}()
	return conn, nil
}

func (g *dialGate) enter(addr string) *gatedHost {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.hosts[addr]
	if h == nil {
		if g.hosts == nil || len(g.hosts) >= maxGateHosts {
			g.hosts = map[string]*gatedHost{}
		}
		h = &gatedHost{width: 1, round: &dialRound{over: make(chan struct{})}}
		g.hosts[addr] = h
	}
	h.inUse++
	return h
}

// leave forgets a host of which nothing was learned.
func (g *dialGate) leave(addr string, h *gatedHost) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.inUse--; h.inUse == 0 && h.width == 1 && g.hosts[addr] == h {
		delete(g.hosts, addr)
	}
}

// take returns nil when the caller may dial, else the round that it has to wait for. alone says that it could not wait for the
// connection of another.
func (g *dialGate) take(h *gatedHost) (round *dialRound, alone bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.width > 0 && h.busy >= h.width {
		return h.round, false
	}
	h.busy++
	return nil, h.width == 0
}

// done tells those who wait how a dial ended, unless it was only given up.
func (g *dialGate) done(ctx context.Context, h *gatedHost, conn net.Conn, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h.busy--
	if tc, ok := conn.(*tls.Conn); ok && err == nil {
		h.width = 0
		if tc.ConnectionState().NegotiatedProtocol == "h2" {
			h.width = gateWidth
		}
	}
	over := h.round
	h.round = &dialRound{over: make(chan struct{})}
	if ctx.Err() == nil {
		over.err = err
	}
	close(over.over)
}

// arrival is the moment a request gets a connection. It may come more than once: net/http tries again when a connection turns
// out to have no room. The zero value is ready; it is safe for concurrent use.
type arrival struct {
	mu    sync.Mutex
	there bool
	seen  chan struct{} // nil: nobody waits
}

// reset is the begin of an attempt.
func (a *arrival) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.there {
		a.there, a.seen = false, nil
	}
}

// arrived is its end.
func (a *arrival) arrived() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.there && a.seen != nil {
		close(a.seen)
	}
	a.there = true
}

// wait returns what is closed once the connection is there.
func (a *arrival) wait() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen == nil {
		a.seen = make(chan struct{})
		if a.there {
			close(a.seen)
		}
	}
	return a.seen
}
