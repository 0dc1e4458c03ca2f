package proxy

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlySomeRequestsOfAConnectionBeginAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		of := newTurns()
		begun := make([]turn, turnsAtOnce)
		for i := range begun {
			begun[i].take(t.Context(), of)
		}
		var next turn
		done := make(chan time.Time)
		go func() { next.take(t.Context(), of); done <- time.Now() }()
		synctest.Wait()
		began := time.Now()
		time.Sleep(time.Millisecond)
		begun[3].end()
		begun[3].end()
		if d := (<-done).Sub(began); d != time.Millisecond || !next.held.Load() {
			t.Errorf("the next had its turn after %s: %v", d, next.held.Load())
		}
		if len(of) != turnsAtOnce {
			t.Errorf("%d turns are taken, want %d: one ended twice", len(of), turnsAtOnce)
		}
	})
}

func TestARequestWaitsForItsTurnOnlySoLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		of := newTurns()
		for range turnsAtOnce {
			new(turn).take(t.Context(), of)
		}
		var late turn
		began := time.Now()
		late.take(t.Context(), of)
		if d := time.Since(began); d != turnPatience || late.held.Load() {
			t.Errorf("it went after %s: %v", d, late.held.Load())
		}
		late.end() // not its own to give
		if len(of) != turnsAtOnce {
			t.Errorf("%d turns are taken", len(of))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began = time.Now()
		if new(turn).take(ctx, of); time.Since(began) != 0 {
			t.Error("a client that is gone was waited for")
		}
	})
}

func TestATurnEndsWhileAStoreIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		of := newTurns()
		var one turn
		one.take(t.Context(), of)
		stop := one.endAfter(storePatience)
		time.Sleep(storePatience + 1)
		synctest.Wait()
		if len(of) != 0 {
			t.Error("a request that waits for a store keeps its turn")
		}
		stop()
		var two turn
		two.take(t.Context(), of)
		two.endAfter(storePatience)()
		time.Sleep(2 * storePatience)
		if len(of) != 1 {
			t.Error("a turn ended though the store was quick")
		}
	})
}
