package vault

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kz/resolver"
)

// closeGrace is how long Close lets calls end that are under way: one that is cut
// may leave a lease behind, which ends by itself. It is short because kz is also
// stopped when Vault does not answer.
const closeGrace = 250 * time.Millisecond

// Close revokes what the session holds at Vault: the tokens of its own logins,
// with which their leases end, and the leases of a token of the user's. What has
// ended by itself costs no request, and no login is made for it. Calls that are
// under way have a moment to end; later ones are refused.
func (s *Store) Close(ctx context.Context) error {
	s.leases.mu.Lock()
	s.leases.closed = true
	s.leases.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		s.leases.busy.Wait()
		close(idle)
	}()
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-idle:
	case <-grace.C:
	case <-ctx.Done():
	}
	s.end()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	if f := s.session.underway(); f != nil { // nobody waits for it any more, but it may bring a token
		_, _ = f.wait(ctx)
	}
	leases, tokens := s.leases.take(), s.session.take()
	now := s.opt.Now()
	revocable := func(token resolver.Secret) bool {
		return slices.ContainsFunc(tokens, func(g grant) bool { return g.token.Equal(token) })
	}
	var (
		all    errgroup.Group
		mu     sync.Mutex
		failed int
		first  *resolver.Error
		until  time.Time // when the last of what is left ends
	)
	all.SetLimit(resolver.DefaultLimit)
	revoke := func(ends time.Time, do func() *resolver.Error) {
		if !ends.IsZero() && !now.Before(ends) {
			return
		}
		all.Go(func() error {
			if err := do(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if failed++; first == nil {
					first = err
				}
				if until.Before(ends) {
					until = ends
				}
			}
			return nil
		})
	}
	for _, l := range leases {
		if !revocable(l.token) {
			revoke(l.ends, func() *resolver.Error { return s.revoke(ctx, l) })
		}
	}
	for _, g := range tokens {
		revoke(g.ends, func() *resolver.Error { return s.revokeToken(ctx, g.token) })
	}
	_ = all.Wait()
	if first == nil {
		return nil
	}
	e := *first
	e.Message = fmt.Sprintf("%d of what this session holds at Vault could not be revoked", failed)
	if !until.IsZero() {
		e.Message += fmt.Sprintf("; it ends by itself within %s", until.Sub(now).Round(time.Second))
	}
	if first.Message != "" {
		e.Message += ": " + first.Message
	}
	return &e
}

// take empties the leases.
func (l *leases) take() []*lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.old
	for _, c := range l.current {
		all = append(all, c)
	}
	l.old, l.current = nil, nil
	return all
}

// underway is the login under way; nil: none.
func (s *session) underway() *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flight
}

// take empties the session of the tokens that are to be revoked.
func (s *session) take() []grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := append(s.before, s.grant)
	s.before, s.grant, s.life = nil, grant{}, nil
	return slices.DeleteFunc(all, func(g grant) bool { return !g.own || !g.revocable })
}

// revoke gives one lease back.
func (s *Store) revoke(ctx context.Context, l *lease) *resolver.Error {
	const path = "sys/leases/revoke"
	return s.giveBack(ctx, call{method: http.MethodPut, path: path, body: map[string]string{"lease_id": l.id}, token: l.token},
		fmt.Sprintf("its policy needs path %q { capabilities = [\"update\"] }; or log in with auth = \"approle\" or \"kubernetes\", whose tokens are revoked with all their leases", path))
}

// revokeToken ends a token of this session's own.
func (s *Store) revokeToken(ctx context.Context, token resolver.Secret) *resolver.Error {
	const path = "auth/token/revoke-self"
	return s.giveBack(ctx, call{method: http.MethodPut, path: path, body: struct{}{}, token: token},
		fmt.Sprintf("its policy needs path %q { capabilities = [\"update\"] }, as the default policy has it", path))
}

func (s *Store) giveBack(ctx context.Context, c call, advice string) *resolver.Error {
	s.session.mu.Lock()
	client := s.session.client
	s.session.mu.Unlock()
	_, err := send(ctx, client, c)
	if err == nil || dead(err) {
		return nil
	}
	e, refused := explain(ctx, &s.opt, err)
	if refused != nil {
		if says(refused.body, "invalid lease") || says(refused.body, "lease not found") {
			return nil
		}
		e.Kind, e.Advice = resolver.AccessDenied, advice
	}
	return e
}
