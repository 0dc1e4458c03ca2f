package resolver

import (
	"context"
	"testing"
	"time"
	"unsafe"
)

// fixed is a store with one value, due again after a while, by the clock on the wall alone.
type fixed struct {
	calls int
	lease time.Duration
	now   func() time.Time
}

func (f *fixed) Resolve(context.Context, Ref) (Result, error) {
	f.calls++
	r := Result{Secret: NewSecret("value")}
	if f.lease > 0 {
		r.RefreshAt = f.now().Add(f.lease).Round(0)
	}
	return r, nil
}

// slept is t on a machine that has slept for d: its wall clock went on, the other one stood still. A clock that is set back
// is the same with less than nothing.
func slept(t time.Time, d time.Duration) time.Time {
	t = t.Add(d)
	// The second word of a time that was read from the clock is its monotonic reading, in nanoseconds.
	(*[2]int64)(unsafe.Pointer(&t))[1] -= int64(d)
	return t
}

func TestClocks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		lease time.Duration
		sleep time.Duration // jump of the wall clock
		run   time.Duration // then, by both clocks
		calls int
	}{
		{"nothing happens", 0, 0, 59 * time.Minute, 1},
		{"the machine sleeps for less than the time", 0, 59 * time.Minute, 0, 1},
		{"the machine sleeps for longer than the time", 0, 8 * time.Hour, 0, 2},
		{"the machine sleeps for longer than the lease", time.Minute, 2 * time.Minute, 0, 2},
		{"the clock is set back, and the time passes", 0, -24 * time.Hour, time.Hour, 2},
		{"the clock is set back, and the lease passes", time.Minute, -24 * time.Hour, time.Minute, 2},
		{"the clock is set back, and less than the lease passes", time.Minute, -24 * time.Hour, 59 * time.Second, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			clock := func() time.Time { return now }
			store := &fixed{lease: c.lease, now: clock}
			cache, err := NewCache(CacheOptions{Sources: []Source{{Name: "K", Resolver: store, TTL: -1}}, Now: clock})
			if err != nil {
				t.Fatal(err)
			}
			get := func() {
				if _, err := cache.Get(t.Context(), "K"); err != nil {
					t.Fatal(err)
				}
			}
			get()
			now = slept(now, c.sleep).Add(c.run)
			get()
			if store.calls != c.calls {
				t.Errorf("%d calls, want %d", store.calls, c.calls)
			}
		})
	}
}

// Not parallel: allocations are counted.
func TestAFreshValueIsGivenOutWithoutALock(t *testing.T) {
	cache, err := NewCache(CacheOptions{Sources: []Source{{Name: "K", Resolver: &fixed{}, TTL: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	get := func() {
		if _, err := cache.Get(t.Context(), "K"); err != nil {
			t.Error(err)
		}
	}
	get()
	cache.entries["K"].object.mu.Lock()
	got := make(chan float64)
	go func() { got <- testing.AllocsPerRun(100, get) }()
	select {
	case n := <-got:
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for the lock")
	}
	cache.entries["K"].object.mu.Unlock()
	if s := cache.Report()[0]; s.Uses != s.Hits+1 || s.Hits < 100 {
		t.Errorf("%d uses, %d of them hits", s.Uses, s.Hits)
	}
}
