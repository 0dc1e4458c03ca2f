package ca

import (
	"fmt"
	"net/netip"
	"strings"
)

// checkHost says whether host is canonical: either an address in its one textual form (no brackets, no zone, no
// IPv4 inside IPv6, since that would match the IPv4 address too), or a DNS name in lower-case ASCII without the
// trailing dot. Names that a URL parser or a resolver could read as an address ("127.1", "0x7f.1") are refused.
// addr is valid for an address only.
func checkHost(host string) (addr netip.Addr, err error) {
	if len(host) > 253 { // RFC 1035, section 2.3.4, in its textual form
		return addr, fmt.Errorf("host of %d bytes: %w", len(host), ErrHost)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" || addr.Is4In6() || addr.String() != host {
			return netip.Addr{}, fmt.Errorf("host %q: %w", host, ErrHost)
		}
		return addr, nil
	}
	if !isDNSName(host) {
		return addr, fmt.Errorf("host %q: %w", host, ErrHost)
	}
	return addr, nil
}

func isDNSName(name string) bool {
	labels := 0
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return false
		}
		labels++
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	return labels > 0 && !looksNumeric(last)
}

func isLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' {
		return false
	}
	for _, c := range []byte(label) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// looksNumeric tells the last label of an IPv4 address in any of the forms that the WHATWG URL standard reads
// ("ends in a number checker"): decimal, octal and hex.
func looksNumeric(label string) bool {
	digits := "0123456789"
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = rest, digits+"abcdef"
	}
	return strings.Trim(label, digits) == ""
}
