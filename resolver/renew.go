package resolver

import (
	"context"
	"errors"
)

// Renew fetches the named secrets now, whatever is kept, all at the same time; nil names every secret. It is for a person
// who knows that values have changed: unlike Refresh it never answers with an earlier outcome. It returns the names whose
// value changed. When a fetch fails, the kept value stays, due for refresh at its next use; the failures are joined, each an
// *Error with its Secret, in the order of names.
func (c *Cache) Renew(ctx context.Context, names []string) (changed []string, err error) {
	if names == nil {
		names = c.names
	}
	entries := make([]*entry, len(names))
	errs := make([]error, len(names))
	for i, name := range names {
		if entries[i] = c.entries[name]; entries[i] == nil {
			return nil, unknown(name)
		}
	}
	// A call that is under way may have been answered before the change.
	for _, e := range entries {
		if f := e.underway(); f != nil {
			select {
			case <-f.done:
			case <-ctx.Done(): // which is told below
			}
		}
	}
	var due []*entry
	flights := map[*entry]*flight{}
	for _, e := range entries {
		f, first := c.expire(e)
		if flights[e] = f; first {
			due = append(due, e)
		}
	}
	c.depart(due, flights)
	for i, e := range entries {
		select {
		case <-flights[e].done:
			errs[i] = flights[e].err
			if flights[e].changed {
				changed = append(changed, e.src.Name)
			}
		case <-ctx.Done():
			errs[i] = e.own(Transport(ctx.Err()))
		}
	}
	return changed, errors.Join(errs...)
}

func (e *entry) underway() *flight {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.flight
}

// expire makes a value due and returns the flight that fetches it; the caller sees to a first one.
func (c *Cache) expire(e *entry) (f *flight, first bool) {
	now := c.opt.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.value.IsZero() && now.Before(e.refreshAt) {
		e.refreshAt = now
		e.staleUntil = now.Add(e.src.MaxStale)
	}
	if f, first = e.join(); first {
		f.anew = true
	}
	return f, first
}
