package policy

import (
	"fmt"
	"strings"
)

// Form is how a client asks for a destination.
type Form int

// The forms.
const (
	ByConnect Form = iota // CONNECT, and every request of HTTP/1.1 or h2 inside its tunnel
	ByURL                 // a request to http://host in absolute form
)

// Action is what happens to a connection.
type Action int

// The actions.
const (
	Deny Action = iota
	Tunnel
	Intercept
)

// Opening is what the client's first bytes in a tunnel that is not intercepted must be. Otherwise a tunnel to an allowed
// host would reach every other host of the same servers (domain fronting).
type Opening int

// The openings.
const (
	AnyOpening   Opening = iota // not looked at
	NamedIfTLS                  // a ClientHello must name the tunnel's host; what is not TLS passes
	NamedWithTLS                // a ClientHello that names the tunnel's host, and nothing else
)

// Route is the answer for one destination.
type Route struct {
	Action  Action
	Opening Opening // of a Tunnel
	Code    Code    // set when denied
	Reason  string  // why, in words for the audit
	Hint    string  // set when denied: what to write to allow it
}

// Route decides whether a may be reached, and how. It is the one decision for every form: CONNECT, what comes inside its
// tunnel, and absolute form. They differ in two points alone: a binding never covers cleartext, and cleartext is never
// intercepted.
func (p *Policy) Route(f Form, a Authority) Route {
	for _, d := range p.egress.Deny {
		if d.Match(a) {
			return Route{Code: EgressDenied, Reason: fmt.Sprintf("%s is in deny", d),
				Hint: fmt.Sprintf("to allow it, take %q out of deny in [egress]", d)}
		}
	}
	if f == ByConnect && p.bound(a) {
		return Route{Action: Intercept, Reason: "a secret is bound to this host"}
	}
	allowed, anyPort := p.allowed(a)
	switch {
	case p.egress.Strict && !allowed:
		return strictDenial(a)
	case p.egress.Strict && f == ByURL && a.Port == 443 && !anyPort:
		return Route{Code: EgressDenied, Reason: "the entry of allow for this host and port 443 is one for TLS",
			Hint: fmt.Sprintf("use https://, or add %q to allow in [egress]", Authority{a.Host, 80})}
	case !p.egress.Strict && !allowed && otherProtocol(a.Port):
		return Route{Code: EgressDenied, Reason: "nothing goes to ports 22 and 25",
			Hint: fmt.Sprintf("to allow it, add %q to allow in [egress]", a.String())}
	case f == ByURL:
		return Route{Action: Tunnel, Reason: "cleartext, never swapped"}
	case p.any || p.egress.InterceptAll:
		return Route{Action: Intercept, Reason: "every host is intercepted"}
	case !p.egress.Strict:
		return Route{Action: Tunnel, Reason: "no secret is bound to this host"}
	case anyPort || a.Port == 80 || otherProtocol(a.Port):
		return Route{Action: Tunnel, Opening: NamedIfTLS, Reason: "the host is in allow"}
	}
	return Route{Action: Tunnel, Opening: NamedWithTLS, Reason: "the host is in allow"}
}

// allowed reports whether an entry of allow covers a, and whether one for any port does.
func (p *Policy) allowed(a Authority) (allowed, anyPort bool) {
	for i := range p.egress.Allow {
		if e := &p.egress.Allow[i]; e.Match(a) {
			allowed, anyPort = true, anyPort || e.anyPort
		}
	}
	return allowed, anyPort
}

// otherProtocol holds the ports of SSH and SMTP, which are neither HTTP nor begin with TLS.
func otherProtocol(port uint16) bool { return port == 22 || port == 25 }

func strictDenial(a Authority) Route {
	entry := strings.TrimSuffix(a.String(), ":443")
	return Route{Code: EgressDenied, Reason: "the egress mode is strict and this host is neither bound nor allowed",
		Hint: fmt.Sprintf("to allow it, add %q to allow in [egress]", entry)}
}
