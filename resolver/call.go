package resolver

import (
	"context"
	"sync/atomic"
)

// resolve calls a store. A panic in one would end kz, with a text that may hold a value: it becomes an error without one.
func resolve(ctx context.Context, fetch func(context.Context, Ref) (Result, error), ref Ref) (out Outcome) {
	defer func() {
		if recover() != nil {
			out = Outcome{Err: errBroken}
		}
	}()
	out.Result, out.Err = fetch(ctx, ref)
	return out
}

// resolveBatch is resolve for several refs.
func resolveBatch(ctx context.Context, store BatchResolver, refs []Ref) (outs []Outcome) {
	defer func() {
		if recover() != nil {
			outs = make([]Outcome, len(refs))
			for i := range outs {
				outs[i].Err = errBroken
			}
		}
	}()
	return store.ResolveBatch(ctx, refs)
}

var (
	errBroken = &Error{Kind: Unavailable, Message: "the code that speaks to this store has broken off",
		Advice: "this is a defect of kz: please report it with the type of the backend"}
	errSilent = &Error{Kind: TimedOut, Message: "not asked for, since the store answered none of the calls before",
		Advice: "check that the store can be reached from here, and try again"}
)

// silence tells whether a store answers nothing: then what waits for its turn behind the first calls would only wait for
// one time limit after another. Those all begin at the same time, so that by the first timeout every one of them had its
// chance. The zero value is ready.
type silence struct{ timedOut, answered atomic.Bool }

// heard notes how a call went. An error is an answer, too.
func (s *silence) heard(err error) {
	if KindOf(err) == TimedOut {
		s.timedOut.Store(true)
	} else {
		s.answered.Store(true)
	}
}

// total reports whether more calls are not worth it.
func (s *silence) total() bool { return s.timedOut.Load() && !s.answered.Load() }
