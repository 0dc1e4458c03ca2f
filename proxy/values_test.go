package proxy

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"kz/masking"
	"kz/resolver"
)

func learner(t *testing.T) *Proxy {
	t.Helper()
	table, err := masking.NewTable(masking.NewKey(), []masking.Entry{{Name: "KEY"}, {Name: "OTHER"}})
	if err != nil {
		t.Fatal(err)
	}
	return &Proxy{opts: Options{Table: table}}
}

func TestAValueIsFoundOnceItIsLearned(t *testing.T) {
	t.Parallel()
	p := learner(t)
	begin := make(chan struct{})
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			<-begin
			for i := range 10 {
				if n == 0 { // an answer that needs the first scrubbers, in the middle of it
					p.scrubbers()
				}
				value := fmt.Sprintf("value-%d-of-%d", i, n)
				if err := p.Learn([]string{"KEY", "OTHER"}[i%2], resolver.NewSecret(value)); err != nil {
					t.Error(err)
				}
				if _, ok := p.Holds([]byte("…" + value)); !ok {
					t.Errorf("%s is not found", value)
				}
			}
		})
	}
	close(begin)
	all.Wait()
	if n := p.scrubbers().of; n != 80 {
		t.Errorf("%d values", n)
	}
	if err := p.Learn("KEY", resolver.NewSecret("value-0-of-0")); err != nil || p.scrubbers().of != 80 {
		t.Errorf("one that was known: %v, %d values", err, p.scrubbers().of)
	}
}

func TestNoAnswerWaitsForANewValue(t *testing.T) {
	t.Parallel()
	p := learner(t)
	if err := p.Learn("KEY", resolver.NewSecret("the-first-value")); err != nil {
		t.Fatal(err)
	}
	p.scrubbers()
	p.values.making.Lock() // it is being prepared for
	learned := make(chan error)
	go func() { learned <- p.Learn("KEY", resolver.NewSecret("the-second-value")) }()
	found := make(chan bool)
	go func() {
		_, ok := p.Holds([]byte("the-first-value"))
		found <- ok
	}()
	select {
	case ok := <-found:
		if !ok {
			t.Error("the first value is found no more")
		}
	case <-learned:
		t.Error("learned before it can be found")
	case <-time.After(10 * time.Second):
		t.Error("an answer waits")
	}
	p.values.making.Unlock()
	if err := <-learned; err != nil {
		t.Error(err)
	}
	if _, ok := p.Holds([]byte("the-second-value")); !ok {
		t.Error("the second value is not found")
	}
}
