package resolver

import (
	"maps"

	"golang.org/x/sync/errgroup"
)

// InBatches calls fetch for the places of each group, up to size of them at a time and DefaultLimit calls beside each
// other, and returns what all of them found. What would be alone in its call is left to be fetched by itself.
func InBatches(groups map[string][]Ref, size int, fetch func(places []Ref) map[Ref]Outcome) map[Ref]Outcome {
	var batches [][]Ref
	for _, places := range groups {
		for len(places) > 1 {
			n := min(size, len(places))
			batches = append(batches, places[:n])
			places = places[n:]
		}
	}
	results := make([]map[Ref]Outcome, len(batches))
	var calls errgroup.Group
	calls.SetLimit(DefaultLimit)
	for i, places := range batches {
		calls.Go(func() error { results[i] = fetch(places); return nil })
	}
	_ = calls.Wait() // none returns an error
	all := map[Ref]Outcome{}
	for _, r := range results {
		maps.Copy(all, r)
	}
	return all
}
