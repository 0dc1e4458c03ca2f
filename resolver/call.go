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

// silence tells whether a store that is called limit times at a time answers nothing: then what waits for its turn behind
// those calls would only wait for one time limit after another.
type silence struct {
	limit    int
	timeouts atomic.Int32
	answered atomic.Bool // by an error, too
}

// heard notes how a call went.
func (s *silence) heard(err error) {
	if KindOf(err) == TimedOut {
		s.timeouts.Add(1)
	} else {
		s.answered.Store(true)
	}
}

// total reports whether more calls are not worth it.
func (s *silence) total() bool { return !s.answered.Load() && int(s.timeouts.Load()) >= s.limit }
