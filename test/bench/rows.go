package main

import (
	"fmt"
	"time"

	"kz/test/bench/load"
	"kz/test/bench/stat"
)

// A row is one kind of load. Its run measures it once through one peer and says what it saw.
type row struct {
	name string
	run  func(c *cell) error
}

// cell is one measurement of a row: through one peer, in one round.
type cell struct {
	options
	lab   *lab
	peer  peer
	route *load.Route
	proc  *process // nil for a peer without a process
	say   func(unit string, value float64)
}

func allRows() []row {
	var rows []row
	for _, protocol := range []string{"http/1.1", "h2"} {
		for _, n := range []int{1, 16, 64} {
			rows = append(rows, requestRow(protocol + ", " + plural(n, "client"), load.Clients{Protocol: protocol, Conns: n, Streams: 1}))
		}
	}
	return append(rows, requestRow("h2, 16 streams on 1 connection", load.Clients{Protocol: "h2", Conns: 1, Streams: 16}))
}

// Units of figures.
const (
	perSecond = "/s"
	p50       = "p50 µs"
	p99       = "p99 µs"
	cpu       = "CPU µs each"
)

func requestRow(name string, clients load.Clients) row {
	return row{name, func(c *cell) error {
		before, err := cpuTime(c.proc)
		if err != nil {
			return err
		}
		res, err := c.route.Requests(clients, c.duration)
		if err != nil {
			return err
		}
		after, err := cpuTime(c.proc)
		if err != nil {
			return err
		}
		c.say(perSecond, res.PerSecond())
		c.say(p50, micros(stat.Percentile(res.Latencies, 50)))
		c.say(p99, micros(stat.Percentile(res.Latencies, 99)))
		if c.proc != nil {
			c.say(cpu, micros(float64(after-before))/float64(len(res.Latencies)))
		}
		return nil
	}}
}

func micros(ns float64) float64 { return ns / float64(time.Microsecond) }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
