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
	// refreshEvery is how often Refresh may ask the store for one secret.
	refreshEvery = 30 * time.Second
	// patience is how long a caller who could have a stale value waits for a fresh one.
	patience = 2 * time.Second
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
// way. A caller who gives up leaves the call running for the others, until its
// time limit. Errors are those of Resolver with Secret and Backend set. It is
// safe for concurrent use.
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
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return c, nil
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
	got, f, first := c.look(e)
	if f == nil {
		return got.secret, got.err
	}
	if first {
		go c.fly(e, f)
	}
	return c.wait(ctx, e, f)
}

func unknown(name string) *Error {
	return &Error{Kind: InvalidReference, Secret: name, Message: "no secret of this name is configured"}
}

// wait waits for a flight, or for as long as one should.
func (c *Cache) wait(ctx context.Context, e *entry, f *flight) (Secret, error) {
	var slow <-chan time.Time
	if _, ok := e.stale(c.opt.Now()); ok {
		timer := time.NewTimer(patience)
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

// Refresh fetches a secret again because an upstream refused its value, and
// reports whether the value changed. A secret is fetched at most once in 30 s
// this way: within that time, the outcome of the last Refresh is returned. A
// caller who needs to know whether the value it used is out of date compares
// that with what Get returns. When the fetch fails, the kept value stays, due
// for refresh at its next use.
func (c *Cache) Refresh(ctx context.Context, name string) (changed bool, err error) {
	e := c.entries[name]
	if e == nil {
		return false, unknown(name)
	}
	flight := c.force(e)
	select {
	case <-flight.done:
		return flight.changed, flight.err
	case <-ctx.Done():
		return false, e.own(Transport(ctx.Err()))
	}
}

// failureTime is how long a failure is remembered.
func failureTime() time.Duration {
	return minFailure + rand.N(maxFailure-minFailure)
}
