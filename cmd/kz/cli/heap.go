package cli

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// heapRoom is how much garbage a session may gather, in bytes, beyond what Go's collector allows by itself. kz lives in
// a few megabytes, so that without it the collector ran every few hundred requests, for a third of the CPU. A fixed room
// costs the same however many connections are open; a larger GOGC would multiply what they hold.
const heapRoom = 16 << 20

// newHeapRoom makes the collector wait longer for as long as the result is held. Nothing is ever written to it, so that
// it takes address space and no memory.
func newHeapRoom() []byte { return make([]byte, heapRoom) }

const (
	// startTime is longer than a start takes that no store keeps waiting.
	startTime = time.Second
	// startPercent has the collector begin at 40 MB, for Go's own 100 stands for 4 (gctrace, runtime package): more than a start
	// makes, and the room with it.
	startPercent = 1000
)

// startUncollected keeps the collector from running in the first moments, in which there is little to collect, and a program
// waits to be started. Once it has run, because there was more, it does so as always. GOGC says otherwise.
func startUncollected() {
	if os.Getenv("GOGC") != "" {
		return
	}
	before := debug.SetGCPercent(startPercent)
	over := sync.OnceFunc(func() { debug.SetGCPercent(before) })
	time.AfterFunc(startTime, over)
	// What the first collection takes away: its successor would begin at ten times what that one leaves.
	runtime.AddCleanup(new(*byte), func(over func()) { over() }, over)
}

// memoryGoal is what Go's collector works harder to stay under: by itself it lets as much garbage lie as there is in use. With
// what is not the heap's, and without the room, which is never touched, a session stays below 200 MB in memory. GOMEMLIMIT says
// otherwise.
const memoryGoal = 160<<20 + heapRoom

// boundGarbage sets memoryGoal, unless the environment has a goal.
func boundGarbage() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(memoryGoal)
	}
}

// quiet is how long nothing must have begun before the garbage is given back to the system: long enough that a busy
// agent's pauses do not cause it.
const quiet = time.Second

// giveBack runs until stop is closed. Whenever nothing has begun for a while, after something had, it calls release once.
// begun counts what has begun.
func giveBack(begun func() uint64, release func(), stop <-chan struct{}) {
	tick := time.NewTicker(quiet)
	defer tick.Stop()
	seen, dirty := begun(), true // the start leaves some, too
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		switch now := begun(); {
		case now != seen:
			seen, dirty = now, true
		case dirty:
			release()
			dirty = false
		}
	}
}
