package ca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// constraints are the name constraints of RFC 5280, section 4.2.1.10, as this package writes them.
//
// "example.com" covers that name and all below it. "*.example.com" is written with a leading dot, which covers the
// names below and not the apex: RFC 5280 leaves that form undefined for DNS names, but Go, OpenSSL, GnuTLS and NSS
// all read it so. An absent kind of name is unconstrained, and GnuTLS reads IPv4 and IPv6 as two kinds, so each kind
// that nothing is permitted of is excluded as a whole.
type constraints struct {
	dns []string
	ips []*net.IPNet
}

func parseConstraints(hosts []string) (constraints, error) {
	var c constraints
	var problems []error
	for _, h := range hosts {
		name, wildcard := strings.CutPrefix(h, "*.")
		addr, err := checkHost(name)
		switch {
		case err != nil, wildcard && addr.IsValid():
			problems = append(problems, fmt.Errorf("permitting %q: %w", h, ErrHost))
		case addr.IsValid():
			c.ips = append(c.ips, network(netip.PrefixFrom(addr, addr.BitLen())))
		case wildcard:
			c.dns = append(c.dns, "."+name)
		default:
			c.dns = append(c.dns, name)
		}
	}
	return c, errors.Join(problems...)
}

// constrain writes the constraints, and the server-only purpose, into an authority's template. Without any permitted
// host it does nothing.
func (c constraints) constrain(t *x509.Certificate) {
	if len(c.dns) == 0 && len(c.ips) == 0 {
		return
	}
	t.PermittedDNSDomainsCritical = true // of the whole extension, addresses included
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.PermittedDNSDomains = c.dns
	t.PermittedIPRanges = c.ips
	if len(c.dns) == 0 {
		t.ExcludedDNSDomains = []string{""}
	}
	for _, all := range []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)} {
		if !c.permitsFamily(all.Addr().BitLen()) {
			t.ExcludedIPRanges = append(t.ExcludedIPRanges, network(all))
		}
	}
}

func (c constraints) permitsFamily(bits int) bool {
	for _, n := range c.ips {
		if _, b := n.Mask.Size(); b == bits {
			return true
		}
	}
	return false
}

func network(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Constrained reports whether cert carries name constraints that clients must obey or refuse it.
func Constrained(cert *x509.Certificate) bool {
	return cert.PermittedDNSDomainsCritical && len(cert.PermittedDNSDomains)+len(cert.PermittedIPRanges) > 0
}

// Permits reports whether cert's name constraints allow every name that host stands for: a canonical name or address,
// or a "*.example.com" pattern. An unconstrained certificate permits every canonical host.
func Permits(cert *x509.Certificate, host string) bool {
	name, wildcard := strings.CutPrefix(host, "*.")
	addr, err := checkHost(name)
	if err != nil || wildcard && addr.IsValid() {
		return false
	}
	if !Constrained(cert) {
		return true
	}
	if addr.IsValid() {
		for _, n := range cert.PermittedIPRanges {
			if n.Contains(addr.AsSlice()) {
				return true
			}
		}
		return false
	}
	if wildcard {
		name = "." + name
	}
	for _, d := range cert.PermittedDNSDomains {
		if name == d || strings.HasSuffix(name, "."+strings.TrimPrefix(d, ".")) {
			return true
		}
	}
	return false
}

// PermittedHosts lists what cert's name constraints allow, in the form of [Options].PermittedHosts; nil for an
// unconstrained certificate.
func PermittedHosts(cert *x509.Certificate) []string {
	if !Constrained(cert) {
		return nil
	}
	var hosts []string
	for _, d := range cert.PermittedDNSDomains {
		if strings.HasPrefix(d, ".") {
			d = "*" + d
		}
		hosts = append(hosts, d)
	}
	for _, n := range cert.PermittedIPRanges {
		if ones, bits := n.Mask.Size(); ones == bits {
			hosts = append(hosts, n.IP.String())
			continue
		}
		hosts = append(hosts, n.String())
	}
	return hosts
}
