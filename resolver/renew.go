package resolver

import (
	"context"
	"errors"
	"time"
)

// Refresh fetches the named secrets again because an upstream refused their
// values. A secret is fetched at most once in 30 s this way: within that time,
// the outcome of the last Refresh is returned. The time doubles, up to 10 min, as
// long as every value that is brought is refused as well: where a store makes a
// new value for each who asks, a program could have no end of them made. It
// returns when the outcome is there, or ctx is done; the calls have begun by
// then, and go on. When a fetch fails, the kept value stays, due for refresh at
// its next use; the failures are joined, each an *Error with its Secret, in the
// order of names. Whoever needs to know whether the value it used is out of date
// compares it with what Get returns.
func (c *Cache) Refresh(ctx context.Context, names []string) error {
	_, err := c.again(ctx, names, (*entry).force)
	return err
}

// Renew fetches the named secrets now, whatever is kept, all at the same time; nil names every secret. It is for a person
// who knows that values have changed: unlike Refresh it never answers with an earlier outcome. It returns the names whose
// value changed. When a fetch fails, the kept value stays, due for refresh at its next use; the failures are joined, each an
// *Error with its Secret, in the order of names.
func (c *Cache) Renew(ctx context.Context, names []string) (changed []string, err error) {
	if names == nil {
		names = c.names
	}
	// A call that is under way may have been answered before the change. One that begins from now on may not.
	var earlier []*flight
	for _, name := range names {
		e := c.entries[name]
		if e == nil {
			return nil, unknown(name)
		}
		if f := e.underway(); f != nil {
			earlier = append(earlier, f)
		}
	}
	for _, f := range earlier {
		select {
		case <-f.done:
		case <-ctx.Done(): // which is told below
		}
	}
	return c.again(ctx, names, (*entry).renew)
}

// again begins a flight for each name, as begin says, and waits for them.
func (c *Cache) again(ctx context.Context, names []string, begin func(*entry, time.Time) (*flight, []*entry)) (changed []string, err error) {
	now := c.opt.Now()
	flights := make([]*flight, len(names))
	var due []*entry
	for i, name := range names {
		e := c.entries[name]
		if e == nil {
			return nil, unknown(name)
		}
		var crew []*entry
		e.object.mu.Lock()
		e.wanted = true
		flights[i], crew = begin(e, now)
		e.object.mu.Unlock()
		due = append(due, crew...)
	}
	c.depart(due)
	errs := make([]error, len(names))
	for i, name := range names {
		select {
		case <-flights[i].done:
			errs[i] = flights[i].err
			if flights[i].changed {
				changed = append(changed, name)
			}
		case <-ctx.Done():
			errs[i] = c.entries[name].own(Transport(ctx.Err()))
		}
	}
	return changed, errors.Join(errs...)
}

func (e *entry) underway() *flight {
	e.object.mu.Lock()
	defer e.object.mu.Unlock()
	return e.flight
}

// force returns the flight of a Refresh. The lock is held.
func (e *entry) force(now time.Time) (f *flight, crew []*entry) {
	if e.forced != nil && before(now, e.forcedAt.Add(e.forceEvery)) {
		return e.forced, nil
	}
	e.expire(now)
	f, crew = e.join(now, true)
	// One that was under way may have been answered before the value changed: it does not count.
	for _, o := range crew {
		every := refreshEvery
		if o.forced != nil && o.forced.changed && before(now, o.forcedAt.Add(o.forceEvery+refreshSeldom)) {
			every = min(2*o.forceEvery, refreshSeldom)
		}
		o.forced, o.forcedAt, o.forceEvery = o.flight, now, every
	}
	return f, crew
}

// renew makes a value due and returns the flight that fetches it. The lock is held.
func (e *entry) renew(now time.Time) (f *flight, crew []*entry) {
	e.expire(now)
	return e.join(now, true)
}
