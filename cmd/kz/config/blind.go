package config

import "strings"

// Blind says what keeps the configuration from a blind run: each masked secret without hosts is a Problem whose hint is
// what to write. With anyHost (--any-host) such secrets may go anywhere and nothing is wrong.
func (c *Config) Blind(anyHost bool) error {
	if anyHost {
		return nil
	}
	var ps problems
	for _, s := range c.Secrets {
		if !s.Masked() || len(s.Hosts) > 0 {
			continue
		}
		host := suggestedHost(s.Name)
		write := "write hosts" + assign(s.Pos) + `["` + host + `"] in the entry ` + printable(s.Label)
		switch {
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
