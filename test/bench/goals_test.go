package main

import (
	"math"
	"strings"
	"testing"
)

func TestGoals(t *testing.T) {
	t.Parallel()
	r := &results{rounds: 2, peers: []string{"direct", "tunnel", "kz"}}
	put := func(row, unit, peer string, values ...float64) {
		for i, v := range values {
			r.add(row, unit, peer, i, v)
		}
	}
	put("http/1.1, 64 clients", perSecond, "tunnel", 1000, 2000)
	put("http/1.1, 64 clients", perSecond, "kz", 800, 1500)
	put("http/1.1, 64 clients", perSecond, "direct", 2000, 4000)
	put("http/1.1, 1 client", p50, "tunnel", 50, 60)
	put("http/1.1, 1 client", p50, "kz", 80, 110)
	put("memory", idleKiB, "kz", 31, 33)
	put(startRow.name, addedKZ, "kz", 10, 30)
	put(startRow.name, addedBare, "kz", 2, 6)
	table, missed := r.goals()
	var lines []string
	for _, l := range table.Lines {
		lines = append(lines, strings.Join(l, "|"))
	}
	want := []string{
		"http/1.1, 1 client: p50 over the tunnel's, µs|40.0|≤ 40.0|met",
		"http/1.1, 64 clients: requests/s to the tunnel's|0.78|≥ 0.75|met",
		"http/1.1, 64 clients: requests/s to direct|0.39|≥ 0.50|not met",
		"memory per idle http/1.1 connection, KiB|32.0|≤ 32.0|met",
		"kz run --blind -- true over true, ms|20.0|≤ 40.0|met",
		"kz run --blind -- true over true, to a bare Go program|5.00|≤ 4.00|not met",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") || missed != 2 {
		t.Errorf("%d missed:\n%s", missed, strings.Join(lines, "\n"))
	}
	var b strings.Builder
	if err := r.report(&b, options{goals: true}); err == nil || err.Error() != "2 goals not met" {
		t.Error(err)
	}
	if err := r.report(&b, options{}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(b.String(), "share its cores") || !strings.Contains(b.String(), "kz/direct") {
		t.Error(b.String())
	}
}

// TestGoalRows has every goal computed of rows and units that there are: a goal whose row was renamed would never be looked at.
func TestGoalRows(t *testing.T) {
	t.Parallel()
	units := []string{perSecond, p50, mbps, gbps, headMicros, overSDKs, idleKiB, streamKiB, addedKZ, addedBare}
	r := &results{rounds: 1}
	for _, row := range allRows() {
		for _, u := range units {
			for _, p := range allPeers() {
				r.add(row.name, u, p.name, 0, 1)
			}
		}
	}
	for _, g := range allGoals() {
		if math.IsNaN(g.figure(r)) {
			t.Errorf("%q is of a row that there is not", g.what)
		}
	}
}
