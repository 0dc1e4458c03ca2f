package vault

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"kz/resolver"
)

// auth is one way to come by a token. Each call is a login of its own; there is
// never more than one under way.
type auth interface {
	login(ctx context.Context, c *api.Client) (grant, error)
}

// grant is a token, and when to log in again. Zero times mean never: the
// session then renews the token itself, if Vault says that it can be renewed.
type grant struct {
	token      resolver.Secret
	loginAgain time.Time
	ends       time.Time
	own        bool // it was made by this login, and for it alone
	revocable  bool // it can be revoked, and with it its leases
}

const (
	// refusedFor is how long a login that Vault refused is not tried again: Vault locks a
	// role out after five refused logins (user lockout, on by default for AppRole).
	refusedFor = 10 * time.Second
	// unhelpedFor is how long a refusal brings no new login where the last one did not help.
	unhelpedFor = 30 * time.Second
	// maxTokens bounds the tokens of earlier logins that are kept to be revoked.
	maxTokens = 64
)

// session holds the client and its token.
type session struct {
	opt  *Options
	auth auth
	over context.Context // done when the session has ended: logins and renewals are nobody's call

	mu       sync.Mutex
	client   *api.Client
	grant    grant
	life     *life   // of the grant's token; nil: not asked for
	flight   *flight // the login under way
	refused  *flight // the last login, when Vault refused it, until refusedTill
	till     time.Time
	unhelpAt time.Time // until when a refusal brings no new login
	before   []grant   // own tokens of earlier logins: leases may be bound to them
}

// flight is a login that is shared by all who need it. Its fields are set before done is closed.
type flight struct {
	done  chan struct{}
	token resolver.Secret
	err   error
}

func (f *flight) wait(ctx context.Context) (resolver.Secret, error) {
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return resolver.Secret{}, resolver.Transport(ctx.Err())
	}
}

// open returns the client with a token that should be good, logging in or
// renewing the token when it is time. When the login fails that is due before
// the token ends, the token goes on to be used.
func (s *session) open(ctx context.Context) (*api.Client, resolver.Secret, error) {
	s.mu.Lock()
	if s.client == nil {
		client, err := newClient(s.opt)
		if err != nil {
			s.mu.Unlock()
			return nil, resolver.Secret{}, err
		}
		s.client = client
	}
	now, client, g := s.opt.Now(), s.client, s.grant
	if !g.token.IsZero() && (g.loginAgain.IsZero() || now.Before(g.loginAgain)) {
		if due := s.life.due(); !due.IsZero() && !now.Before(due) {
			s.life = &life{known: make(chan struct{})}
			go s.renew(client, s.life, g.token)
		}
		s.mu.Unlock()
		return client, g.token, nil
	}
	f := s.joinLocked()
	s.mu.Unlock()
	token, err := f.wait(ctx)
	if err != nil && ctx.Err() == nil && !g.token.IsZero() && now.Before(g.ends) {
		return client, g.token, nil
	}
	return client, token, err
}

// accepted is told that Vault answered with the token. The first time, it asks
// how long the token lives, beside whatever is read next.
func (s *session) accepted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil && !s.grant.own && !s.grant.token.IsZero() {
		s.life = &life{known: make(chan struct{})}
		go s.learn(s.client, s.life, s.grant.token)
	}
}

// joinLocked returns the login under way, or begins one.
func (s *session) joinLocked() *flight {
	if s.flight != nil {
		return s.flight
	}
	if s.refused != nil && s.opt.Now().Before(s.till) {
		return s.refused
	}
	s.flight, s.refused = &flight{done: make(chan struct{})}, nil
	go s.fly(s.client, s.flight)
	return s.flight
}

// fly logs in. Nobody's context bounds it but the time limit: others may be waiting.
func (s *session) fly(c *api.Client, f *flight) {
	ctx, cancel := context.WithTimeout(s.over, s.opt.Timeout)
	defer cancel()
	g, err := s.logIn(ctx, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(f.done)
	s.flight = nil
	if err != nil {
		f.err = err
		if _, users := s.auth.(tokenAuth); !users && (errors.Is(err, resolver.AccessDenied) || errors.Is(err, resolver.InvalidReference)) {
			s.refused, s.till = f, s.opt.Now().Add(refusedFor)
		}
		return
	}
	if !g.token.Equal(s.grant.token) {
		s.life = nil
		now := s.opt.Now()
		s.before = slices.DeleteFunc(s.before, func(b grant) bool { return !b.ends.IsZero() && !now.Before(b.ends) })
		if s.grant.own && len(s.before) < maxTokens {
			s.before = append(s.before, s.grant)
		}
	}
	s.grant, f.token = g, g.token
}

// logIn is the login. A panic in it would end kz, with a text that may hold a credential.
func (s *session) logIn(ctx context.Context, c *api.Client) (_ grant, err error) {
	defer func() {
		if recover() != nil {
			err = broken()
		}
	}()
	return s.auth.login(ctx, c)
}

// again logs in anew after Vault refused a token, and reports whether that
// brought another one. Of several callers who were refused, the first logs in.
func (s *session) again(ctx context.Context, refused resolver.Secret) (bool, error) {
	s.mu.Lock()
	if !s.grant.token.Equal(refused) {
		s.mu.Unlock()
		return true, nil
	}
	client, own, unhelped := s.client, s.grant.own, s.opt.Now().Before(s.unhelpAt)
	s.mu.Unlock()
	if own && unhelped {
		if _, err := send(ctx, client, call{path: "auth/token/lookup-self", token: refused}); err == nil {
			return false, nil // the token is good: what is missing is a permission
		}
	}
	s.mu.Lock()
	if !s.grant.token.Equal(refused) {
		s.mu.Unlock()
		return true, nil
	}
	f := s.joinLocked()
	s.mu.Unlock()
	token, err := f.wait(ctx)
	return err == nil && !token.Equal(refused), err
}

// unhelped is told that Vault refused what was asked with a new token as well.
func (s *session) unhelped() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unhelpAt = s.opt.Now().Add(unhelpedFor)
}

// fresh reports whether Vault gave the token to this session, and it has not ended.
func (s *session) fresh() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grant.own && (s.grant.ends.IsZero() || s.opt.Now().Before(s.grant.ends))
}

// tokenEnds is when what is bound to the token has to be fetched again, because
// there will be another one or because the token needs a renewal; zero: never.
func (s *session) tokenEnds(ctx context.Context) time.Time {
	s.mu.Lock()
	own, login := s.grant.own, s.grant.loginAgain
	s.mu.Unlock()
	if own {
		return login
	}
	return s.renewAt(ctx)
}
