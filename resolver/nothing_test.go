package resolver_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"kz/resolver"
)

// nothing is a store that returns no value, and no error either.
type nothing struct{}

func (nothing) Resolve(context.Context, resolver.Ref) (resolver.Result, error) {
	return resolver.Result{}, nil
}

func TestAStoreThatReturnsNothingHasFailed(t *testing.T) {
	t.Parallel()
	c, err := resolver.NewCache(resolver.CacheOptions{Sources: []resolver.Source{
		{Name: "K", Backend: "store", Resolver: nothing{}, Ref: resolver.Ref{ID: "k"}, TTL: -1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Get(t.Context(), "K")
	if !s.IsZero() || !errors.Is(err, resolver.Unavailable) || !strings.Contains(err.Error(), "no value") {
		t.Errorf("got %v, %v", s, err)
	}
}
