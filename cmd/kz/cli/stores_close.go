package cli

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"kz/resolver"
)

// closeTime is how long the end of kz waits for the stores to take back what they lent.
const closeTime = 5 * time.Second

// heldStores are the stores of this process that may hold something at their servers: leases, logins. Its zero value is
// ready to use, and safe for concurrent use.
type heldStores struct {
	mu  sync.Mutex
	all []heldStore
}

type heldStore struct {
	name   string // of the backend
	closer resolver.Closer
}

// keepLeases has the stores renew what they hold, until stop: a plain child was given the values, and nothing asks for them
// any more. In a blind session requests do.
func (a *app) keepLeases() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	a.held.mu.Lock()
	defer a.held.mu.Unlock()
	for _, h := range a.held.all {
		if k, ok := h.closer.(resolver.Keeper); ok {
			go k.Keep(ctx)
		}
	}
	return cancel
}

// keep remembers the stores that are to be closed.
func (h *heldStores) keep(stores map[string]resolver.Resolver) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		if c, ok := stores[name].(resolver.Closer); ok {
			h.all = append(h.all, heldStore{name, c})
		}
	}
}

// leave forgets the stores of these backends, so that what they lent is not taken back.
func (h *heldStores) leave(backends []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = slices.DeleteFunc(h.all, func(s heldStore) bool { return slices.Contains(backends, s.name) })
}

// take returns the stores, once.
func (h *heldStores) take() []heldStore {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all
	h.all = nil
	return all
}

// closeStores gives back what the stores of this process hold, all at the same time: leases are revoked, and the tokens of
// kz's own logins. It is the last thing of every command, whatever it ended with. What could not be given back is a warning
// each: it ends by itself later.
func (a *app) closeStores() {
	held := a.held.take()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	errs := make([]error, len(held))
	var all sync.WaitGroup
	for i, h := range held {
		all.Go(func() { errs[i] = h.closer.Close(ctx) })
	}
	all.Wait()
	for i, err := range errs {
		if err == nil {
			continue
		}
		for _, f := range flatten(err) {
			a.ui.Warnf("backend %s: %s", held[i].name, f.text)
			if f.hint != "" {
				a.ui.Hintf("%s", f.hint)
			}
		}
	}
}
