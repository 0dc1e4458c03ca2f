package resolver

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// DefaultLimit is how many calls go to a store at the same time.
const DefaultLimit = 8

// Wave resolves refs for a BatchResolver whose store has no batch call: fetch is
// called once for each distinct Place, at most limit at a time, and pick takes
// each ref's field from what it returned. Secrets that are fields of one stored
// object thus come from one and the same version of it. Once a call has
// timed out and none has been answered, no more are made.
func Wave(ctx context.Context, refs []Ref, limit int,
	fetch func(ctx context.Context, place Ref) (Result, error),
	pick func(raw, field string) (string, error)) []Outcome {

	index := map[Ref]int{}
	var places []Ref
	for _, ref := range refs {
		if _, ok := index[ref.Place()]; !ok {
			index[ref.Place()] = len(places)
			places = append(places, ref.Place())
		}
	}
	fetched := make([]Outcome, len(places))
	var group errgroup.Group
	group.SetLimit(limit)
	var quiet silence
	for i, place := range places {
		group.Go(func() error {
			if quiet.total() {
				fetched[i].Err = errSilent
				return nil
			}
			fetched[i] = resolve(ctx, fetch, place)
			quiet.heard(fetched[i].Err)
			return nil
		})
	}
	_ = group.Wait()
	out := make([]Outcome, len(refs))
	for i, ref := range refs {
		out[i] = fetched[index[ref.Place()]]
		if out[i].Err == nil {
			out[i].Result, out[i].Err = PickField(out[i].Result, ref.Field, pick)
		}
	}
	return out
}

// PickField replaces the value of a Result by one field of it.
func PickField(r Result, field string, pick func(raw, field string) (string, error)) (Result, error) {
	value, err := pick(r.Secret.Reveal(), field)
	if err != nil {
		return Result{}, err
	}
	r.Secret = NewSecret(value)
	return r, nil
}
