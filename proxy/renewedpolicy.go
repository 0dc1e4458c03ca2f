package proxy

import (
	"context"

	"kz/proxy/policy"
)

// SetPolicy puts another policy in place of the present one, at once, for every connection and request that begins after it,
// also on connections that are open. Requests, tunnels and WebSockets under way end as they began, but for this: no more values
// go into them that may not go to their host any more. Masks and values stay.
func (p *Proxy) SetPolicy(pol *policy.Policy) { p.policy.Store(pol) }

// renewal is what a later policy than the one a connection began under makes of it.
type renewal struct {
	policy *policy.Policy
	route  policy.Route
	scope  *destination
}

// scopeOf is where the next request of a connection leads: one policy decides about the whole of it.
func (p *Proxy) scopeOf(ic *interceptConn) (*destination, *refusal) {
	pol := p.policy.Load()
	if pol == ic.policy {
		return ic.scope, nil
	}
	n := ic.renewal.Load()
	if n == nil || n.policy != pol {
		a := ic.scope.Authority
		n = &renewal{policy: pol, route: pol.Route(policy.ByConnect, a), scope: newDestination(pol.Scope(a), "https")}
		ic.renewal.Store(n)
	}
	if n.route.Action == policy.Deny {
		ref := denial(n.route, ic.scope.Authority)
		ref.close = true
		return nil, ref
	}
	return n.scope, nil
}

// stillBound refuses a value, for what was begun under an earlier policy, once its secret is not bound to a any more: the host
// may have turned out to be one that must not get the next value either.
func (p *Proxy) stillBound(ctx context.Context, secret string, a policy.Authority) *refusal {
	ic, ok := ctx.Value(tunnelKey{}).(*interceptConn)
	if !ok || p.policy.Load() == ic.policy {
		return nil
	}
	now, ref := p.scopeOf(ic)
	if ref == nil && !now.Binds(secret) {
		ref = &refusal{Code: policy.HostNotBound, Secret: secret, Host: a.String(), Message: "request to " + a.String() + ": " + secret + " is not bound to that host any more",
			Hint: "the configuration has changed since the request began"}
	}
	return ref
}
