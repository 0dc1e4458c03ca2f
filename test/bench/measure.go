package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"kz/test/bench/load"
)

// series are the figures of one row in one unit: for each peer one for each round, NaN where there is none.
type series struct {
	Row, Unit string
	Values    map[string][]float64
}

// results are all that a run has found.
type results struct {
	rounds int
	peers  []string
	series []*series
}

func (r *results) of(row, unit string) *series {
	for _, s := range r.series {
		if s.Row == row && s.Unit == unit {
			return s
		}
	}
	return nil
}

func (r *results) add(row, unit, peer string, round int, value float64) {
	s := r.of(row, unit)
	if s == nil {
		s = &series{row, unit, map[string][]float64{}}
		r.series = append(r.series, s)
	}
	for len(s.Values[peer]) < r.rounds {
		s.Values[peer] = append(s.Values[peer], math.NaN())
	}
	s.Values[peer][round] = value
}

// running is a peer that is up.
type running struct {
	peer
	route *load.Route
	proc  *process
}

func isPeer(name string) bool {
	return slices.ContainsFunc(allPeers, func(p peer) bool { return p.name == name })
}

// measure runs every row through every peer, in rounds: within a round the peers take turns at each row, and each round
// begins with another of them.
func measure(l *lab, o options) (*results, error) {
	r := &results{rounds: o.rounds}
	var up []running
	var failures []error
	for _, p := range allPeers {
		if o.without[p.name] {
			continue
		}
		route, proc, err := p.start(l)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", p.name, err))
			continue
		}
		up = append(up, running{p, route, proc})
		r.peers = append(r.peers, p.name)
	}
	for round := range o.rounds {
		for _, row := range allRows() {
			if !o.only.MatchString(row.name) {
				continue
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, o.rounds, row.name)
			for i := range up {
				u := up[(i+round)%len(up)]
				c := &cell{options: o, lab: l, peer: u.peer, route: u.route, proc: u.proc, say: func(unit string, value float64) {
					r.add(row.name, unit, u.name, round, value)
				}}
				if err := row.run(c); err != nil {
					failures = append(failures, fmt.Errorf("%s through %s: %w", row.name, u.name, err))
				}
			}
			// The audit of a million requests is of no use to anybody here.
			_ = os.Truncate(l.path(auditFile), 0)
		}
	}
	return r, errors.Join(failures...)
}
