package config

import (
	"slices"
	"strings"
)

// Service is what kz knows of one vendor, for a person.
type Service struct {
	Name      string
	Variables []string
	Hosts     []string // empty when each user has another
	Own       string   // what the host looks like when each user has another
	Places    []string // empty: the default ones
	Mask      string   // template with one {mask}; "" for the bare mask
	Keys      []string // what the vendor's keys begin with, as far as nobody else's do
}

func (s *service) told() Service {
	out := Service{Name: s.name, Variables: slices.Clone(s.variables), Own: s.own, Mask: s.mask, Keys: slices.Clone(s.keys)}
	for _, h := range s.hosts {
		out.Hosts = append(out.Hosts, h.String())
	}
	for _, p := range s.places {
		out.Places = append(out.Places, p.String())
	}
	return out
}

// Services lists the known services by their names, whatever the case.
func Services() []Service {
	byVariable, _ := readServices(servicesTOML) // that it is well formed, a test holds
	var out []Service
	for variable, s := range byVariable {
		if variable == s.variables[0] {
			out = append(out, s.told())
		}
	}
	slices.SortFunc(out, func(a, b Service) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return out
}

// ServiceOf is the known service whose programs read a variable, by its whole name.
func ServiceOf(variable string) (Service, bool) {
	if s := serviceOf(variable); s != nil {
		return s.told(), true
	}
	return Service{}, false
}

// ServiceOfKey is the known service whose keys begin as a value does: of several, the one with the longest beginning.
func ServiceOfKey(value string) (Service, bool) {
	byVariable, _ := readServices(servicesTOML)
	var best *service
	longest := 0
	for _, s := range byVariable {
		for _, k := range s.keys {
			if len(k) > longest && len(value) > len(k) && strings.HasPrefix(value, k) {
				best, longest = s, len(k)
			}
		}
	}
	if best == nil {
		return Service{}, false
	}
	return best.told(), true
}

// SuggestedHost is what a host for a variable could be, for a person to check: that of its service, the form of a user's
// own one, a guess by the beginning of the name, or an example.
func SuggestedHost(variable string) string {
	if s := serviceOf(variable); s != nil && s.own != "" {
		return s.own
	}
	return suggestedHost(variable)
}
