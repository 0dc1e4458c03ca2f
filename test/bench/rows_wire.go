package main

import (
	"errors"
	"time"

	"kz/test/bench/load"
	"kz/test/bench/stat"
)

// connecting is how many clients open connections at once.
const connecting = 8

func connectionRows() []row {
	var rows []row
	for i, name := range []string{"same host", "new host each", "resumed TLS"} {
		kind := []load.Freshness{load.SameHost, load.NewHost, load.Resumed}[i]
		rows = append(rows, row{name: "connections, " + name, run: func(c *cell) error {
			res, resumed, err := c.route.Connections(kind, connecting, c.duration)
			if err != nil {
				return err
			}
			if kind == load.Resumed {
				c.say("% resumed", 100*resumed)
				if resumed < 0.9 && c.peer.name == "kz" {
					err = errors.New("sessions were not resumed")
				}
			}
			c.say(perSecond, res.PerSecond())
			c.say(p50, micros(stat.Percentile(res.Latencies, 50)))
			return err
		}})
	}
	return rows
}

// bulkSize is what a large body holds.
const bulkSize = 100 << 20

func bulkRows() []row {
	var rows []row
	for _, protocol := range protocols {
		for _, way := range []struct {
			name string
			run  func(*load.Route, string, int) (time.Duration, error)
		}{{"down", (*load.Route).Down}, {"up", (*load.Route).Up}} {
			rows = append(rows, row{name: "bulk " + way.name + ", " + protocol, run: func(c *cell) error {
				size := bulkSize
				if c.quick {
					size /= 10
				}
				took, err := way.run(c.route, protocol, size)
				if err == nil {
					c.say(mbps, float64(size)/1e6/took.Seconds())
				}
				return err
			}})
		}
	}
	return rows
}

// headMicros is when the head of an answer came.
const headMicros = "head µs"

func eventRows() []row {
	var rows []row
	for _, protocol := range protocols {
		rows = append(rows, row{name: "events, " + protocol, run: func(c *cell) error {
			const gap, hold = 2 * time.Millisecond, 3 * time.Second
			times, err := c.route.Events(protocol, int(max(20, c.duration/gap)), gap, hold)
			if err != nil {
				return err
			}
			c.say(p50, micros(stat.Percentile(times.Latencies, 50)))
			c.say(p99, micros(stat.Percentile(times.Latencies, 99)))
			c.say(headMicros, micros(float64(times.Head)))
			return nil
		}})
	}
	return rows
}
