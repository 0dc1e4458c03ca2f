package proxy

import (
	"context"
	"sync/atomic"
	"time"
)

// turnsAtOnce is how many requests of one h2 connection may begin at the same time. A connection brings up to 250 at once, and
// what is ready to run waits for all that was before it: some thousand together would keep every other client waiting.
const turnsAtOnce = 8

// turnPatience is how long a request waits for its turn at most. A turn ends once a request is on its way, or waits for its
// client or, longer than storePatience, for a store. So what takes longer is the upstream's connection, for which all of them
// would wait.
const (
	turnPatience  = time.Second
	storePatience = 50 * time.Millisecond
)

// turns are those of one connection. It is safe for concurrent use.
type turns chan struct{}

func newTurns() turns { return make(turns, turnsAtOnce) }

// turn is a request's. The zero value has none.
type turn struct {
	of   turns
	held atomic.Bool
}

// take waits for a turn.
func (t *turn) take(ctx context.Context, of turns) {
	select {
	case of <- struct{}{}:
	default:
		timer := time.NewTimer(turnPatience)
		defer timer.Stop()
		select {
		case of <- struct{}{}:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
	t.of = of
	t.held.Store(true)
}

// endAfter ends a turn that still lasts after d, unless stop is called before.
func (t *turn) endAfter(d time.Duration) (stop func()) {
	if !t.held.Load() {
		return func() {}
	}
	timer := time.AfterFunc(d, t.end)
	return func() { timer.Stop() }
}

// end gives it to the next. It may be called again.
func (t *turn) end() {
	if t.held.CompareAndSwap(true, false) {
		<-t.of
	}
}
