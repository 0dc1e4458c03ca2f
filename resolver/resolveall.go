package resolver

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// ResolveAll makes sure that the named secrets have a value, as Get would, all
// at the same time; nil names every secret. Those of one BatchResolver are
// fetched together. Every failure is in the error, joined, each an *Error with
// its Secret, in the order of names.
func (c *Cache) ResolveAll(ctx context.Context, names []string) error {
	if names == nil {
		names = c.names
	}
	for _, name := range names {
		if e := c.entries[name]; e != nil {
			e.object.mu.Lock()
			e.wanted = true // so that the fields of one object depart together
			e.object.mu.Unlock()
		}
	}
	var due []*entry
	errs := make([]error, len(names))
	var waiting sync.WaitGroup
	for i, name := range names {
		e := c.entries[name]
		if e == nil {
			errs[i] = unknown(name)
			continue
		}
		got, f, crew := c.look(e)
		if f == nil {
			errs[i] = got.err
			continue
		}
		due = append(due, crew...)
		waiting.Go(func() { _, errs[i] = c.wait(ctx, e, f) })
	}
	c.depart(due)
	waiting.Wait()
	return errors.Join(errs...)
}

// depart makes the calls for the entries: batched where their stores can, and no
// more than the limit at the same time for one store. Stores do not wait for one
// another's turn: one may need a secret of the other to log in.
func (c *Cache) depart(due []*entry) {
	if len(due) == 1 {
		go c.fly(due[0])
		return
	}
	for _, group := range byResolver(due) {
		if batch, ok := group[0].src.Resolver.(BatchResolver); ok && len(group) > 1 {
			go c.flyTogether(batch, group)
			continue
		}
		go func() {
			var calls errgroup.Group
			calls.SetLimit(c.opt.Limit)
			var quiet silence
			for _, e := range group {
				calls.Go(func() error {
					if quiet.total() {
						c.land([]*entry{e}, []Outcome{{Err: errSilent}}, c.opt.Now())
						return nil
					}
					quiet.heard(c.fly(e))
					return nil
				})
			}
			_ = calls.Wait()
		}()
	}
}

// flyTogether is fly for several secrets of one store.
func (c *Cache) flyTogether(store BatchResolver, group []*entry) {
	began := c.opt.Now()
	refs := make([]Ref, len(group))
	places := map[Ref]bool{}
	anew := false
	for i, e := range group {
		refs[i] = e.src.Ref
		places[e.src.Ref.Place()] = true
		anew = anew || e.flight.anew
	}
	// The store bounds each call. Here it is only kept from never returning: one
	// batch call, then at worst every object by itself.
	rounds := 1
	if len(places) > 1 {
		rounds += (len(places) + DefaultLimit - 1) / DefaultLimit
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rounds)*c.opt.Timeout)
	defer cancel()
	if anew {
		ctx = Anew(ctx)
	}
	landed := make(chan []Outcome, 1)
	go func() { landed <- resolveBatch(ctx, store, refs) }()
	var outs []Outcome
	lost := &Error{Kind: Unavailable, Message: "the store returned no value"}
	select {
	case outs = <-landed:
	case <-ctx.Done():
		lost = Transport(ctx.Err())
	}
	for len(outs) < len(group) {
		outs = append(outs, Outcome{Err: lost})
	}
	c.land(group, outs, began)
}

// byResolver groups entries that share a resolver, in their order.
func byResolver(entries []*entry) [][]*entry {
	var groups [][]*entry
next:
	for _, e := range entries {
		for i, g := range groups {
			if same(g[0].src, e.src) {
				groups[i] = append(g, e)
				continue next
			}
		}
		groups = append(groups, []*entry{e})
	}
	return groups
}

// same tells whether two sources share a resolver. Where resolvers cannot be
// compared, the backend's name decides.
func same(a, b Source) bool {
	if reflect.ValueOf(a.Resolver).Comparable() && reflect.ValueOf(b.Resolver).Comparable() {
		return a.Resolver == b.Resolver
	}
	return a.Backend == b.Backend
}
