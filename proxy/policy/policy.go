package policy

import (
	"fmt"
	"strings"
)

// Code is why a request is refused, as the contract spells it in Kz-Error.
type Code string

// The codes that policy gives.
const (
	EgressDenied     Code = "egress_denied"
	HostNotBound     Code = "host_not_bound"
	PlaceNotDeclared Code = "place_not_declared"
	Cleartext        Code = "cleartext"
	MaskUnknown      Code = "mask_unknown"
	RequestInvalid   Code = "request_invalid"
)

// Secret is what policy knows of one secret.
type Secret struct {
	Name   string
	Hosts  []HostPattern
	Any    bool // bound to every host (a run with --any-host and no Hosts)
	Places []Place
	Ranges bool // Range requests may pass to its hosts
}

// Egress says which destinations may be reached at all.
type Egress struct {
	Strict       bool // refuse what is neither bound nor allowed
	InterceptAll bool // decrypt hosts without a binding too
	Allow, Deny  []HostPattern
}

// Policy holds the bindings and the egress rules of one session.
type Policy struct {
	secrets []Secret
	egress  Egress
	any     bool
}

// New makes the policy of a session. The secrets' own order is kept.
func New(secrets []Secret, egress Egress) *Policy {
	p := &Policy{secrets: secrets, egress: egress}
	for _, s := range secrets {
		p.any = p.any || s.Any
	}
	return p
}

// Action is what happens to a connection.
type Action int

// The actions.
const (
	Deny Action = iota
	Tunnel
	Intercept
)

// Route is the answer for one destination.
type Route struct {
	Action Action
	Code   Code   // set when denied
	Reason string // why, in words for the audit
	Hint   string // set when denied: what to write to allow it
}

// Connect decides about a CONNECT to a.
func (p *Policy) Connect(a Authority) Route {
	if r, denied := p.denied(a); denied {
		return r
	}
	if p.bound(a) {
		return Route{Action: Intercept, Reason: "a secret is bound to this host"}
	}
	if p.egress.Strict && !matchAny(p.egress.Allow, a) {
		return strictDenial(a)
	}
	if p.any || p.egress.InterceptAll {
		return Route{Action: Intercept, Reason: "every host is intercepted"}
	}
	if p.egress.Strict {
		return Route{Action: Tunnel, Reason: "the host is in allow"}
	}
	if (a.Port == 22 || a.Port == 25) && !matchAny(p.egress.Allow, a) {
		return Route{Code: EgressDenied, Reason: "no tunnels go to ports 22 and 25",
			Hint: fmt.Sprintf("to allow it, add %q to allow in [egress]", a.String())}
	}
	return Route{Action: Tunnel, Reason: "no secret is bound to this host"}
}

// Plain decides about a cleartext request to a: forwarded (Tunnel) or denied. A binding never covers cleartext.
func (p *Policy) Plain(a Authority) Route {
	if r, denied := p.denied(a); denied {
		return r
	}
	if p.egress.Strict && !matchAny(p.egress.Allow, a) {
		return strictDenial(a)
	}
	return Route{Action: Tunnel, Reason: "cleartext, never swapped"}
}

func (p *Policy) denied(a Authority) (Route, bool) {
	for _, d := range p.egress.Deny {
		if d.Match(a) {
			return Route{Code: EgressDenied, Reason: fmt.Sprintf("%s is in deny", d),
				Hint: fmt.Sprintf("to allow it, take %q out of deny in [egress]", d)}, true
		}
	}
	return Route{}, false
}

func strictDenial(a Authority) Route {
	entry := strings.TrimSuffix(a.String(), ":443")
	return Route{Code: EgressDenied, Reason: "the egress mode is strict and this host is neither bound nor allowed",
		Hint: fmt.Sprintf("to allow it, add %q to allow in [egress]", entry)}
}

func (p *Policy) bound(a Authority) bool {
	for i := range p.secrets {
		if matchAny(p.secrets[i].Hosts, a) {
			return true
		}
	}
	return false
}

func matchAny(ps []HostPattern, a Authority) bool {
	for i := range ps {
		if ps[i].Match(a) {
			return true
		}
	}
	return false
}
