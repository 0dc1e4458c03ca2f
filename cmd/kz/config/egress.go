package config

import (
	"net/netip"
	"net/url"

	"kz/proxy/policy"
)

var egressKeys = []string{"mode", "intercept", "allow", "deny", "allow_private", "resolve", "upstream_ca", "upstream_proxy"}

func (r *reader) egress(t *node) Egress {
	if t == nil {
		return Egress{}
	}
	r.known(t, "egress", egressKeys, nil)
	return Egress{
		Mode:          r.oneOf(t, "mode", "permissive", "strict"),
		Intercept:     r.oneOf(t, "intercept", "bound", "all"),
		Allow:         r.hosts(t, "allow", policy.ParseEgressPattern),
		Deny:          r.hosts(t, "deny", policy.ParseEgressPattern),
		AllowPrivate:  r.prefixes(t, "allow_private"),
		Resolve:       r.pins(t, "resolve"),
		UpstreamCA:    r.path(t, "upstream_ca"),
		UpstreamProxy: r.proxy(t, "upstream_proxy"),
	}
}

func (r *reader) prefixes(t *node, key string) []netip.Prefix {
	var out []netip.Prefix
	for _, v := range r.texts(t, key) {
		p, err := netip.ParsePrefix(v.text)
		if err != nil {
			hint := `as in "10.1.0.0/16"`
			if a, err := netip.ParseAddr(v.text); err == nil {
				hint = `write "` + netip.PrefixFrom(a.WithZone(""), a.BitLen()).String() + `"`
			}
			r.hint(v.pos, hint, "%s holds what is not a CIDR", shown(key))
			continue
		}
		if p.Addr().Is4In6() {
			r.add(v.pos, "%s holds an IPv4 network written as IPv6", shown(key))
			continue
		}
		if p != p.Masked() {
			r.hint(v.pos, `write "`+p.Masked().String()+`", or a longer prefix`, "%s holds an address inside a network, not the network", shown(key))
			continue
		}
		out = append(out, p)
	}
	return out
}

func (r *reader) pins(t *node, key string) []policy.Pin {
	table := r.kind(t, key, tableKind)
	if table == nil {
		return nil
	}
	var out []policy.Pin
	for _, f := range table.fields {
		if p, err := policy.ParseHostPattern(f.key); err != nil {
			r.add(f.pos, "%s holds what is not a host and port: %s", shown(key), reason(err, f.key))
		} else if pinned(out, p) {
			r.add(f.pos, "%s names the same host and port twice", shown(key))
		} else if v := r.text(table, f.key); v != nil {
			pin, err := policy.ParsePin(f.key, v.text)
			if err != nil {
				r.hint(v.pos, `as in "127.0.0.1:8443"`, "%s takes an IP address and a port", shown(f.key))
				continue
			}
			out = append(out, pin)
		}
	}
	return out
}

func pinned(pins []policy.Pin, p policy.HostPattern) bool {
	for _, other := range pins {
		if other.Match == p {
			return true
		}
	}
	return false
}

// proxy is the URL of a proxy: scheme, host and port, nothing more.
func (r *reader) proxy(t *node, key string) string {
	s := r.url(t, key)
	if s == "" {
		return ""
	}
	if u, err := url.Parse(s); err != nil || u.Path != "" && u.Path != "/" {
		r.add(t.get(key).pos, "%s has a path, which a proxy has not", shown(key))
		return ""
	}
	return s
}
