package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
)

// moody is a store that fails, is slow or panics as it likes, and knows the call under way for each ref.
type moody struct {
	t  *testing.T
	mu sync.Mutex
	rand.Rand
	under map[resolver.Ref]context.Context
	made  int
}

func (m *moody) pick(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.IntN(n)
}

// enter notes a call. There must be no other, but one that was given up.
func (m *moody) enter(ctx context.Context, refs []resolver.Ref) (leave func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range refs {
		if other := m.under[r]; other != nil && other.Err() == nil {
			m.t.Errorf("two calls for %v at the same time", r)
		}
		m.under[r] = ctx
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, r := range refs {
			if m.under[r] == ctx {
				delete(m.under, r)
			}
		}
	}
}

func (m *moody) fetch(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	select {
	case <-time.After(time.Duration(m.pick(3000)) * time.Millisecond):
	case <-ctx.Done():
		return resolver.Result{}, resolver.Transport(ctx.Err())
	}
	switch m.pick(12) {
	case 0:
		return resolver.Result{}, broken
	case 1:
		panic("moody")
	case 2:
		return resolver.Result{}, nil
	case 3:
		<-ctx.Done() // until it is cut
		return resolver.Result{}, resolver.Transport(ctx.Err())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made++
	r := resolver.Result{Secret: resolver.NewSecret(fmt.Sprintf(`{"a":"%s a %d","b":"%s b %d"}`, ref.ID, m.made, ref.ID, m.made))}
	if m.IntN(2) == 0 {
		r.RefreshAt = time.Now().Add(time.Duration(m.IntN(60)-10) * time.Second)
	}
	return r, nil
}

func (m *moody) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	defer m.enter(ctx, []resolver.Ref{ref})()
	r, err := m.fetch(ctx, ref.Place())
	if err != nil || r.Secret.IsZero() {
		return r, err
	}
	return resolver.PickField(r, ref.Field, resolver.Field)
}

// moodyBatch is moody for several at a time.
type moodyBatch struct{ *moody }

func (m moodyBatch) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	defer m.enter(ctx, refs)()
	return resolver.Wave(ctx, refs, 8, m.fetch, func(raw, field string) (string, error) {
		if raw == "" {
			return "", broken
		}
		return resolver.Field(raw, field)
	})
}

// TestAnythingMayHappenAtAnyTime has callers of every kind, giving up when they like, meet stores of every mood. Nobody waits
// for longer than two time limits, a value is its secret's own, and in the end all is as it should be.
func TestAnythingMayHappenAtAnyTime(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { anything(t, seed) })
		})
	}
}

func anything(t *testing.T, seed uint64) {
	store := func(n uint64) *moody {
		return &moody{t: t, Rand: *rand.New(rand.NewPCG(seed, n)), under: map[resolver.Ref]context.Context{}}
	}
	stores := []resolver.Resolver{store(1), moodyBatch{store(2)}, moodyBatch{store(3)}}
	var list []resolver.Source
	for i := range 24 {
		ttl := []time.Duration{time.Minute, 10 * time.Second, 0}[i/2%3]
		list = append(list, resolver.Source{Name: fmt.Sprintf("%d/%d %c", i%3, i/6, 'a'+i/3%2), Backend: fmt.Sprint(i % 3), Resolver: stores[i%3],
			Ref: resolver.Ref{ID: fmt.Sprintf("%d/%d", i%3, i/6), Field: string(rune('a' + i/3%2))}, TTL: ttl, MaxStale: 30 * time.Second})
	}
	var mu sync.Mutex
	shown := map[string]bool{}
	c := newCache(t, resolver.CacheOptions{Sources: list, OnValue: func(name string, s resolver.Secret) error {
		time.Sleep(10 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		if shown[s.Reveal()] = true; len(shown)%17 == 0 {
			return errors.New("not this one")
		}
		return nil
	}})
	names := c.Names()
	var all sync.WaitGroup
	for n := range uint64(30) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, 100+n))
			for range 60 {
				some := []string{names[r.IntN(len(names))], names[r.IntN(len(names))]}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(200))*time.Second)
				began := time.Now()
				switch r.IntN(8) {
				case 0:
					_ = c.Refresh(ctx, some)
				case 1:
					_, _ = c.Renew(ctx, some)
				case 2:
					_ = c.ResolveAll(ctx, some)
				case 3:
					_ = c.Report()
				default:
					s, err := c.Get(ctx, some[0])
					mu.Lock()
					known := shown[s.Reveal()]
					mu.Unlock()
					if err == nil && (!known || !strings.HasPrefix(s.Reveal(), some[0])) {
						t.Errorf("%s is %q", some[0], s.Reveal())
					}
				}
				cancel()
				// A batch of two has two rounds; Renew waits for those that are under way before.
				if d := time.Since(began); d > 4*resolver.DefaultTimeout+time.Second {
					t.Errorf("it took %v", d)
				}
				time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
			}
		})
	}
	all.Wait()
	time.Sleep(5 * time.Minute)
	for _, s := range c.Report() {
		total := 0
		for _, n := range s.Failures {
			total += n
		}
		if s.Calls == 0 || total == 0 || total == s.Calls || s.Rotations == 0 || s.Uses < s.Hits {
			t.Errorf("it was no test: %+v", s)
		}
	}
}
