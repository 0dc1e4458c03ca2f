package cli

import (
	"runtime"
	"runtime/debug"
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

// TestTheCollectorIsLeftOutOfTheStartAlone is not parallel: there is one collector.
func TestTheCollectorIsLeftOutOfTheStartAlone(t *testing.T) {
	percent := func() int {
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	const usual = 90
	before := debug.SetGCPercent(usual)
	defer debug.SetGCPercent(before)
	for _, tt := range []struct {
		name, own string
		atStart   int
		goesOn    func()
	}{
		{"it waits for more at the start, and then no longer", "", startPercent, func() { time.Sleep(startTime) }},
		{"it waits for more once", "", startPercent, func() {
			for range 1000 { // a cleanup runs some time after its collection
				runtime.GC()
				if percent() == usual {
					return
				}
			}
		}},
		{"what GOGC says stays", "90", usual, func() { time.Sleep(startTime) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("GOGC", tt.own)
			synctest.Test(t, func(t *testing.T) {
				startUncollected()
				if p := percent(); p != tt.atStart {
					t.Errorf("%d at the start, want %d", p, tt.atStart)
				}
				tt.goesOn()
				synctest.Wait()
				if p := percent(); p != usual {
					t.Errorf("%d afterwards, want %d", p, usual)
				}
			})
		})
	}
}
