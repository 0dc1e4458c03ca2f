package policy

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
