package resolver

import (
	"maps"
	"time"
)

// Status is what a Cache knows of one secret. It holds no value.
type Status struct {
	Name, Backend string
	Err           error         // why the last call failed; nil when it did not
	Latency       time.Duration // of the last call
	ResolvedAt    time.Time     // when a call last succeeded; zero: never
	RefreshAt     time.Time     // when the value is due; zero: no value
	Stale         bool          // the value is past RefreshAt, and still served
	Leased        bool          // the store says how long the value is good for
	Counts
}

// Counts are totals since the Cache was made.
type Counts struct {
	Uses      int // how often the value was asked for
	Hits      int // how often a fresh one was there
	Calls     int // how often the store was asked
	Rotations int // how often a call brought another value than the one before
	Failures  map[Kind]int
}

// took counts one call.
func (s *Status) took(latency time.Duration, err error, now time.Time) {
	s.Calls++
	s.Latency, s.Err = latency, err
	if err == nil {
		s.ResolvedAt = now
		return
	}
	if s.Failures == nil {
		s.Failures = map[Kind]int{}
	}
	s.Failures[KindOf(err)]++
}

// Report returns the status of every secret, in the order of CacheOptions.Sources.
func (c *Cache) Report() []Status {
	now := c.opt.Now()
	out := make([]Status, 0, len(c.names))
	for _, name := range c.names {
		e := c.entries[name]
		e.object.mu.Lock()
		s := e.status
		s.Hits = int(e.hits.Load())
		s.Uses += s.Hits
		s.Name, s.Backend = e.src.Name, e.src.Backend
		s.Failures = maps.Clone(s.Failures)
		s.RefreshAt = e.refreshAt
		s.Stale = !e.value.IsZero() && !before(now, e.refreshAt) && before(now, e.staleUntil)
		e.object.mu.Unlock()
		out = append(out, s)
	}
	return out
}

// ByBackend adds the counts of a report up by backend.
func ByBackend(report []Status) map[string]Counts {
	totals := map[string]Counts{}
	for _, s := range report {
		t := totals[s.Backend]
		t.Uses += s.Uses
		t.Hits += s.Hits
		t.Calls += s.Calls
		t.Rotations += s.Rotations
		if t.Failures == nil {
			t.Failures = map[Kind]int{}
		}
		for kind, n := range s.Failures {
			t.Failures[kind] += n
		}
		totals[s.Backend] = t
	}
	return totals
}
