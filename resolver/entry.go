package resolver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// object is what one fetch of a store brings. Its entries are the fields of it, where the store can be asked for several
// at a time; else it has one entry.
type object struct {
	mu      sync.Mutex // guards its entries
	entries []*entry
}

// entry is one secret of a Cache.
type entry struct {
	src    Source
	object *object
	fresh  atomic.Pointer[fresh] // what the hot path needs of the value; written under the lock
	hits   atomic.Int64          // what the hot path has given out

	// Guarded by object.mu.
	wanted     bool   // it has been asked for
	value      Secret // zero: none yet
	refreshAt  time.Time
	staleUntil time.Time
	failure    error // the last call's; returned until failedTill
	failedTill time.Time
	flight     *flight // the call under way
	forced     *flight // the last one that Refresh asked for
	forcedAt   time.Time
	forceEvery time.Duration // how long after it there is no other
	status     Status
}

// fresh is a value and when it is due.
type fresh struct {
	secret Secret
	until  time.Time
}

// flight is one call of a store, shared by all who wait for it. What follows done is set before it is closed.
type flight struct {
	patience time.Time // until when a caller waits who could have a stale value
	anew     bool      // see Anew
	done     chan struct{}
	secret   Secret
	changed  bool
	err      error
}

// kept is an answer that needs no call.
type kept struct {
	secret Secret
	err    error
}

// before tells whether now is before then, both by the clock on the wall, which may be set back, and by the one that only
// runs, which on most systems stands still while the machine sleeps.
func before(now, then time.Time) bool {
	return now.Before(then) && now.Round(0).Before(then.Round(0))
}

// look returns what is kept, or a flight to wait for. Where there was none under way, crew are the entries it is for: the
// caller has to see that it is flown.
func (c *Cache) look(e *entry) (got kept, f *flight, crew []*entry) {
	now := c.opt.Now()
	e.object.mu.Lock()
	defer e.object.mu.Unlock()
	e.wanted = true
	if !e.value.IsZero() && before(now, e.refreshAt) {
		e.hits.Add(1)
		return kept{secret: e.value}, nil, nil
	}
	e.status.Uses++
	if e.flight == nil && before(now, e.failedTill) {
		if !e.value.IsZero() && before(now, e.staleUntil) {
			return kept{secret: e.value}, nil, nil
		}
		return kept{err: e.failure}, nil, nil
	}
	f, crew = e.join(now, e.src.TTL == 0)
	return kept{}, f, crew
}

// join returns the flight under way, or reserves one: for the entry, and for the other fields of its object that are in use,
// so that they are all of one version. The lock is held.
func (e *entry) join(now time.Time, anew bool) (f *flight, crew []*entry) {
	if e.flight != nil {
		return e.flight, nil
	}
	for _, o := range e.object.entries {
		if o.flight != nil || o != e && !o.wanted {
			continue
		}
		wait := patience
		if o.failure != nil {
			wait = patienceFailing
		}
		o.flight = &flight{done: make(chan struct{}), patience: now.Add(wait), anew: anew}
		crew = append(crew, o)
	}
	return e.flight, crew
}

// expire makes a value due that is not. The lock is held.
func (e *entry) expire(now time.Time) {
	if !e.value.IsZero() && before(now, e.refreshAt) {
		e.fresh.Store(nil)
		e.refreshAt = now
		e.staleUntil = now.Add(e.src.MaxStale)
	}
}

// stale returns the last value while it may still be served.
func (e *entry) stale(now time.Time) (Secret, bool) {
	e.object.mu.Lock()
	defer e.object.mu.Unlock()
	return e.value, !e.value.IsZero() && before(now, e.staleUntil)
}

// fly calls the store for one entry, and returns its error. Nobody's context bounds it but the time limit: others may be
// waiting, and its result is kept.
func (c *Cache) fly(e *entry) error {
	began := c.opt.Now()
	ctx, cancel := context.WithTimeout(context.Background(), c.opt.Timeout)
	defer cancel()
	if e.flight.anew { // only land takes the flight away
		ctx = Anew(ctx)
	}
	landed := make(chan Outcome, 1)
	go func() { landed <- resolve(ctx, e.src.Resolver.Resolve, e.src.Ref) }()
	var out Outcome
	select {
	case out = <-landed:
	case <-ctx.Done(): // a store that does not heed its context is left behind
		out.Err = Transport(ctx.Err())
	}
	c.land(e, out, began)
	return out.Err
}

// land takes the outcome of a call into the entry and wakes who waits for it.
func (c *Cache) land(e *entry, out Outcome, began time.Time) {
	now := c.opt.Now()
	e.object.mu.Lock()
	old := e.value
	e.object.mu.Unlock()
	// Only the flight changes e.value, and there is one flight.
	secret := out.Result.Secret
	err := e.own(out.Err)
	if err == nil && secret.IsZero() {
		err = e.own(&Error{Kind: Unavailable, Message: "the store returned no value"})
	}
	changed := err == nil && (old.IsZero() || !old.Equal(secret))
	if changed && c.opt.OnValue != nil {
		err = c.opt.OnValue(e.src.Name, secret)
	}

	e.object.mu.Lock()
	defer e.object.mu.Unlock()
	f := e.flight
	defer close(f.done)
	e.flight = nil
	e.status.took(now.Sub(began), err, now)
	if err != nil {
		e.failure, e.failedTill = err, now.Add(failureTime())
		f.err = err
		return
	}
	if changed && !old.IsZero() {
		e.status.Rotations++
	}
	if !changed {
		secret = old
	}
	f.secret, f.changed = secret, changed && !old.IsZero()
	e.failure, e.failedTill = nil, time.Time{}
	life := e.src.TTL
	if lease := out.Result.RefreshAt; !lease.IsZero() {
		life = min(life, lease.Sub(now)) // less than none, if it is over: then it may be stale for less, too
	}
	e.value, e.refreshAt = secret, now.Add(life)
	e.staleUntil = e.refreshAt.Add(e.src.MaxStale)
	if e.src.TTL == 0 {
		e.staleUntil = now
	}
	e.fresh.Store(&fresh{e.value, e.refreshAt})
}

// own makes an error the entry's: an *Error with its names, whatever a store
// returned. The text of any other error is dropped, since nothing is known of it.
// An error that has a name already is of the secret that the store logs in with.
func (e *entry) own(err error) error {
	if err == nil {
		return nil
	}
	var typed *Error
	if !errors.As(err, &typed) {
		typed = Transport(err)
	}
	named := *typed
	if typed.Secret != "" && typed.Secret != e.src.Name {
		named.Message = "the backend's own credential, " + typed.Secret
		if typed.Message != "" {
			named.Message += ": " + typed.Message
		}
	}
	named.Secret, named.Backend = e.src.Name, e.src.Backend
	return &named
}
