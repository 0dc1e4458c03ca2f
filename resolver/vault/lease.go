package vault

import (
	"context"
	"strconv"
	"sync"
	"time"

	"kz/resolver"
)

const (
	// sameRead is how long after a read a call that wants another value still gets this one: an upstream refuses the user
	// and the password together, and both are to come from the new lease.
	sameRead = 10 * time.Second
	// maxLeases bounds the leases of values that others have replaced. The oldest is revoked beyond that.
	maxLeases = 256
)

// lease is a value that Vault takes back after a while.
type lease struct {
	id        string
	value     resolver.Secret
	token     resolver.Secret // it ends with this one
	length    time.Duration   // as it was granted first
	renewable bool
	read      time.Time
	due       time.Time // when four fifths of it are over
	ends      time.Time
}

// leases are those of a session.
type leases struct {
	mu      sync.Mutex
	current map[string]*lease // by what was read
	old     []*lease          // whose values others have replaced; requests may still be under way with them
	busy    sync.WaitGroup    // calls of the Store under way
	closed  bool
}

// enter is called before anything that may bring a lease.
func (l *leases) enter() (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, &resolver.Error{Kind: resolver.Unavailable, Message: "the session has ended", Advice: "start another"}
	}
	l.busy.Add(1)
	return l.busy.Done, nil
}

// find returns a copy of the lease that is kept for what key names.
func (l *leases) find(key string) (lease, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if kept := l.current[key]; kept != nil {
		return *kept, true
	}
	return lease{}, false
}

// put keeps a lease for what key names. It returns one that is one too many.
func (l *leases) put(key string, fresh lease, now time.Time) (surplus *lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == nil {
		l.current = map[string]*lease{}
	}
	if before := l.current[key]; before != nil && before.id != fresh.id {
		l.old = append(l.old, before)
	}
	l.current[key] = &fresh
	lasting := l.old[:0]
	for _, o := range l.old {
		if now.Before(o.ends) {
			lasting = append(lasting, o)
		}
	}
	clear(l.old[len(lasting):])
	if l.old = lasting; len(l.old) > maxLeases {
		surplus, l.old = l.old[0], l.old[1:]
	}
	return surplus
}

// fetchShared reads what may be leased. However many ask at the same time, there
// is one call: each would be given a lease, and another value, of its own.
func (s *Store) fetchShared(ctx context.Context, p place) (resolver.Result, error) {
	key := p.path + "\n" + strconv.Itoa(p.version)
	flight := key
	if resolver.IsAnew(ctx) {
		flight += "\nanew" // one that is content with the kept value is no answer to this
	}
	ch := s.shared.DoChan(flight, func() (any, error) {
		leave, err := s.leases.enter()
		if err != nil {
			return resolver.Result{}, err
		}
		defer leave()
		ctx, cancel := s.bound(context.WithoutCancel(ctx))
		defer cancel()
		return s.fetchLeased(ctx, p, key)
	})
	select {
	case r := <-ch:
		return r.Val.(resolver.Result), r.Err //nolint:errcheck // it always is one
	case <-ctx.Done():
		return resolver.Result{}, resolver.Transport(ctx.Err())
	}
}

// fetchLeased goes on with the lease there is, renewing it when it is due, or
// reads the value anew.
func (s *Store) fetchLeased(ctx context.Context, p place, key string) (resolver.Result, error) {
	_, token, err := s.session.open(ctx)
	if err != nil {
		return resolver.Result{}, err
	}
	now := s.opt.Now()
	if l, ok := s.leases.find(key); ok && l.token.Equal(token) && now.Before(l.ends) {
		switch {
		case resolver.IsAnew(ctx):
			if now.Sub(l.read) < sameRead {
				return s.result(ctx, l), nil
			}
		case now.Before(l.due):
			return s.result(ctx, l), nil
		case l.renewable:
			l, renewed, err := s.renewLease(ctx, l)
			if err != nil {
				return resolver.Result{}, err
			}
			if renewed {
				s.leases.put(key, l, now)
				return s.result(ctx, l), nil
			}
		}
	}
	o, err := s.readObject(ctx, p)
	if err != nil {
		return resolver.Result{}, err
	}
	l := lease{id: o.leaseID, value: resolver.NewSecret(string(o.data)), token: o.token, length: o.lease, renewable: o.renewable,
		read: now, due: now.Add(o.lease * 4 / 5), ends: now.Add(o.lease)}
	if l.id == "" || l.length <= 0 {
		return resolver.Result{Secret: l.value, RefreshAt: s.session.renewAt(ctx)}, nil
	}
	if surplus := s.leases.put(key, l, now); surplus != nil {
		_ = s.revoke(ctx, surplus) // it ends by itself
	}
	return s.result(ctx, l), nil
}

// result is a leased value. It is due when four fifths of its lease are over, or
// when the token it is bound to needs a renewal or gives way to another.
func (s *Store) result(ctx context.Context, l lease) resolver.Result {
	r := resolver.Result{Secret: l.value, RefreshAt: l.due}
	if token := s.session.tokenEnds(ctx); !token.IsZero() && token.Before(r.RefreshAt) {
		r.RefreshAt = token
	}
	return r
}

// renewLease asks for the lease's whole time again. renewed is unset when Vault
// refuses that, or grants so little that the end is near: the longest time that
// Vault allows is used up then. An error is of a Vault that cannot be asked now.
func (s *Store) renewLease(ctx context.Context, l lease) (_ lease, renewed bool, err error) {
	client, _, err := s.session.open(ctx)
	if err != nil {
		return l, false, err
	}
	var answer struct {
		Duration  int64 `json:"lease_duration"`
		Renewable bool
	}
	now := s.opt.Now()
	body := map[string]any{"lease_id": l.id, "increment": int64(l.length / time.Second)}
	if err := sendInto(ctx, client, call{method: "PUT", path: "sys/leases/renew", body: body, token: l.token}, &answer); err != nil {
		e, refused := explain(ctx, &s.opt, err)
		if refused != nil {
			return l, false, nil
		}
		return l, false, e
	}
	granted := seconds(answer.Duration)
	if granted <= 0 || granted < l.length/2 {
		return l, false, nil
	}
	l.due, l.ends, l.renewable = now.Add(granted*4/5), now.Add(granted), answer.Renewable
	return l, true, nil
}

// longest is more than any lease or token needs. Four times that is still a time.Duration.
const longest = 50 * 365 * 24 * time.Hour

// seconds is a time as Vault tells it. Tokens of a hundred years are made by people who want them never to end; that times
// four would be a time long past.
func seconds(n int64) time.Duration {
	return time.Duration(min(max(n, 0), int64(longest/time.Second))) * time.Second
}
