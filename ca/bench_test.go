package ca

import (
	"fmt"
	"testing"
)

func BenchmarkLeafHit(b *testing.B) {
	m := newTestMinter(b, newTestAuthority(b, Options{}))
	mustLeaf(b, m, "api.example.com")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Leaf("api.example.com"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLeafMiss(b *testing.B) {
	m := newTestMinter(b, newTestAuthority(b, Options{}))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := m.Leaf(fmt.Sprintf("h%d.example.com", i)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSystemBundle(b *testing.B) {
	a := newTestAuthority(b, Options{})
	b.ReportAllocs()
	for b.Loop() {
		roots, err := SystemRoots()
		if err != nil {
			b.Fatal(err)
		}
		Bundle(roots, a)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		newTestAuthority(b, Options{})
	}
}

func TestALeafFromTheCacheAllocatesNothing(t *testing.T) {
	m := newTestMinter(t, newTestAuthority(t, Options{}))
	mustLeaf(t, m, "api.example.com")
	if n := testing.AllocsPerRun(100, func() { mustLeaf(t, m, "api.example.com") }); n != 0 {
		t.Errorf("%.0f allocations", n)
	}
}
