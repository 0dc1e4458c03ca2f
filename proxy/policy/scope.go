package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Scope is the part of a policy that concerns one destination: one tunnel has one.
type Scope struct {
	Authority Authority
	// Bound says whether any secret may go there, Ranges whether one of them lets Range requests pass.
	Bound, Ranges bool
	// Body lists where in a body a swap may stand for at least one bound secret.
	Body BodyPlaces
	// Frames says whether a swap may stand in a WebSocket message for at least one bound secret.
	Frames bool

	secrets map[string]scoped
	plain   bool
}

type scoped struct {
	*Secret
	bound bool
}

// BodyPlaces is the union of the body places of the secrets bound to one destination.
type BodyPlaces struct {
	Credential      bool // credential-named members and fields
	Any             bool // anywhere
	Names, Pointers []string
}

// IsZero reports whether no swap may stand in a body.
func (b BodyPlaces) IsZero() bool { return !b.Credential && !b.Any && !b.Selects() }

// Selects reports whether single members of a body are named.
func (b BodyPlaces) Selects() bool { return b.Credential || len(b.Names) > 0 || len(b.Pointers) > 0 }

// Scope is the scope of the TLS destination a.
func (p *Policy) Scope(a Authority) *Scope {
	s := &Scope{Authority: a, secrets: make(map[string]scoped, len(p.secrets))}
	for i := range p.secrets {
		sec := &p.secrets[i]
		bound := sec.Any && len(sec.Hosts) == 0 || matchAny(sec.Hosts, a)
		s.secrets[sec.Name] = scoped{sec, bound}
		if bound {
			s.Bound, s.Ranges = true, s.Ranges || sec.Ranges
			s.Body.add(sec.Places)
			s.Frames = s.Frames || slices.ContainsFunc(sec.Places, func(p Place) bool { return p.Kind == Frame })
		}
	}
	return s
}

// Binds reports whether a secret may go there, at one place or another.
func (s *Scope) Binds(secret string) bool { return !s.plain && s.secrets[secret].bound }

// PlainScope is the scope of a destination reached in cleartext: nothing may be swapped.
func (p *Policy) PlainScope(a Authority) *Scope {
	s := p.Scope(a)
	s.plain, s.Bound, s.Body, s.Frames = true, false, BodyPlaces{}, false
	return s
}

func (b *BodyPlaces) add(places []Place) {
	for _, pl := range places {
		switch pl.Kind {
		case Body:
			b.Credential = true
		case BodyAny:
			b.Any = true
		case BodyNamed:
			b.Names = append(b.Names, pl.Name)
		case BodyPointer:
			b.Pointers = append(b.Pointers, pl.Name)
		}
	}
}

// Site is where in a request a mask was found.
type Site struct {
	Kind SiteKind
	// Name is the canonical header name, the query parameter, or the member or field of a body.
	Name string
	// Pointer is the JSON pointer of a member; "" in forms.
	Pointer string
	// Whole says that the mask is the whole value (in a header also "<scheme> <mask>"; in Basic the whole user or password).
	Whole bool
	// Top and Credential say that a body's member stands at the top level, and that its name is one of the credential names.
	Top, Credential bool
}

// SiteKind is the kind of a Site.
type SiteKind int

// The kinds of sites.
const (
	InHeader SiteKind = iota + 1
	InBasic           // decoded user or password of Authorization: Basic
	InQuery           // value of a query parameter
	InPath            // a path segment
	InURL             // elsewhere in the URL
	InField           // a member of a JSON object, a form field or a multipart field
	InBody            // anywhere in a body
	InFrame           // a WebSocket text message
)

// Verdict is what happens to one mask.
type Verdict int

// The verdicts.
const (
	Withhold Verdict = iota // forwarded as it is, and recorded
	Swap
	Refuse
)

// Decision is the answer for one mask at one site.
type Decision struct {
	Verdict Verdict
	Place   Place  // when swapped: the declared place that allows it
	Code    Code   // when refused
	Reason  string // for the audit and, when refused, for the program
	Hint    string // when refused: what to write
}

