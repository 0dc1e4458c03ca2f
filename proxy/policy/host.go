package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// HostPattern matches destinations: one host, or with a leading "*." every host one or more labels below it (never the
// apex), at one port or at any. The zero value matches nothing.
type HostPattern struct {
	host    string // canonical, without "*."
	below   bool   // "*." stood in front
	port    uint16
	anyPort bool
}

// ParseHostPattern reads the syntax of a secret's `hosts`: host, host:port, *.host, *.host:port. No port means 443.
func ParseHostPattern(s string) (HostPattern, error) { return parsePattern(s, false) }

// ParseEgressPattern reads the syntax of `allow` and `deny`, which is that of `hosts` and host:* for any port.
func ParseEgressPattern(s string) (HostPattern, error) { return parsePattern(s, true) }

func parsePattern(s string, anyPort bool) (HostPattern, error) {
	bad := func(why error) (HostPattern, error) { return HostPattern{}, fmt.Errorf("host pattern %q: %w", s, why) }
	if i := strings.Index(s, "://"); i >= 0 {
		return bad(errors.New("a host, not a URL, is needed: leave out the scheme and the path"))
	}
	if strings.ContainsAny(s, "/@") {
		return bad(errors.New("a host without user and path is needed"))
	}
	if s == "*" {
		return bad(errors.New("every host is too many: name them, or use *.example.com"))
	}
	p, rest := HostPattern{}, s
	if after, ok := strings.CutPrefix(rest, "*."); ok {
		p.below, rest = true, after
	}
	if before, ok := strings.CutSuffix(rest, ":*"); ok && anyPort {
		p.anyPort, rest = true, before
	}
	if strings.Contains(rest, "*") {
		return bad(errors.New("a star may stand only as the whole first label"))
	}
	if addr, err := netip.ParseAddr(rest); err == nil && addr.Is6() {
		return bad(errors.New("an IPv6 address needs brackets"))
	}
	a, err := ParseAuthority(rest, 443)
	if err != nil {
		return bad(err)
	}
	if p.anyPort {
		a.Port = 0
	}
	p.host, p.port = a.Host, a.Port
	if _, err := netip.ParseAddr(p.host); err == nil && p.below {
		return bad(errors.New("nothing is below an IP address"))
	}
	return p, nil
}

// Match reports whether a is one of the destinations of p. Hosts are compared label by label.
func (p HostPattern) Match(a Authority) bool {
	if p.host == "" || !p.anyPort && p.port != a.Port {
		return false
	}
	if !p.below {
		return p.host == a.Host
	}
	n := len(a.Host) - len(p.host)
	return n >= 2 && a.Host[n-1] == '.' && a.Host[n:] == p.host
}

// String is the pattern as a person writes it: the port is left out when it is 443.
func (p HostPattern) String() string {
	h := p.host
	if strings.Contains(h, ":") {
		h = "[" + h + "]"
	}
	if p.below {
		h = "*." + h
	}
	switch {
	case p.anyPort:
		return h + ":*"
	case p.port == 443:
		return h
	}
	return h + ":" + strconv.Itoa(int(p.port))
}

// Host is the canonical host of the pattern, or the one that its destinations are below.
func (p HostPattern) Host() string { return p.host }

// Below reports whether the pattern began with "*.".
func (p HostPattern) Below() bool { return p.below }

// Pin says where a destination is really dialled; its name stays what TLS, binding and audit see.
type Pin struct {
	Match HostPattern
	Addr  netip.AddrPort
}

// ParsePin reads one entry of `resolve`: "host:port" = "ip:port".
func ParsePin(key, value string) (Pin, error) {
	p, err := ParseHostPattern(key)
	if err != nil {
		return Pin{}, err
	}
	addr, err := netip.ParseAddrPort(value)
	if err != nil || addr.Port() == 0 || addr.Addr().Zone() != "" {
		return Pin{}, fmt.Errorf("address %q: an IP address and a port are needed, as in 127.0.0.1:8443", value)
	}
	return Pin{Match: p, Addr: addr}, nil
}
