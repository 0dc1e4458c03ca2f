package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"kz/test/bench/stat"
)

const method = `Load generator, origin and each peer are processes of this one machine and share its cores: compare ratios, not figures.
Within a round the peers take turns at each row. A figure is the median of its rounds, a ratio the median of the ratios
within rounds. Every answer is compared as a whole; the origin refuses what lacks the real value. kz swaps it into a header
and a body and scrubs it from the answer; the others are given the real value and change nothing.
`

// report prints what was found, as the options want it.
func (r *results) report(w io.Writer, o options) error {
	fmt.Fprint(w, machine())
	fmt.Fprintf(w, "%s, %s a cell\n%s\n", plural(r.rounds, "round"), o.duration, method)
	if _, err := r.table().WriteTo(w); err != nil {
		return err
	}
	for _, note := range r.notes {
		fmt.Fprintln(w, note)
	}
	fmt.Fprintf(w, "Other programs had %.0f %% of the machine meanwhile.\n\n", 100*r.foreign)
	goals, missed := r.goals()
	if _, err := goals.WriteTo(w); err != nil {
		return err
	}
	if o.json != "" {
		if err := r.write(o.json, o.duration); err != nil {
			return err
		}
	}
	if o.goals && missed > 0 {
		return fmt.Errorf("%s not met", plural(missed, "goal"))
	}
	return nil
}

// table is every median, with the ratios of kz to each other peer.
func (r *results) table() *stat.Table {
	t := &stat.Table{Heading: append([]string{""}, r.peers...)}
	for _, p := range r.peers {
		if p != "kz" {
			t.Heading = append(t.Heading, "kz/"+p)
		}
	}
	for _, s := range r.series {
		line := []string{s.Row + ", " + s.Unit}
		for _, p := range r.peers {
			line = append(line, stat.Figure(stat.Median(s.Values[p])))
		}
		for _, p := range r.peers {
			if p != "kz" {
				line = append(line, stat.Figure(stat.Ratio(s.Values["kz"], s.Values[p])))
			}
		}
		t.Add(line...)
	}
	return t
}

// goals is each goal of which everything was measured, and how many are not met.
func (r *results) goals() (t *stat.Table, missed int) {
	t = &stat.Table{Heading: []string{"goal", "figure", "wanted", ""}}
	for _, g := range allGoals() {
		v := g.figure(r)
		if math.IsNaN(v) {
			continue
		}
		sign, verdict := "≥ ", "met"
		if g.atMost {
			sign = "≤ "
		}
		if !g.met(v) {
			verdict = "not met"
			missed++
		}
		t.Add(g.what, stat.Figure(v), sign+stat.Figure(g.limit), verdict)
	}
	return t, missed
}

// write puts all figures into a file.
func (r *results) write(path string, cell time.Duration) error {
	type figures struct {
		Row    string                `json:"row"`
		Unit   string                `json:"unit"`
		Rounds map[string][]*float64 `json:"rounds"` // by peer; null where there is none
	}
	type verdict struct {
		Goal   string  `json:"goal"`
		Figure float64 `json:"figure"`
		Limit  float64 `json:"limit"`
		Met    bool    `json:"met"`
	}
	var out struct {
		Machine string    `json:"machine"`
		Cell    string    `json:"cell"`    // how long each was measured
		Foreign float64   `json:"foreign"` // the share of the machine that other programs had
		Peers   []string  `json:"peers"`
		Rows    []figures `json:"rows"`
		Goals   []verdict `json:"goals"`
	}
	out.Cell = cell.String()
	out.Machine, out.Foreign, out.Peers = machine(), r.foreign, r.peers
	for _, s := range r.series {
		f := figures{s.Row, s.Unit, map[string][]*float64{}}
		for p, values := range s.Values {
			for _, v := range values {
				var known *float64
				if !math.IsNaN(v) && !math.IsInf(v, 0) {
					known = &v
				}
				f.Rounds[p] = append(f.Rounds[p], known)
			}
		}
		out.Rows = append(out.Rows, f)
	}
	for _, g := range allGoals() {
		if v := g.figure(r); !math.IsNaN(v) {
			out.Goals = append(out.Goals, verdict{g.what, v, g.limit, g.met(v)})
		}
	}
	text, err := json.MarshalIndent(out, "", "\t")
	return errors.Join(err, os.WriteFile(path, text, 0o644))
}