// Judge decides about the mask of secret at site. The secret "" is a mask of another or an ended session.
func (s *Scope) Judge(secret string, at Site) Decision {
	sec := s.secrets[secret]
	if sec.Secret != nil && sec.bound && !s.plain {
		for _, pl := range sec.Places {
			if pl.covers(at) {
				return Decision{Verdict: Swap, Place: pl}
			}
		}
	}
	d := s.objection(sec, secret, at)
	if at.inert() {
		d.Verdict, d.Code, d.Hint = Withhold, "", ""
	}
	return d
}

// objection is the refusal of a mask which may not be swapped at a site.
func (s *Scope) objection(sec scoped, secret string, at Site) Decision {
	d := Decision{Verdict: Refuse}
	switch {
	case s.plain:
		d.Code, d.Reason = Cleartext, "a mask is never swapped over cleartext http"
		if sec.Secret != nil {
			d.Reason = secret + " never goes over cleartext http"
		}
		d.Hint = "use https:// for this request"
	case sec.Secret == nil:
		d.Code, d.Reason = MaskUnknown, "the mask is not of this session"
		d.Hint = "read it again from the environment: masks end with their session"
	case !sec.bound:
		d.Code = HostNotBound
		d.Reason = fmt.Sprintf("%s is not bound to this host", secret)
		d.Hint = fmt.Sprintf("if it may go there, write under [secrets.%s]: hosts = [%s]", secret, s.hostsWith(sec))
	default:
		d.Code = PlaceNotDeclared
		d.Reason = fmt.Sprintf("%s may not stand in %s", secret, at)
		d.Hint = "send it in a header, as in Authorization: Bearer"
		if entry := at.Entry(); entry != "" {
			d.Hint = fmt.Sprintf("if it may stand there, write under [secrets.%s]: swap = [%s]", secret, placesWith(sec.Places, entry))
		}
	}
	return d
}

// inert reports whether a mask at the site is forwarded rather than refused.
func (at Site) inert() bool {
	return at.Kind == InField || at.Kind == InBody || at.Kind == InFrame || at.Kind == InHeader && Reflected(at.Name)
}

func (p Place) covers(at Site) bool {
	switch p.Kind {
	case Header:
		return at.Kind == InHeader && at.Whole && !Reflected(at.Name)
	case HeaderNamed:
		return at.Kind == InHeader && at.Name == p.Name
	case Basic:
		return at.Kind == InBasic && at.Whole
	case Body:
		return at.Kind == InField && at.Top && at.Credential && at.Whole
	case BodyNamed:
		return at.Kind == InField && at.Top && at.Name == p.Name
	case BodyPointer:
		return at.Kind == InField && at.Pointer == p.Name
	case BodyAny:
		return at.Kind == InField || at.Kind == InBody
	case QueryNamed:
		return at.Kind == InQuery && at.Name == p.Name
	case Path:
		return at.Kind == InPath
	case Frame:
		return at.Kind == InFrame
	}
	return false
}

// Entry is the entry of `swap` that would declare the site; "" where there is none.
func (at Site) Entry() string {
	switch at.Kind {
	case InHeader:
		return "header:" + at.Name
	case InBasic:
		return "basic"
	case InQuery:
		return "query:" + at.Name
	case InPath:
		return "path"
	case InField:
		if at.Top {
			return "body:" + at.Name
		}
		return "body:" + at.Pointer
	case InBody:
		return "body:*"
	case InFrame:
		return "frame"
	}
	return ""
}

// String names the site in words.
func (at Site) String() string {
	switch at.Kind {
	case InHeader:
		return "the header " + at.Name
	case InBasic:
		return "the user or password of Basic authorization"
	case InQuery:
		return fmt.Sprintf("the query parameter %q", at.Name)
	case InPath:
		return "the path"
	case InURL:
		return "the URL"
	case InField:
		return fmt.Sprintf("the body's field %q", at.Name)
	case InFrame:
		return "a WebSocket message"
	}
	return "the body"
}

func (s *Scope) hostsWith(sec scoped) string {
	var hs []string
	for _, h := range sec.Hosts {
		hs = append(hs, h.String())
	}
	return quoted(append(hs, strings.TrimSuffix(s.Authority.String(), ":443")))
}

func placesWith(places []Place, entry string) string {
	var ps []string
	for _, p := range places {
		ps = append(ps, p.String())
	}
	if !slices.Contains(ps, entry) {
		ps = append(ps, entry)
	}
	return quoted(ps)
}

func quoted(ss []string) string {
	for i, s := range ss {
		ss[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(ss, ", ")
}
