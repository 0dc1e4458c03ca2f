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
	c.land([]*entry{e}, []Outcome{out}, began)
	return out.Err
}

// landing is the outcome of a call, once OnValue has seen what it brought.
type landing struct {
	*entry
	old, secret Secret
	due         time.Time // when the store says that it is due; zero: it does not
	changed     bool
	err         error
}

// land takes the outcomes of one call into their entries and wakes who waits for any of them: whoever sees one of the new
// values sees all.
func (c *Cache) land(entries []*entry, outs []Outcome, began time.Time) {
	landings := make([]landing, len(entries))
	var all sync.WaitGroup
	for i, e := range entries {
		if len(entries) == 1 {
			landings[i] = c.approach(e, outs[i])
			continue
		}
		all.Go(func() { landings[i] = c.approach(e, outs[i]) }) // side by side: OnValue may take its time
	}
	all.Wait()
	now := c.opt.Now()
	flights := make([]*flight, len(entries))
	for i, l := range landings {
		flights[i] = l.settle(now, began)
	}
	for _, f := range flights {
		close(f.done)
	}
}

// approach judges an outcome and shows OnValue a value that is new.
func (c *Cache) approach(e *entry, out Outcome) landing {
	e.object.mu.Lock()
	l := landing{entry: e, old: e.value, secret: out.Result.Secret, due: out.Result.RefreshAt}
	e.object.mu.Unlock()
	// Only the flight changes e.value, and there is one flight.
	err := e.own(out.Err)
	if err == nil && l.secret.IsZero() {
		err = e.own(&Error{Kind: Unavailable, Message: "the store returned no value"})
	}
	l.changed = err == nil && (l.old.IsZero() || !l.old.Equal(l.secret))
	if l.changed && c.opt.OnValue != nil {
		err = c.opt.OnValue(e.src.Name, l.secret)
	}
	l.err = err
	return l
}

// settle puts what has landed into the entry. It returns the flight, which is over.
func (e landing) settle(now, began time.Time) *flight {
	e.object.mu.Lock()
	defer e.object.mu.Unlock()
	f := e.flight
	e.flight = nil
	e.status.took(now.Sub(began), e.err, now)
	if e.err != nil {
		e.failure, e.failedTill = e.err, now.Add(failureTime())
		f.err = e.err
		return f
	}
	if e.changed && !e.old.IsZero() {
		e.status.Rotations++
		f.changed = true
	}
	if !e.changed {
		e.secret = e.old
	}
	f.secret = e.secret
	e.status.Leased = !e.due.IsZero()
	e.failure, e.failedTill = nil, time.Time{}
	life := e.src.TTL
	if !e.due.IsZero() {
		life = min(life, e.due.Sub(now)) // less than none, if it is over: then it may be stale for less, too
	}
	e.value, e.refreshAt = e.secret, now.Add(life)
	e.staleUntil = e.refreshAt.Add(e.src.MaxStale)
	if e.src.TTL == 0 {
		e.staleUntil = now
	}
	e.fresh.Store(&fresh{e.value, e.refreshAt})
	return f
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
