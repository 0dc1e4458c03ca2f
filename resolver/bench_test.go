package resolver_test

import (
	"testing"

	"kz/resolver"
	"kz/resolver/resolvertest"
)

// BenchmarkGet is the way of every request: a fresh value, alone and from many at a time.
func BenchmarkGet(b *testing.B) {
	fake := resolvertest.NewFake(map[string]string{"k": "one"})
	c, err := resolver.NewCache(resolver.CacheOptions{Sources: []resolver.Source{
		{Name: "K", Backend: "store", Resolver: fake, Ref: resolver.Ref{ID: "k"}, TTL: -1},
	}})
	if err != nil {
		b.Fatal(err)
	}
	get := func(b *testing.B) {
		if _, err := c.Get(b.Context(), "K"); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			get(b)
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(100)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				get(b)
			}
		})
	})
}
