package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"kz/test/bench/load"
)

// series are the figures of one row in one unit: for each peer one for each round, NaN where there is none.
type series struct {
	Row, Unit string
	Values    map[string][]float64
}

// results are all that a run has found.
type results struct {
	rounds  int
	peers   []string
	series  []*series
	notes   []string // what a peer is known not to do
	foreign float64  // the share of the machine that others had meanwhile
}

// defects are what peers are known not to do: row, peer and why. There they have no figure, and that is no failure.
var defects = []struct{ row, peer, why string }{
	{"events, h2", "goproxy", "holds the head of an answer until the first event"},
}

// failed says whether an error is one that counts, and otherwise makes a note.
func (r *results) failed(row, peer string) bool {
	for _, d := range defects {
		if d.row == row && d.peer == peer {
			note := d.peer + " has no figure for " + d.row + ": it " + d.why
			if !slices.Contains(r.notes, note) {
				r.notes = append(r.notes, note)
			}
			return false
		}
	}
	return true
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

// empty says whether a cell has a rate or a time that is none.
func (r *results) empty(row, peer string, round int) bool {
	return slices.ContainsFunc(r.series, func(s *series) bool {
		if s.Row != row || len(s.Values[peer]) == 0 || !slices.Contains([]string{perSecond, p50, p99, mbps, gbps}, s.Unit) {
			return false
		}
		return !(s.Values[peer][round] > 0)
	})
}

// running is a peer that is up.
type running struct {
	peer
	route *load.Route
	proc  *process
}

func isPeer(name string) bool {
	return slices.ContainsFunc(allPeers(), func(p peer) bool { return p.name == name })
}

// measure runs the rows that are wanted through the peers that are wanted, in rounds: within a round the peers take turns
// at each row, and each round begins with another of them. There are results even when there is an error.
func measure(l *lab, o options, peers []peer, rows []row) (*results, error) {
	r := &results{rounds: o.rounds}
	var up []running
	var failures []error
	for _, p := range peers {
		if o.without[p.name] {
			continue
		}
		route, proc, err := p.start(l)
		if err != nil {
			if errors.Is(err, errMissing) {
				err = fmt.Errorf("%w; --without %s leaves it out", err, p.name)
				r.notes = append(r.notes, p.name+" "+errMissing.Error())
			}
			failures = append(failures, fmt.Errorf("%s: %w", p.name, err))
			continue
		}
		up = append(up, running{p, route, proc})
		r.peers = append(r.peers, p.name)
	}
	rows = slices.DeleteFunc(slices.Clone(rows), func(row row) bool { return !o.only.MatchString(row.name) })
	if len(rows) == 0 || len(up) == 0 {
		return r, errors.Join(append(failures, errors.New("there is nothing to measure"))...)
	}
	usage, err := startUsage(l)
	if err != nil {
		return r, err
	}
	for round := range o.rounds {
		for _, row := range rows {
			began := time.Now()
			for i := range up {
				u := up[(i+round)%len(up)]
				if row.alone && u.name != "kz" {
					continue
				}
				c := &cell{options: o, lab: l, peer: u.peer, route: u.route, proc: u.proc, say: func(unit string, value float64) {
					r.add(row.name, unit, u.name, round, value)
				}}
				err := row.run(c)
				if err == nil && r.empty(row.name, u.name, round) {
					err = errors.New("nothing was measured")
				}
				if err != nil && r.failed(row.name, u.name) {
					failures = append(failures, fmt.Errorf("%s through %s: %w", row.name, u.name, err))
				}
			}
			fmt.Fprintf(os.Stderr, "round %d of %d, %5.1f s: %s\n", round+1, o.rounds, time.Since(began).Seconds(), row.name)
		}
	}
	r.foreign, err = usage.foreign(l)
	return r, errors.Join(append(failures, err)...)
}
