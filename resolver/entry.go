package resolver

import (
	"context"
	"errors"
	"sync"
	"time"
)

// entry is one secret of a Cache.
type entry struct {
	src Source

	mu         sync.Mutex
	value      Secret // zero: none yet
	refreshAt  time.Time
	staleUntil time.Time
	failure    error // the last call's, until failedUntil
	failedTill time.Time
	flight     *flight // the call under way
	forced     *flight // the last one that Refresh asked for
	forcedAt   time.Time
	status     Status
}

// flight is one call of a store, shared by all who wait for it. Its fields are
// set before done is closed.
type flight struct {
	done    chan struct{}
	anew    bool // see Anew; set before the call is made
	secret  Secret
	changed bool
	err     error
}

// kept is an answer that needs no call.
type kept struct {
	secret Secret
	err    error
}

// look returns what is kept, or a flight to wait for. When first is set, there
// was none under way: the caller has to see that it is flown.
func (c *Cache) look(e *entry) (got kept, f *flight, first bool) {
	now := c.opt.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.Uses++
	if !e.value.IsZero() && now.Before(e.refreshAt) {
		e.status.Hits++
		return kept{secret: e.value}, nil, false
	}
	if e.flight == nil && now.Before(e.failedTill) {
		if !e.value.IsZero() && now.Before(e.staleUntil) {
			return kept{secret: e.value}, nil, false
		}
		return kept{err: e.failure}, nil, false
	}
	f, first = e.join()
	if first {
		f.anew = e.src.TTL == 0
	}
	return kept{}, f, first
}

// force returns the flight of a Refresh.
func (c *Cache) force(e *entry) *flight {
	now := c.opt.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.forced != nil && now.Sub(e.forcedAt) < refreshEvery {
		return e.forced
	}
	if !e.value.IsZero() && now.Before(e.refreshAt) {
		e.refreshAt = now
		e.staleUntil = now.Add(e.src.MaxStale)
	}
	f, first := e.join()
	if first {
		f.anew = true
		go c.fly(e, f)
	}
	e.forced, e.forcedAt = f, now
	return f
}

// join returns the flight under way, or reserves one. e.mu is held.
func (e *entry) join() (f *flight, first bool) {
	if e.flight != nil {
		return e.flight, false
	}
	e.flight = &flight{done: make(chan struct{})}
	return e.flight, true
}

// stale returns the last value while it may still be served.
func (e *entry) stale(now time.Time) (Secret, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.value, !e.value.IsZero() && now.Before(e.staleUntil)
}

// fly calls the store. Nobody's context bounds it but the time limit: others
// may be waiting, and its result is kept.
func (c *Cache) fly(e *entry, f *flight) {
	began := c.opt.Now()
	ctx, cancel := context.WithTimeout(context.Background(), c.opt.Timeout)
	defer cancel()
	if f.anew {
		ctx = Anew(ctx)
	}
	landed := make(chan Outcome, 1)
	go func() {
		r, err := e.src.Resolver.Resolve(ctx, e.src.Ref)
		landed <- Outcome{r, err}
	}()
	var out Outcome
	select {
	case out = <-landed:
	case <-ctx.Done(): // a store that does not heed its context is left behind
		out.Err = Transport(ctx.Err())
	}
	c.land(e, f, out, began)
}

// land takes the outcome of a call into the entry and wakes who waits for it.
func (c *Cache) land(e *entry, f *flight, out Outcome, began time.Time) {
	now := c.opt.Now()
	e.mu.Lock()
	old := e.value
	e.mu.Unlock()
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

	e.mu.Lock()
	defer e.mu.Unlock()
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
	e.value, e.refreshAt = secret, now.Add(e.src.TTL)
	if lease := out.Result.RefreshAt; !lease.IsZero() && lease.Before(e.refreshAt) {
		e.refreshAt = lease
	}
	e.staleUntil = e.refreshAt.Add(e.src.MaxStale)
	if e.src.TTL == 0 {
		e.staleUntil = now
	}
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
