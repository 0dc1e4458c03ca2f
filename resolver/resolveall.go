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
	var due []*entry
	flights := map[*entry]*flight{}
	errs := make([]error, len(names))
	var waiting sync.WaitGroup
	for i, name := range names {
		e := c.entries[name]
		if e == nil {
			errs[i] = unknown(name)
			continue
		}
		got, f, first := c.look(e)
		if f == nil {
			errs[i] = got.err
			continue
		}
		if first {
			due = append(due, e)
			flights[e] = f
		}
		waiting.Go(func() { _, errs[i] = c.wait(ctx, e, f) })
	}
	c.depart(due, flights)
	waiting.Wait()
	return errors.Join(errs...)
}

// depart makes the calls for the entries: batched where their stores can, and no
// more than the limit at the same time for one store. Stores do not wait for one
// another's turn: one may need a secret of the other to log in.
func (c *Cache) depart(due []*entry, flights map[*entry]*flight) {
	for _, group := range byResolver(due) {
		if batch, ok := group[0].src.Resolver.(BatchResolver); ok && len(group) > 1 {
			go c.flyTogether(batch, group, flights)
			continue
		}
		go func() {
			var calls errgroup.Group
			calls.SetLimit(c.opt.Limit)
			for _, e := range group {
				calls.Go(func() error { c.fly(e, flights[e]); return nil })
			}
			calls.Wait()
		}()
	}
}

// flyTogether is fly for several secrets of one store.
func (c *Cache) flyTogether(store BatchResolver, group []*entry, flights map[*entry]*flight) {
	began := c.opt.Now()
	refs := make([]Ref, len(group))
	for i, e := range group {
		refs[i] = e.src.Ref
	}
	// The store bounds each call. Here it is only kept from never returning: one
	// batch call, then at worst every secret by itself.
	rounds := 1 + (len(group)+DefaultLimit-1)/DefaultLimit
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rounds)*c.opt.Timeout)
	defer cancel()
	for _, e := range group {
		if flights[e].anew {
			ctx = Anew(ctx)
			break
		}
	}
	landed := make(chan []Outcome, 1)
	go func() { landed <- store.ResolveBatch(ctx, refs) }()
	var outs []Outcome
	lost := &Error{Kind: Unavailable, Message: "the store returned no value"}
	select {
	case outs = <-landed:
	case <-ctx.Done():
		lost = Transport(ctx.Err())
	}
	for i, e := range group {
		out := Outcome{Err: lost}
		if i < len(outs) {
			out = outs[i]
		}
		c.land(e, flights[e], out, began)
	}
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
