package awsssm

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"kz/resolver"
	"kz/resolver/awsauth"
)

// batchSize is how many parameters one GetParameters may name.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
const batchSize = 10

// ResolveBatch fetches up to 10 parameters with one call. One that the call does
// not bring is fetched by itself, and so is every one of them when the call is
// denied, as it is when a single parameter of it may not be read.
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
	seen := map[string]bool{}
	for _, ref := range refs {
		place := ref.Place()
		if validate(ref) != nil {
			continue
		}
		// Of one parameter, one version is asked for. An ARN does not tell /a from a.
		bare, _ := split(ref.ID)
		if bare = strings.TrimPrefix(name(bare), "/"); seen[bare] {
			continue
		}
		seen[bare] = true
		region := s.login.RegionOf(ref.ID, service)
		regions[region] = append(regions[region], place)
	}
	return resolver.InBatches(regions, batchSize, func(places []resolver.Ref) map[resolver.Ref]resolver.Outcome { return s.fetchBatch(ctx, places) })
}

// fetchBatch makes one call.
func (s *Store) fetchBatch(ctx context.Context, places []resolver.Ref) map[resolver.Ref]resolver.Outcome {
	ctx, cancel := context.WithTimeout(ctx, s.login.Timeout())
	defer cancel()
	found := map[resolver.Ref]resolver.Outcome{}
	fail := func(err error) map[resolver.Ref]resolver.Outcome {
		for _, place := range places {
			found[place] = resolver.Outcome{Err: err}
		}
		return found
	}
	api, region, err := s.clients.In(ctx, awsauth.Region(places[0].ID, service))
	if err != nil {
		return fail(err)
	}
	in := &ssm.GetParametersInput{WithDecryption: aws.Bool(true)}
	for _, place := range places {
		in.Names = append(in.Names, selected(place))
	}
	out, err := api.GetParameters(ctx, in)
	if err != nil {
		err := s.explain(ctx, err, resolver.Ref{}, region, reading)
		switch {
		case err.Kind == resolver.TimedOut, err.Kind == resolver.Unavailable, err.Kind == resolver.Throttled:
			return fail(err) // more calls would fare no better, and make it worse
		case err.Kind == resolver.AccessDenied && !awsauth.Denied(err):
			return fail(err) // the credentials, not the permission
		}
		s.noBatch.Store(awsauth.Denied(err))
		return nil
	}
	for _, p := range out.Parameters {
		for _, place := range places {
			if p.Value != nil && answers(p, place) {
				found[place] = resolver.Outcome{Result: resolver.Result{Secret: resolver.NewSecret(*p.Value)}}
			}
		}
	}
	return found
}

// answers reports whether a parameter is what was asked for, by its name or ARN and by its version.
func answers(p types.Parameter, place resolver.Ref) bool {
	bare, _ := split(place.ID)
	named := p.Name != nil && *p.Name == bare || p.ARN != nil && *p.ARN == bare
	return named && aws.ToString(p.Selector) == strings.TrimPrefix(selected(place), bare)
}
