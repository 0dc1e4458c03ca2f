package resolver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// The cache's own times. Those of a Source or of CacheOptions go before them.
const (
	// DefaultTTL is how long a value without a lease is fresh.
	DefaultTTL = time.Hour
	// DefaultMaxStale is how long past its refresh time a value is served while the store fails.
	DefaultMaxStale = 10 * time.Minute

	// minFailure and maxFailure bound how long a failure is remembered. The spread
	// keeps many caches from coming back to a recovering store at the same moment.
	minFailure, maxFailure = time.Second, 3 * time.Second
	// refreshEvery is how often Refresh may ask the store for one secret, and refreshSeldom where that brings one value
	// after the other, and each is refused.
	refreshEvery, refreshSeldom = 30 * time.Second, 10 * time.Minute
	// patience is how long after a call began a caller who could have a stale value still waits for its outcome;
	// patienceFailing is that while the last call has failed. A store that answers at all is faster than the one, and
	// one that is away costs a request no more than the other.
	patience, patienceFailing = 2 * time.Second, 200 * time.Millisecond
)

// Source is one secret of a Cache.
type Source struct {
	Name     string   // the secret's name, unique in the Cache
	Backend  string   // the backend's name, for messages and reports
	Resolver Resolver // shared by the sources of one backend
	Ref      Ref
	// TTL is how long a value without a lease is fresh, and the most that one with
	// a lease is. Negative: DefaultTTL. Zero: every Get asks the store.
	TTL time.Duration
	// MaxStale is how long past its refresh time a value is served while the store
	// fails. Zero or less: DefaultMaxStale. Of no effect when TTL is zero.
	MaxStale time.Duration
}

// CacheOptions sets up a Cache.
type CacheOptions struct {
	Sources []Source
	// OnValue is called with each value that differs from the one before, and
	// returns before anyone can get that value. An error keeps the value from being
	// used, and is what Get returns. It may be called concurrently for different
	// secrets. Nil: nothing is called.
	OnValue func(name string, s Secret) error
	// Limit bounds how many calls ResolveAll makes to one store at the same time. Zero: DefaultLimit.
	Limit int
	// Timeout bounds one call of a store. Zero: DefaultTimeout.
	Timeout time.Duration
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// Cache holds the values of a session's secrets. It fetches lazily, with no
// background work between uses, and never has two calls for one secret under
// way. Of a BatchResolver, the secrets of one Place that are in use are always
// fetched together, so that a user and its password are of one version. A caller
// who gives up leaves the call running for the others, until its time limit.
// Errors are those of Resolver with Secret and Backend set. A value that is
// fresh is given out without a lock. It is safe for concurrent use.
type Cache struct {
	opt     CacheOptions
	entries map[string]*entry
	names   []string // in the order of Sources
}

// NewCache checks the options and makes a Cache; it calls no store. All
// problems are reported together.
func NewCache(o CacheOptions) (*Cache, error) {
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Cache{opt: o, entries: make(map[string]*entry, len(o.Sources))}
	var problems []error
	for _, src := range o.Sources {
		switch {
		case src.Name == "":
			problems = append(problems, fmt.Errorf("resolver: a source of backend %q has no name", src.Backend))
		case c.entries[src.Name] != nil:
			problems = append(problems, fmt.Errorf("resolver: two sources are named %s", src.Name))
		case src.Resolver == nil:
			problems = append(problems, fmt.Errorf("resolver: source %s has no resolver", src.Name))
		default:
			if src.TTL < 0 {
				src.TTL = DefaultTTL
			}
			if src.MaxStale <= 0 {
				src.MaxStale = DefaultMaxStale
			}
			c.entries[src.Name] = &entry{src: src}
			c.names = append(c.names, src.Name)
		}
	}
	c.findObjects()
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return c, nil
}

// findObjects finds the entries that are fields of one object.
func (c *Cache) findObjects() {
	objects := map[Ref][]*object{} // several only where stores have a Place in common
	for _, name := range c.names {
		e := c.entries[name]
		place := e.src.Ref.Place()
		if _, ok := e.src.Resolver.(BatchResolver); ok {
			for _, o := range objects[place] {
				if same(o.entries[0].src, e.src) {
					e.object = o
					o.entries = append(o.entries, e)
				}
			}
		}
		if e.object == nil {
			e.object = &object{entries: []*entry{e}}
			objects[place] = append(objects[place], e.object)
		}
	}
}

// Names returns the names of the secrets, in the order of CacheOptions.Sources.
func (c *Cache) Names() []string { return slices.Clone(c.names) }

// Get returns a secret's value: the kept one while it is fresh, else a new one
// from the store. When the store fails or is slow, the last value is served
// until MaxStale past its refresh time, then the failure is returned. A failure
// is returned again for one to three seconds without asking the store.
func (c *Cache) Get(ctx context.Context, name string) (Secret, error) {
	e := c.entries[name]
	if e == nil {
		return Secret{}, unknown(name)
	}
	if kept := e.fresh.Load(); kept != nil && before(c.opt.Now(), kept.until) {
		e.hits.Add(1)
		return kept.secret, nil
	}
	got, f, crew := c.look(e)
	if f == nil {
		return got.secret, got.err
	}
	c.depart(crew)
	return c.wait(ctx, e, f)
}

func unknown(name string) *Error {
	return &Error{Kind: InvalidReference, Secret: name, Message: "no secret of this name is configured"}
}

// wait waits for a flight, or for as long as one should.
func (c *Cache) wait(ctx context.Context, e *entry, f *flight) (Secret, error) {
	var slow <-chan time.Time
	now := c.opt.Now()
	if _, ok := e.stale(now); ok {
		timer := time.NewTimer(f.patience.Sub(now))
		defer timer.Stop()
		slow = timer.C
	}
	select {
	case <-f.done:
		if f.err == nil {
			return f.secret, nil
		}
	case <-slow:
	case <-ctx.Done():
		return Secret{}, e.own(Transport(ctx.Err()))
	}
	if s, ok := e.stale(c.opt.Now()); ok {
		return s, nil
	}
	select {
	case <-f.done:
		return f.secret, f.err
	case <-ctx.Done():
		return Secret{}, e.own(Transport(ctx.Err()))
	}
}

// failureTime is how long a failure is remembered.
func failureTime() time.Duration {
	return minFailure + rand.N(maxFailure-minFailure)
}
