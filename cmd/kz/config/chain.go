package config

import (
	"maps"
	"slices"
	"strings"
)

// chain resolves the secrets that settings name, and refuses circles: a backend that needs, over any number of steps, a
// secret of its own. A secret that only feeds a backend stays out of the child unless the file says what it gets.
func (r *reader) chain(backends map[string]Backend, secrets []Secret, said map[string]*node) {
	byName, byLabel := make(map[string]*Secret), make(map[string]*Secret)
	for i := range secrets {
		s := &secrets[i]
		byName[s.Name] = s
		if byLabel[s.Label] == nil {
			byLabel[s.Label] = s
		}
	}
	names := slices.Sorted(maps.Keys(backends))
	for _, name := range names {
		settings := backends[name].Settings
		for _, key := range slices.Sorted(maps.Keys(settings)) {
			set := settings[key]
			if set.Secret == "" {
				continue
			}
			s := byName[set.Secret]
			if s == nil {
				s = byLabel[set.Secret]
			}
			if s == nil {
				r.hint(set.Pos, "write under [secrets.NAME] in which backend it is kept; NAME is what the setting says", "%s names a secret that is not configured", shown(key))
				continue
			}
			set.Secret = s.Name
			settings[key] = set
			if t := said[s.Name]; !t.has("expose") && !t.has("hosts") {
				s.Expose = ExposeOmit
			}
		}
	}
	c := circles{r, backends, byName, make(map[string]bool)}
	for _, name := range names {
		c.follow(name, nil)
	}
}

type circles struct {
	*reader
	backends map[string]Backend
	secrets  map[string]*Secret
	done     map[string]bool
}

// need is one step: a backend and the secret that one of its settings names.
type need struct{ backend, secret string }

// follow walks what a backend needs. trail is how it was reached.
func (c circles) follow(name string, trail []need) {
	if i := slices.IndexFunc(trail, func(n need) bool { return n.backend == name }); i >= 0 {
		var steps strings.Builder
		for _, n := range trail[i:] {
			if steps.Len() > 0 {
				steps.WriteString(n.backend + "; ")
			}
			steps.WriteString(n.backend + " needs " + n.secret + ", which is kept in ")
		}
		c.hint(c.backends[name].Pos, "keep one of these secrets in a backend that needs none",
			"backends need one another in a circle: %s", steps.String()+name)
		return
	}
	if c.done[name] {
		return
	}
	settings := c.backends[name].Settings
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if s := c.secrets[settings[key].Secret]; s != nil {
			c.follow(s.Backend, append(slices.Clone(trail), need{name, s.Name}))
		}
	}
	c.done[name] = true
}
