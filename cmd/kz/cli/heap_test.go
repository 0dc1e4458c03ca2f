package cli

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsGivenBackOnceNothingBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Uint64
		var released atomic.Int64
		stop := make(chan struct{})
		go giveBack(begun.Load, func() { released.Add(1) }, stop)
		after := func(d time.Duration, want int64, when string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if n := released.Load(); n != want {
				t.Errorf("%s: given back %d times, want %d", when, n, want)
			}
		}
		after(10*quiet+quiet/2, 1, "after the start")
		for range 20 {
			begun.Add(1)
			after(quiet, 1, "while requests come")
		}
		after(10*quiet, 2, "when they have stopped")
		close(stop)
		begun.Add(1)
		after(10*quiet, 2, "after the end")
	})
}
