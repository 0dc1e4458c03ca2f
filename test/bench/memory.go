package main

import (
	"errors"
	"fmt"
	"os/exec"
	"time"

	"kz/test/bench/load"
)

// What is open while memory is looked at; a tenth of it in a quick run.
const (
	idleConns   = 2000
	openStreams = 1000
	perConn     = 20 // streams on one h2 connection
)

// Units of the memory row.
const (
	startMB   = "MB at the start"
	overSDKs  = "MB at the start over the SDKs' own"
	idleKiB   = "KiB per idle http/1.1 connection"
	streamKiB = "KiB per open http/1.1 stream"
	h2KiB     = "KiB per open h2 stream"
)

// memoryRow looks at the resident memory of processes that have done nothing else: what was freed before would be used again.
var memoryRow = row{name: "memory", run: func(c *cell) error {
	if c.proc == nil {
		return nil
	}
	if err := c.startMemory(); err != nil {
		return err
	}
	idle, streams := idleConns, openStreams
	if c.quick {
		idle, streams = idle/10, streams/10
	}
	return errors.Join(
		c.memory(idleKiB, idle, func(r *load.Route) (func(), error) { return r.Idle(idle) }),
		c.memory(streamKiB, streams, func(r *load.Route) (func(), error) { return r.Open("http/1.1", streams, 1) }),
		c.memory(h2KiB, streams, func(r *load.Route) (func(), error) { return r.Open("h2", streams/perConn, perConn) }))
}}

func (c *cell) startMemory() error {
	_, proc, err := c.peer.start(c.lab)
	if err != nil {
		return err
	}
	defer proc.stop()
	start, err := c.settled(proc)
	if err != nil {
		return err
	}
	c.say(startMB, start/1e6)
	if c.peer.name != "kz" {
		return nil
	}
	program := c.lab.path("sdks")
	if out, err := exec.Command("go", "build", "-o", program, "kz/test/bench/sdks").CombinedOutput(); err != nil {
		return fmt.Errorf("building sdks: %w\n%s", err, out)
	}
	bare, err := c.lab.startReady(program)
	if err != nil {
		return err
	}
	defer bare.stop()
	sdks, err := c.settled(bare)
	c.say(overSDKs, (start-sdks)/1e6)
	return err
}

// memory says what each of n things takes that open opens.
func (c *cell) memory(unit string, n int, open func(*load.Route) (stop func(), err error)) error {
	route, proc, err := c.peer.start(c.lab)
	if err != nil {
		return err
	}
	defer proc.stop()
	stop, err := route.Idle(10) // warms up, so that what is made once is not counted
	stop()
	if err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	before, err := c.settled(proc)
	if err != nil {
		return err
	}
	stop, err = open(route)
	defer stop()
	if err != nil {
		return fmt.Errorf("%s: %w", unit, err)
	}
	after, err := c.settled(proc)
	c.say(unit, (after-before)/1024/float64(n))
	return err
}

// calm is how long kz is left alone before its memory is looked at: it gives the garbage of what it has just done back to the
// system after a second or two. The others do not.
const calm = 3 * time.Second

// settled is the resident memory of a process in bytes, after calm and once it has stayed much the same for a quarter of a second.
func (c *cell) settled(p *process) (float64, error) {
	const slack = 128 << 10
	pause := 50 * time.Millisecond
	if c.quick {
		pause /= 5
	} else if c.peer.name == "kz" {
		time.Sleep(calm)
	}
	last, same := 0.0, 0
	for range 100 {
		now, err := resident(p)
		if err != nil {
			return 0, err
		}
		if max(now-last, last-now) > slack {
			last, same = now, 0
		} else if same++; same == 5 {
			return now, nil
		}
		time.Sleep(pause)
	}
	return last, nil
}
