package proxy

import (
	"strings"

	"kz/masking/fields"
	"kz/proxy/policy"
)

// destination is where one tunnel leads, and what is made of it once for all its requests. It never changes.
type destination struct {
	*policy.Scope
	name     string           // host:port
	urlHost  string           // as URLs have it: without the scheme's own port
	scheme   string           // "https", or "http" for cleartext
	selector *fields.Selector // the fields of a body in which a swap may stand; nil: none
}

func newDestination(s *policy.Scope, scheme string) *destination {
	d := &destination{Scope: s, name: s.Authority.String(), scheme: scheme}
	own := ":443"
	if scheme == "http" {
		own = ":80"
	}
	d.urlHost = strings.TrimSuffix(d.name, own)
	if s.Body.Selects() {
		// The places were checked when the policy was made: what cannot be compiled selects nothing.
		d.selector, _ = fields.NewSelector(fields.Selection{Names: s.Body.Names, Pointers: s.Body.Pointers, Credential: s.Body.Credential})
	}
	return d
}
