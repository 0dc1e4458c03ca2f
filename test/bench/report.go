package main

import (
	"os"

	"kz/test/bench/stat"
)

// report prints the table of medians, with the ratios of kz to each other peer.
func (r *results) report(options) error {
	t := stat.Table{Heading: append([]string{""}, r.peers...)}
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
	_, err := t.WriteTo(os.Stdout)
	return err
}
