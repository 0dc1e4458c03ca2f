package config

import "strings"

// Blind says what keeps the configuration from a blind run: each masked secret without hosts is a Problem whose hint is
// what to write; with anyHost (--any-host) such secrets may go anywhere and nothing is wrong. So is one with which the
// program would have to sign.
func (c *Config) Blind(anyHost bool) error {
	var ps problems
	for _, s := range c.Secrets {
		if s.Masked() && s.Signs {
			if s.Ref.Field == exportedAWS[0].field {
				ps.hint(s.Pos, "write expose"+assign(s.Pos)+`"omit" to leave them out, or "plain" to give the program the real ones, in the entry `+printable(s.Label),
					"%s and its like sign requests, which a mask cannot", s.Name)
			}
			continue
		}
		if anyHost || !s.Masked() || len(s.Hosts) > 0 {
			continue
		}
		host, near := suggestedHost(s.Name), ""
		known := serviceOf(s.Name)
		if known == nil {
			near = nearService(s.Name)
		} else if known.own != "" {
			host = known.own
		}
		write := "write hosts" + assign(s.Pos) + `["` + host + `"] in the entry ` + printable(s.Label)
		switch {
		case known != nil && known.own != "":
			write += ", with your own: each user of " + known.name + " has another"
		case near != "":
			write += "; the hosts of " + near + " are known to kz, if that is what is meant"
		case strings.HasSuffix(s.Name, "_URL") || strings.HasSuffix(s.Name, "_DSN") || strings.HasSuffix(s.Name, "_CERT"):
			// What is read by the program itself is of no use masked.
			write += `, or expose` + assign(s.Pos) + `"omit" to leave it out`
		case host == exampleHost:
			write += ", with the host that it is for"
		}
		ps.hint(s.Pos, write, "the secret %s has no hosts, so a blind program could not use it", s.Name)
	}
	return ps.err(c.shown())
}

func (c *Config) shown() []string {
	var names []string
	for _, f := range c.files {
		names = append(names, f.shown)
	}
	return names
}
