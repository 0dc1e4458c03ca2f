package proxy

import (
	"container/list"
	"errors"
	"sync"
	"time"
)

// What all clients and upstreams together may make kz hold before it can send it on: heads that are still coming, bodies that are
// read whole, and what decoders and encoders work with. Together they are less than half of the 200 MB that kz is to stay under;
// the rest is for connections and for garbage.
const (
	headBytes  = 16 << 20
	heldBytes  = 32 << 20
	coderBytes = 40 << 20
)

// How long each of them may stand still when others need its room. A head comes at once, a body of 1 MiB within milliseconds, a
// coded one may stream for long.
const (
	headGrace  = 50 * time.Millisecond
	heldGrace  = 250 * time.Millisecond
	coderGrace = 5 * time.Second
)

var errRoom = errors.New("proxy: what this connection holds is needed for others")

// room shares out a bounded number of bytes. Who is short of them waits until some are given back or, if that takes too long, has
// them taken from those that have made no progress for the longest time: what is good comes and goes, what is sent to fill the
// memory stays. It is safe for concurrent use.
type room struct {
	grace time.Duration
	turn  sync.Mutex // held by the one who waits

	mu     sync.Mutex
	left   int64
	claims list.List     // of *claim, the one that has stood still for longest first
	freed  chan struct{} // has one when bytes were given back
}

func newRoom(bytes int64, grace time.Duration) *room {
	return &room{grace: grace, left: bytes, freed: make(chan struct{}, 1)}
}

// claim is what one exchange or connection holds.
type claim struct {
	room  *room
	drop  func()    // ends the holder
	moved time.Time // when it last made progress
	n     int64
	at    *list.Element
	lost  bool
}

// claim is for a holder that drop ends. drop runs on a goroutine of its own, at most once.
func (r *room) claim(drop func()) *claim { return &claim{room: r, drop: drop} }

// take adds n bytes to what is held; with none it only says that the holder is not standing still. It reports false when the claim is lost, and with it all that it held.
func (c *claim) take(n int64) bool {
	if ok, sure := c.try(n); sure {
		return ok
	}
	r := c.room
	r.turn.Lock()
	defer r.turn.Unlock()
	began := time.Now()
	for {
		if ok, sure := c.try(n); sure {
			return ok
		}
		if wait := r.makeRoom(began); wait > 0 {
			late := time.NewTimer(wait)
			select {
			case <-r.freed:
			case <-late.C:
			}
			late.Stop()
		}
	}
}

// try is take where nothing has to be waited for.
func (c *claim) try(n int64) (ok, sure bool) {
	r := c.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.lost || r.claims.Len() == 0 && r.left < n {
		return false, true
	}
	if r.left < n {
		return false, false
	}
	r.left -= n
	c.n += n
	c.move()
	return true, true
}

func (c *claim) move() {
	c.moved = time.Now()
	if c.at == nil {
		c.at = c.room.claims.PushBack(c)
		return
	}
	c.room.claims.MoveToBack(c.at)
}

// roomPatience is how many times its grace a room has others wait for claims that go on moving: a little now and then holds nothing
// for ever.
const roomPatience = 4

// makeRoom takes back what the first claim holds, or says how long it is safe yet. Since began somebody waits.
func (r *room) makeRoom(began time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.claims.Front()
	if first == nil {
		return 0
	}
	c := first.Value.(*claim)
	if wait := min(r.grace-time.Since(c.moved), roomPatience*r.grace-time.Since(began)); wait > 0 {
		return wait
	}
	c.lose()
	return 0
}

// lose gives back what is held and ends the holder. The caller holds r.mu.
func (c *claim) lose() {
	c.lost = true
	c.back()
	go c.drop()
}

// release gives back what is held; the claim can be used again.
func (c *claim) release() {
	c.room.mu.Lock()
	defer c.room.mu.Unlock()
	c.back()
}

func (c *claim) back() {
	r := c.room
	if c.at == nil {
		return
	}
	r.claims.Remove(c.at)
	r.left += c.n
	c.n, c.at = 0, nil
	select {
	case r.freed <- struct{}{}:
	default:
	}
}
