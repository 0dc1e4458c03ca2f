package resolvertest

import (
	"context"
	"sync"
	"time"

	"kz/resolver"
)

// Fake is a store in memory: a map of IDs to values. It fails, delays and counts
// as it is told. It is safe for concurrent use.
type Fake struct {
	mu     sync.Mutex
	values map[string]string
	errs   map[string]error
	leases map[string]time.Duration
	delay  time.Duration
	deaf   bool
	limit  time.Duration
	calls  map[string]int
	now    int // calls under way
	most   int
}

// NewFake makes a store of the values; nil is an empty one.
func NewFake(values map[string]string) *Fake {
	f := &Fake{values: map[string]string{}, errs: map[string]error{}, leases: map[string]time.Duration{}, calls: map[string]int{}}
	for id, v := range values {
		f.values[id] = v
	}
	return f
}

// Set changes a value.
func (f *Fake) Set(id, value string) { f.change(func() { f.values[id] = value }) }

// Fail makes every fetch of id fail with err, or every fetch at all when id is
// ""; a nil err ends that.
func (f *Fake) Fail(id string, err error) {
	f.change(func() {
		if f.errs[id] = err; err == nil {
			delete(f.errs, id)
		}
	})
}

// Lease makes id's values due again after d.
func (f *Fake) Lease(id string, d time.Duration) { f.change(func() { f.leases[id] = d }) }

// Delay makes every call take d, or until its context ends.
func (f *Fake) Delay(d time.Duration) { f.change(func() { f.delay, f.deaf = d, false }) }

// DelayDeaf is Delay for a store that does not heed its context.
func (f *Fake) DelayDeaf(d time.Duration) { f.change(func() { f.delay, f.deaf = d, true }) }

// SetLimit is the time limit of one call. Zero: resolver.DefaultTimeout.
func (f *Fake) SetLimit(d time.Duration) { f.change(func() { f.limit = d }) }

// Calls returns how often id was fetched.
func (f *Fake) Calls(id string) (n int) { f.change(func() { n = f.calls[id] }); return n }

// Most returns how many calls were under way at the same time, at most.
func (f *Fake) Most() (n int) { f.change(func() { n = f.most }); return n }

func (f *Fake) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// Resolve returns the value of ref.ID, with the field picked.
func (f *Fake) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	if err := f.enter(ctx); err != nil {
		return resolver.Result{}, err
	}
	if ref.ID == "" {
		return resolver.Result{}, &resolver.Error{Kind: resolver.InvalidReference, Advice: "name a secret"}
	}
	return f.fetch(ref)
}

func (f *Fake) enter(ctx context.Context) error {
	var delay, limit time.Duration
	var deaf bool
	f.change(func() {
		delay, deaf, limit = f.delay, f.deaf, f.limit
		f.now++
		f.most = max(f.most, f.now)
	})
	defer f.change(func() { f.now-- })
	if deaf {
		time.Sleep(delay)
		return nil
	}
	if limit <= 0 {
		limit = resolver.DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return resolver.Transport(err)
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return resolver.Transport(ctx.Err())
	}
}

func (f *Fake) fetch(ref resolver.Ref) (resolver.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[ref.ID]++
	for _, id := range []string{ref.ID, ""} {
		if err := f.errs[id]; err != nil {
			return resolver.Result{}, err
		}
	}
	raw, ok := f.values[ref.ID]
	if !ok {
		return resolver.Result{}, &resolver.Error{Kind: resolver.NotFound, Message: "there is no secret " + ref.ID, Advice: "check the name"}
	}
	r := resolver.Result{Secret: resolver.NewSecret(raw)}
	if d := f.leases[ref.ID]; d > 0 {
		r.RefreshAt = time.Now().Add(d)
	}
	return resolver.PickField(r, ref.Field, resolver.Field)
}

// Batch returns the same store with a batch call.
func (f *Fake) Batch() *FakeBatch { return &FakeBatch{Fake: f} }

// FakeBatch is a Fake with ResolveBatch.
type FakeBatch struct {
	*Fake
	batches [][]resolver.Ref
}

// ResolveBatch returns all values with one call, and keeps the refs.
func (f *FakeBatch) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	f.change(func() { f.batches = append(f.batches, refs) })
	out := make([]resolver.Outcome, len(refs))
	err := f.enter(ctx)
	for i, ref := range refs {
		if out[i].Err = err; err == nil {
			out[i].Result, out[i].Err = f.fetch(ref)
		}
	}
	return out
}

// Batches returns the refs of each call so far.
func (f *FakeBatch) Batches() (b [][]resolver.Ref) {
	f.change(func() { b = append(b, f.batches...) })
	return b
}
