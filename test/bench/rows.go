package main

import (
	"fmt"
	"time"

	"kz/test/bench/load"
	"kz/test/bench/stat"
)

// A row is one kind of load. Its run measures it once and says what it saw.
type row struct {
	name string
	// alone is a row that is not about the way to the origin: it runs once a round, and its figures are kz's.
	alone bool
	run   func(c *cell) error
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

// protocols are those that a client may speak.
var protocols = []string{"http/1.1", "h2"}

func allRows() []row {
	var rows []row
	for _, protocol := range protocols {
		for _, n := range []int{1, 16, 64} {
			rows = append(rows, requestRow(protocol+", "+plural(n, "client"), load.Clients{Protocol: protocol, Conns: n, Streams: 1}, (*load.Route).Requests))
		}
	}
	streams := load.Clients{Protocol: "h2", Conns: 1, Streams: 16}
	rows = append(rows, requestRow("h2, 16 streams", streams, (*load.Route).Requests))
	for _, n := range []int{1, 16, 64} {
		rows = append(rows, requestRow("net/http http/1.1, "+plural(n, "client"), load.Clients{Protocol: "http/1.1", Conns: n, Streams: 1}, (*load.Route).GoClient))
	}
	rows = append(rows, requestRow("net/http h2, 16 streams", streams, (*load.Route).GoClient))
	rows = append(rows, connectionRows()...)
	rows = append(rows, bulkRows()...)
	rows = append(rows, eventRows()...)
	rows = append(rows, memoryRow)
	rows = append(rows, scanRows()...)
	return append(rows, startRow)
}

// Units of figures.
const (
	perSecond = "/s"
	p50       = "p50 µs"
	p99       = "p99 µs"
	cpu       = "CPU µs each"
	mbps      = "MB/s"
	gbps      = "GB/s"
)

func requestRow(name string, clients load.Clients, send func(*load.Route, load.Clients, time.Duration) (load.Result, error)) row {
	return row{name: name, run: func(c *cell) error {
		before, err := cpuTime(c.proc)
		if err != nil {
			return err
		}
		res, err := send(c.route, clients, c.duration)
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
