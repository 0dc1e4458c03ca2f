package vault

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kz/resolver"
)

// keepEvery is the least time between two looks at what is due.
const keepEvery = 100 * time.Millisecond

// Keep renews the leases that the session has, and the token they are bound to,
// each when four fifths of it are over, until ctx is done or nothing is left that
// can be renewed. It is for values that were given away and will not be asked for
// again: it reads none anew.
func (s *Store) Keep(ctx context.Context) {
	for {
		next := s.keep(ctx)
		if next.IsZero() {
			return
		}
		timer := time.NewTimer(max(next.Sub(s.opt.Now()), keepEvery))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// keep renews what is due, and returns when the next will be; zero: never.
func (s *Store) keep(ctx context.Context) (next time.Time) {
	leave, err := s.leases.enter()
	if err != nil {
		return next
	}
	defer leave()
	ctx, cancel := s.bound(ctx)
	defer cancel()
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for key, l := range s.leases.all() {
		now := s.opt.Now()
		if !l.renewable || !now.Before(l.ends) {
			continue
		}
		if !now.Before(l.due) {
			renewed, ok, err := s.renewLease(ctx, l)
			switch {
			case err != nil: // Vault cannot be asked now
				renewed.due = now.Add(tryRenewing)
			case !ok:
				continue // it ends
			default:
				s.leases.put(key, renewed, now)
			}
			l = renewed
		}
		sooner(l.due)
	}
	if !next.IsZero() {
		sooner(s.session.prolong(ctx))
	}
	return next
}

// all returns copies of the current leases.
func (l *leases) all() map[string]lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]lease, len(l.current))
	for key, c := range l.current {
		all[key] = *c
	}
	return all
}

// prolong renews the token when it is due, in place of another login, with which
// the leases of this one would end. It returns when the next time is; zero: never.
func (s *session) prolong(ctx context.Context) time.Time {
	s.mu.Lock()
	g, client := s.grant, s.client
	s.mu.Unlock()
	if !g.own { // open sees to a token of the user's
		_, _, _ = s.open(ctx)
		return s.renewAt(ctx)
	}
	now := s.opt.Now()
	if g.loginAgain.IsZero() || now.Before(g.loginAgain) {
		return g.loginAgain
	}
	var answer loginAnswer
	err := sendInto(ctx, client, call{method: http.MethodPut, path: "auth/token/renew-self", body: struct{}{}, token: g.token}, &answer)
	var refused *answerError
	switch d := seconds(answer.Auth.Duration); {
	case errors.As(err, &refused) && refused.status < 500:
		return time.Time{}
	case err != nil:
		return now.Add(tryRenewing)
	case d <= g.ends.Sub(now): // its longest time is used up
		return time.Time{}
	default:
		g.loginAgain, g.ends = now.Add(d*4/5), now.Add(d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grant.token.Equal(g.token) {
		s.grant = g
	}
	return g.loginAgain
}

var _ resolver.Keeper = (*Store)(nil)
