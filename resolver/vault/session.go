package vault

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"kz/resolver"
)

// auth is one way to come by a token. Each call is a login of its own.
type auth interface {
	login(ctx context.Context, c *api.Client) (grant, error)
}

// grant is a token, and when to log in again. A zero time means never: the
// session then renews the token itself, if Vault says that it can be renewed.
type grant struct {
	token      resolver.Secret
	loginAgain time.Time
}

// session holds the client and its token. The zero time of every life is "none".
type session struct {
	opt  *Options
	auth auth

	mu     sync.Mutex
	client *api.Client
	grant  grant
	life   *life // of the grant's token
}

// lifePatience is how long a value that has been read waits for Vault to say
// how long the token lives.
const lifePatience = time.Second

// life is how long a token lives, once Vault has said so.
type life struct {
	known   chan struct{} // closed when renewAt is what it will be
	renewAt time.Time     // zero: the token needs no renewal, or cannot be renewed
}

// open returns the client with a token that should be good, logging in or
// renewing the token when it is time.
func (s *session) open(ctx context.Context) (*api.Client, resolver.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		client, err := newClient(s.opt)
		if err != nil {
			return nil, resolver.Secret{}, err
		}
		s.client = client
	}
	now := s.opt.Now()
	if s.grant.token.IsZero() || !s.grant.loginAgain.IsZero() && !now.Before(s.grant.loginAgain) {
		if err := s.loginLocked(ctx); err != nil {
			return nil, resolver.Secret{}, err
		}
	}
	if due := s.life.due(); !due.IsZero() && !now.Before(due) {
		s.life = &life{known: make(chan struct{})}
		go s.renew(s.client, s.life)
	}
	return s.client, s.grant.token, nil
}

// accepted is told that Vault answered with the token. The first time, it asks
// how long the token lives, beside whatever is read next.
func (s *session) accepted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil && s.grant.loginAgain.IsZero() {
		s.life = &life{known: make(chan struct{})}
		go s.learn(s.client, s.life)
	}
}

func (s *session) loginLocked(ctx context.Context) error {
	g, err := s.auth.login(ctx, s.client)
	if err != nil {
		return err
	}
	if !g.token.Equal(s.grant.token) {
		s.life = nil
	}
	s.grant = g
	s.client.SetToken(g.token.Reveal())
	return nil
}

// again logs in anew after Vault refused a token, and reports whether that
// brought another one. Of several callers who were refused, the first logs in.
func (s *session) again(ctx context.Context, refused resolver.Secret) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.grant.token.Equal(refused) {
		return true
	}
	return s.loginLocked(ctx) == nil && !s.grant.token.Equal(refused)
}

// renewAt is when the token should be renewed; it waits a little for Vault to
// have said how long it lives.
func (s *session) renewAt(ctx context.Context) time.Time {
	s.mu.Lock()
	l, login := s.life, s.grant.loginAgain
	s.mu.Unlock()
	if l == nil || !login.IsZero() {
		return login
	}
	slow := time.NewTimer(lifePatience)
	defer slow.Stop()
	select {
	case <-l.known:
		return l.renewAt
	case <-ctx.Done():
	case <-slow.C:
	}
	return time.Time{}
}

// due is when to renew the token, as far as is known.
func (l *life) due() time.Time {
	if l == nil {
		return time.Time{}
	}
	select {
	case <-l.known:
		return l.renewAt
	default:
		return time.Time{}
	}
}

// learn asks how long the token lives. That Vault does not say is no failure.
func (s *session) learn(c *api.Client, l *life) {
	ctx, cancel := context.WithTimeout(context.Background(), s.opt.Timeout)
	defer cancel()
	defer close(l.known)
	answer, err := c.Auth().Token().LookupSelfWithContext(ctx)
	if err != nil || answer == nil {
		return
	}
	ttl, errTTL := answer.TokenTTL()
	renewable, errRenewable := answer.TokenIsRenewable()
	if errTTL == nil && errRenewable == nil && renewable {
		l.settle(s.opt.Now(), ttl)
	}
}

// renew renews the token. One that cannot be renewed any more ends by itself.
func (s *session) renew(c *api.Client, l *life) {
	ctx, cancel := context.WithTimeout(context.Background(), s.opt.Timeout)
	defer cancel()
	defer close(l.known)
	answer, err := c.Auth().Token().RenewSelfWithContext(ctx, 0)
	if err == nil && answer != nil && answer.Auth != nil && answer.Auth.Renewable {
		l.settle(s.opt.Now(), time.Duration(answer.Auth.LeaseDuration)*time.Second)
	}
}

func (l *life) settle(now time.Time, ttl time.Duration) {
	if ttl > 0 {
		l.renewAt = now.Add(ttl * 4 / 5)
	}
}
