package awssm

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"kz/resolver"
	"kz/resolver/awsauth"
)

// batchSize is how many secrets one BatchGetSecretValue may name.
const batchSize = 20

// ResolveBatch fetches up to 20 secrets with one call. A secret that the call
// does not bring, and every one of them when the call itself is denied, is
// fetched by itself; so is one of which another version is asked for.
func (s *Store) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	known := s.fetchTogether(ctx, refs)
	return resolver.Wave(ctx, refs, resolver.DefaultLimit, func(ctx context.Context, place resolver.Ref) (resolver.Result, error) {
		if out, ok := known[place]; ok {
			return out.Result, out.Err
		}
		return s.fetch(ctx, place)
	}, resolver.Field)
}

// fetchTogether returns what batch calls bring.
func (s *Store) fetchTogether(ctx context.Context, refs []resolver.Ref) map[resolver.Ref]resolver.Outcome {
	if s.noBatch.Load() {
		return nil
	}
	regions := map[string][]resolver.Ref{}
	seen := map[resolver.Ref]bool{}
	for _, ref := range refs {
		place := ref.Place()
		if seen[place] || place != (resolver.Ref{ID: ref.ID}) || validate(ref) != nil {
			continue
		}
		seen[place] = true
		region := s.login.RegionOf(ref.ID, service)
		regions[region] = append(regions[region], place)
	}
	return resolver.InBatches(regions, batchSize, func(places []resolver.Ref) map[resolver.Ref]resolver.Outcome { return s.fetchBatch(ctx, places) })
}

// fetchBatch makes one call, and more only where the answer comes in pages.
func (s *Store) fetchBatch(ctx context.Context, places []resolver.Ref) map[resolver.Ref]resolver.Outcome {
	ctx, cancel := context.WithTimeout(ctx, s.login.Timeout())
	defer cancel()
	fail := func(err error) map[resolver.Ref]resolver.Outcome {
		out := map[resolver.Ref]resolver.Outcome{}
		for _, place := range places {
			out[place] = resolver.Outcome{Err: err}
		}
		return out
	}
	api, region, err := s.clients.In(ctx, arnRegion(places[0].ID))
	if err != nil {
		return fail(err)
	}
	in := &secretsmanager.BatchGetSecretValueInput{}
	for _, place := range places {
		in.SecretIdList = append(in.SecretIdList, place.ID)
	}
	found := map[resolver.Ref]resolver.Outcome{}
	for range batchSize { // at least one entry a page: no endless paging
		out, err := api.BatchGetSecretValue(ctx, in)
		if err != nil {
			err := s.explain(ctx, err, resolver.Ref{}, region, reading)
			switch err.Kind {
			case resolver.TimedOut, resolver.Unavailable, resolver.Throttled:
				return fail(err) // more calls would fare no better, and make it worse
			case resolver.AccessDenied:
				if !awsauth.Denied(err) {
					return fail(err) // the credentials, not the permission
				}
				s.noBatch.Store(true)
			}
			return nil
		}
		for _, entry := range out.SecretValues {
			if place, ok := owner(places, entry); ok {
				r, err := value(entry.SecretString, entry.SecretBinary)
				found[place] = resolver.Outcome{Result: r, Err: err}
			}
		}
		if out.NextToken == nil || *out.NextToken == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	return found
}

// owner tells which place an entry answers: the answer has names and ARNs, in
// an order of its own, and not the ids that were asked for. A partial ARN is
// taken only when the name shows that nothing but the random suffix is missing.
func owner(places []resolver.Ref, entry types.SecretValueEntry) (resolver.Ref, bool) {
	if entry.Name == nil || entry.ARN == nil {
		return resolver.Ref{}, false
	}
	for _, place := range places {
		if place.ID == *entry.Name || place.ID == *entry.ARN ||
			strings.HasPrefix(place.ID, "arn:") && strings.HasSuffix(place.ID, ":secret:"+*entry.Name) && strings.HasPrefix(*entry.ARN, place.ID+"-") {
			return place, true
		}
	}
	return resolver.Ref{}, false
}
