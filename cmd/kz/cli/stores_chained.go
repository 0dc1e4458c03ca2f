package cli

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"kz/resolver"
)

// chainedStore is a store whose credentials are secrets of others. It follows them when they change, and when it is denied
// access it looks whether they have.
type chainedStore struct {
	names map[string]string // setting -> the secret that supplies it
	cache func() *resolver.Cache
	make  func(chained map[string]resolver.Secret) (resolver.Resolver, error)

	mu      sync.Mutex
	chained map[string]resolver.Secret
	store   resolver.Resolver
	old     []resolver.Resolver // stores with credentials of before, which may hold leases
	closed  bool
}

// Resolve implements resolver.Resolver.
func (c *chainedStore) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	store, err := c.open(ctx)
	if err != nil {
		return resolver.Result{}, err
	}
	r, err := store.Resolve(ctx, ref)
	if other := c.renewed(ctx, store, err); other != nil {
		return other.Resolve(ctx, ref)
	}
	return r, err
}

// ResolveBatch implements resolver.BatchResolver: where the store has no batch call, its secrets are fetched side by side.
func (c *chainedStore) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	store, err := c.open(ctx)
	if err != nil {
		out := make([]resolver.Outcome, len(refs))
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	out := resolveBatch(ctx, store, refs)
	var denied []int
	for i, o := range out {
		if errors.Is(o.Err, resolver.AccessDenied) {
			denied = append(denied, i)
		}
	}
	if len(denied) == 0 {
		return out
	}
	if other := c.renewed(ctx, store, out[denied[0]].Err); other != nil {
		again := make([]resolver.Ref, len(denied))
		for i, at := range denied {
			again[i] = refs[at]
		}
		for i, o := range resolveBatch(ctx, other, again) {
			out[denied[i]] = o
		}
	}
	return out
}

func resolveBatch(ctx context.Context, store resolver.Resolver, refs []resolver.Ref) []resolver.Outcome {
	if batch, ok := store.(resolver.BatchResolver); ok {
		return batch.ResolveBatch(ctx, refs)
	}
	return resolver.Wave(ctx, refs, resolver.DefaultLimit, func(ctx context.Context, place resolver.Ref) (resolver.Result, error) {
		return store.Resolve(ctx, place)
	}, resolver.Field)
}

// Check implements resolver.Checker.
func (c *chainedStore) Check(ctx context.Context) error {
	store, err := c.open(ctx)
	if err != nil {
		return err
	}
	err = check(ctx, store)
	if other := c.renewed(ctx, store, err); other != nil {
		return check(ctx, other)
	}
	return err
}

func check(ctx context.Context, store resolver.Resolver) error {
	if checker, ok := store.(resolver.Checker); ok {
		return checker.Check(ctx)
	}
	return nil
}

// errNotWritable is of a store that kz only reads.
var errNotWritable = errors.New("this type of backend is only read")

// Put implements resolver.Putter; the error is errNotWritable when the store is none.
func (c *chainedStore) Put(ctx context.Context, ref resolver.Ref, value resolver.Secret) error {
	store, err := c.open(ctx)
	if err != nil {
		return err
	}
	err = put(ctx, store, ref, value)
	if other := c.renewed(ctx, store, err); other != nil {
		return put(ctx, other, ref, value)
	}
	return err
}

func put(ctx context.Context, store resolver.Resolver, ref resolver.Ref, value resolver.Secret) error {
	if putter, ok := store.(resolver.Putter); ok {
		return putter.Put(ctx, ref, value)
	}
	return errNotWritable
}

// renewed is for a store that has failed with err: if it denied access, its credentials may have been rotated where they are
// kept. They are fetched again, as after an upstream's 401, and if they are others than those it used, the store that has
// them is returned, for one more try; else nil.
func (c *chainedStore) renewed(ctx context.Context, used resolver.Resolver, err error) resolver.Resolver {
	if !errors.Is(err, resolver.AccessDenied) {
		return nil
	}
	if c.cache().Refresh(ctx, slices.Sorted(maps.Values(c.names))) != nil {
		return nil
	}
	store, err := c.open(ctx)
	if err != nil || store == used {
		return nil
	}
	return store
}

// Keep implements resolver.Keeper for the store that there is.
func (c *chainedStore) Keep(ctx context.Context) {
	c.mu.Lock()
	store := c.store
	c.mu.Unlock()
	if keeper, ok := store.(resolver.Keeper); ok {
		keeper.Keep(ctx)
	}
}

// Warnings implements resolver.Warner: what is unsafe in how the store is reached does not depend on its credentials, which
// are not fetched for it.
func (c *chainedStore) Warnings() []string {
	some := make(map[string]resolver.Secret, len(c.names))
	for key := range c.names {
		some[key] = resolver.NewSecret("-")
	}
	store, err := c.make(some)
	if err != nil {
		return nil
	}
	if w, ok := store.(resolver.Warner); ok {
		return w.Warnings()
	}
	return nil
}

// Close implements resolver.Closer.
func (c *chainedStore) Close(ctx context.Context) error {
	c.mu.Lock()
	stores := c.old
	if c.store != nil {
		stores = append(stores, c.store)
	}
	c.store, c.old, c.closed = nil, nil, true
	c.mu.Unlock()
	var errs []error
	for _, s := range stores {
		if closer, ok := s.(resolver.Closer); ok {
			errs = append(errs, closer.Close(ctx))
		}
	}
	return errors.Join(errs...)
}

// open makes the store with the credentials as they are now, or returns the one that has them.
func (c *chainedStore) open(ctx context.Context) (resolver.Resolver, error) {
	chained := make(map[string]resolver.Secret, len(c.names))
	for _, key := range slices.Sorted(maps.Keys(c.names)) {
		value, err := c.cache().Get(ctx, c.names[key])
		if err != nil {
			return nil, err
		}
		chained[key] = value
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed { // another store would log in once more, and nobody would end that
		return nil, &resolver.Error{Kind: resolver.Unavailable, Message: "the session has ended", Advice: "start another"}
	}
	if c.store != nil && maps.EqualFunc(c.chained, chained, resolver.Secret.Equal) {
		return c.store, nil
	}
	store, err := c.make(chained)
	if err != nil {
		return nil, err
	}
	if _, ok := c.store.(resolver.Closer); ok {
		c.old = append(c.old, c.store)
	}
	c.store, c.chained = store, chained
	return store, nil
}
