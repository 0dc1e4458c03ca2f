package main

import (
	"math"

	"kz/test/bench/stat"
)

// A goal is a figure that kz is to reach.
type goal struct {
	what   string
	figure func(r *results) float64 // NaN when a row that it needs was not measured
	limit  float64
	atMost bool // limit is the most, else the least
}

func (g goal) met(v float64) bool {
	if g.atMost {
		return v <= g.limit
	}
	return v >= g.limit
}

// values are the figures of a peer in one row, one for each round.
func (r *results) values(row, unit, peer string) []float64 {
	if s := r.of(row, unit); s != nil {
		return s.Values[peer]
	}
	return nil
}

// ratio is kz to a peer.
func ratio(row, unit, peer string) func(*results) float64 {
	return func(r *results) float64 { return stat.Ratio(r.values(row, unit, "kz"), r.values(row, unit, peer)) }
}

// added is kz less a peer.
func added(row, unit, peer string) func(*results) float64 {
	return func(r *results) float64 {
		return stat.Difference(r.values(row, unit, "kz"), r.values(row, unit, peer))
	}
}

// own is kz's figure as it is.
func own(row, unit string) func(*results) float64 {
	return func(r *results) float64 { return stat.Median(r.values(row, unit, "kz")) }
}

// least is the smallest of several figures; one that is not there leaves the whole out.
func least(figures ...func(*results) float64) func(*results) float64 {
	return func(r *results) float64 {
		least := math.Inf(1)
		for _, f := range figures {
			least = min(least, f(r)) // min of NaN is NaN
		}
		return least
	}
}

func allGoals() []goal {
	atLeast := func(limit float64, what string, figure func(*results) float64) goal {
		return goal{what: what, figure: figure, limit: limit}
	}
	atMost := func(limit float64, what string, figure func(*results) float64) goal {
		return goal{what: what, figure: figure, limit: limit, atMost: true}
	}
	goals := []goal{atMost(40, "http/1.1, 1 client: p50 over the tunnel's, µs", added("http/1.1, 1 client", p50, "tunnel"))}
	for _, client := range []string{"", "net/http "} {
		goals = append(goals,
			atLeast(0.75, client+"http/1.1, 64 clients: requests/s to the tunnel's", ratio(client+"http/1.1, 64 clients", perSecond, "tunnel")),
			atLeast(0.50, client+"http/1.1, 64 clients: requests/s to direct", ratio(client+"http/1.1, 64 clients", perSecond, "direct")),
			atLeast(0.55, client+"h2, 16 streams: requests/s to direct", ratio(client+"h2, 16 streams", perSecond, "direct")))
	}
	same, fresh := "connections, same host", "connections, new host each"
	goals = append(goals,
		atLeast(1.0, same+": connections/s to the tunnel's", ratio(same, perSecond, "tunnel")),
		atLeast(0.9, same+": connections/s to direct", ratio(same, perSecond, "direct")),
		atLeast(0.47, fresh+": connections/s to direct", ratio(fresh, perSecond, "direct")))
	for _, way := range []string{"down", "up"} {
		row := "bulk " + way + ", http/1.1"
		goals = append(goals,
			atLeast(0.9, row+": MB/s to the relay's", ratio(row, mbps, "relay")),
			atLeast(0.6, row+": MB/s to the tunnel's", ratio(row, mbps, "tunnel")))
	}
	return append(goals,
		atMost(20, "events, http/1.1: p50 over the tunnel's, µs", added("events, http/1.1", p50, "tunnel")),
		atMost(1000, "events, http/1.1: head over the tunnel's, µs", added("events, http/1.1", headMicros, "tunnel")),
		atMost(12, "memory at the start over the SDKs' own, MB", own("memory", overSDKs)),
		atMost(32, "memory per idle http/1.1 connection, KiB", own("memory", idleKiB)),
		atMost(64, "memory per open http/1.1 stream, KiB", own("memory", streamKiB)),
		atLeast(10, "scanning requests for up to 100 masks, GB/s", least(own("scanning for 1 mask", gbps), own("scanning for 10 masks", gbps), own("scanning for 100 masks", gbps))),
		atLeast(5, "scanning answers for up to 1000 values, GB/s", least(own("scanning for 10 values in every form", gbps), own("scanning for 100 values in every form", gbps), own("scanning for 1000 values in every form", gbps))),
		atLeast(20, "http/1.1, 16 clients: requests/s to mitmproxy's", ratio("http/1.1, 16 clients", perSecond, "mitmproxy")),
		atLeast(8, same+": connections/s to mitmproxy's", ratio(same, perSecond, "mitmproxy")),
		atLeast(2.5, "bulk, http/1.1: MB/s to mitmproxy's", least(ratio("bulk down, http/1.1", mbps, "mitmproxy"), ratio("bulk up, http/1.1", mbps, "mitmproxy"))),
		atMost(40, "kz run --blind -- true over true, ms", own(startRow.name, addedKZ)),
		atMost(4, "kz run --blind -- true over true, to a bare Go program", func(r *results) float64 {
			return stat.Ratio(r.values(startRow.name, addedKZ, "kz"), r.values(startRow.name, addedBare, "kz"))
		}))
}
