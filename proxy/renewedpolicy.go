package proxy

import "kz/proxy/policy"

// SetPolicy puts another policy in place of the present one, at once, for every connection and request that begins after it,
// also on connections that are open. Requests, tunnels and WebSockets under way end as they began. Masks and values stay.
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
