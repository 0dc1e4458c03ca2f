package vault

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/api"

	"kz/resolver"
)

// lifePatience is how long a value that has been read waits for Vault to say
// how long the token lives.
const lifePatience = time.Second

// tryRenewing is how long after a renewal that Vault could not be asked for the
// next one is tried.
const tryRenewing = 10 * time.Second

// life is how long a token of the user's lives, once Vault has said so.
type life struct {
	known   chan struct{} // closed when renewAt is what it will be
	renewAt time.Time     // zero: the token needs no renewal, or cannot be renewed
}

// renewAt is when a token of the user's should be renewed; it waits a little for
// Vault to have said how long it lives.
func (s *session) renewAt(ctx context.Context) time.Time {
	s.mu.Lock()
	l := s.life
	s.mu.Unlock()
	if l == nil {
		return time.Time{}
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
func (s *session) learn(c *api.Client, l *life, token resolver.Secret) {
	ctx, cancel := context.WithTimeout(s.over, s.opt.Timeout)
	defer cancel()
	defer close(l.known)
	var answer struct {
		Data struct {
			TTL       int64
			Renewable bool
		}
	}
	now := s.opt.Now()
	if sendInto(ctx, c, call{path: "auth/token/lookup-self", token: token}, &answer) == nil && answer.Data.Renewable {
		l.settle(now, seconds(answer.Data.TTL))
	}
}

// renew renews the token. One that cannot be renewed any more ends by itself.
func (s *session) renew(c *api.Client, l *life, token resolver.Secret) {
	ctx, cancel := context.WithTimeout(s.over, s.opt.Timeout)
	defer cancel()
	defer close(l.known)
	var answer loginAnswer
	now := s.opt.Now()
	err := sendInto(ctx, c, call{method: "PUT", path: "auth/token/renew-self", body: struct{}{}, token: token}, &answer)
	var refused *answerError
	switch {
	case err == nil && answer.Auth.Renewable:
		l.settle(now, seconds(answer.Auth.Duration))
	case err != nil && (!errors.As(err, &refused) || refused.status >= 500):
		l.renewAt = now.Add(tryRenewing)
	}
}

func (l *life) settle(now time.Time, ttl time.Duration) {
	if ttl > 0 {
		l.renewAt = now.Add(ttl * 4 / 5)
	}
}
