package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

// paged is a store that brings up to 20 secrets by a call, eight calls at a time, as AWS Secrets Manager does.
type paged struct{ *resolvertest.Fake }

func (p paged) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	out := make([]resolver.Outcome, len(refs))
	var all sync.WaitGroup
	turns := make(chan struct{}, resolver.DefaultLimit)
	for first := 0; first < len(refs); first += 20 {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			page := refs[first:min(first+20, len(refs))]
			copy(out[first:], p.Batch().ResolveBatch(ctx, page))
		})
	}
	all.Wait()
	return out
}

func TestManySecretsTakeTheTimeOfTheSlowestStore(t *testing.T) {
	t.Parallel()
	const each = 50
	stores := []struct {
		name   string
		answer time.Duration
		make   func(*resolvertest.Fake) resolver.Resolver
		rounds time.Duration
	}{
		{"aws", 400 * time.Millisecond, func(f *resolvertest.Fake) resolver.Resolver { return paged{f} }, 1},
		{"vault", 300 * time.Millisecond, func(f *resolvertest.Fake) resolver.Resolver { return lameBatch{&lame{Fake: f}} }, 7}, // 50 by 8
		{"azure", 200 * time.Millisecond, func(f *resolvertest.Fake) resolver.Resolver { return f }, 7},
		{"file", 0, func(f *resolvertest.Fake) resolver.Resolver { return f.Batch() }, 1},
	}
	synctest.Test(t, func(t *testing.T) {
		var list []resolver.Source
		var slowest, oneByOne time.Duration
		fakes := map[string]*resolvertest.Fake{}
		for _, s := range stores {
			fakes[s.name] = filled(each)
			fakes[s.name].Delay(s.answer)
			store := s.make(fakes[s.name])
			for i := range each {
				list = append(list, resolver.Source{Name: fmt.Sprintf("%s-%d", s.name, i), Backend: s.name, Resolver: store,
					Ref: resolver.Ref{ID: fmt.Sprint(i)}, TTL: -1})
			}
			slowest = max(slowest, s.answer*s.rounds) //nolint:durationcheck // a number of rounds
			oneByOne += s.answer * each
		}
		c := newCache(t, resolver.CacheOptions{Sources: list})
		began := time.Now()
		if err := c.ResolveAll(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		if took != slowest {
			t.Errorf("200 secrets took %v, the slowest store needs %v", took, slowest)
		}
		t.Logf("200 secrets over four stores: %v; one by one %v, %.0f times as long", took, oneByOne, float64(oneByOne)/float64(took))

		// One store is away: the others are not held up, and all that is missing is named.
		fakes["azure"].Fail("", &resolver.Error{Kind: resolver.AccessDenied})
		fakes["vault"].Delay(time.Hour)
		c = newCache(t, resolver.CacheOptions{Sources: list})
		done := make(chan error)
		go func() { done <- c.ResolveAll(t.Context(), nil) }()
		time.Sleep(stores[0].answer)
		synctest.Wait()
		for i := range each {
			for _, name := range []string{"aws", "file"} {
				began := time.Now()
				if _, err := c.Get(t.Context(), fmt.Sprintf("%s-%d", name, i)); err != nil || time.Since(began) != 0 {
					t.Errorf("%s-%d after %v: %v", name, i, time.Since(began), err)
				}
			}
		}
		err := <-done
		if d := time.Since(began); d > 40*time.Second || !errors.Is(err, resolver.TimedOut) || !errors.Is(err, resolver.AccessDenied) {
			t.Errorf("after %v: %v", d, err)
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != 2*each || !strings.HasPrefix(lines[0], "resolving vault-0: vault: timed out") || lines[each] != "resolving azure-0: azure: access denied" {
			t.Errorf("%d lines, the first: %s", len(lines), lines[0])
		}
	})
}
