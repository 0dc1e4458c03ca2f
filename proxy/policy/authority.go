package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Authority is the canonical host and port of one destination. Two spellings of the same destination are equal as
// values: the host is lower-case ASCII without a trailing dot, or a canonical IP literal without brackets.
type Authority struct {
	Host string
	Port uint16
}

// String is host:port, with brackets around an IPv6 literal.
func (a Authority) String() string {
	if strings.Contains(a.Host, ":") {
		return "[" + a.Host + "]:" + strconv.Itoa(int(a.Port))
	}
	return a.Host + ":" + strconv.Itoa(int(a.Port))
}

// IsZero reports whether a names nothing.
func (a Authority) IsZero() bool { return a.Host == "" }

// ParseAuthority makes host[:port] canonical. A missing port becomes defaultPort; with a defaultPort of 0 the port must
// be there. User information, percent signs, control bytes and non-canonical IP literals (127.1, 0x7f.1, ::ffff:7f00:1)
// are errors.
func ParseAuthority(s string, defaultPort uint16) (Authority, error) {
	host, port, hasPort, err := splitPort(s)
	if err != nil {
		return Authority{}, err
	}
	a := Authority{Port: defaultPort}
	if hasPort {
		if a.Port, err = parsePort(port); err != nil {
			return Authority{}, err
		}
	} else if defaultPort == 0 {
		return Authority{}, errors.New("the port is missing")
	}
	if a.Host, err = canonicalHost(host); err != nil {
		return Authority{}, err
	}
	return a, nil
}

// Matches reports whether s, the Host of a request inside a tunnel, names exactly a. Over TLS a missing port means 443.
func (a Authority) Matches(s string, defaultPort uint16) bool {
	// The usual spelling, without an allocation.
	if a.Port == defaultPort && s == a.Host {
		return true
	}
	b, err := ParseAuthority(s, defaultPort)
	return err == nil && a == b
}

// Named reports whether sni, the server name of a ClientHello, is the host of a. RFC 6066 (section 3) wants a DNS name in
// ASCII without a dot at its end; other spellings of the host, as IDNA has them, are not one. An address is never sent, so
// that for an address none is right.
func (a Authority) Named(sni string) bool {
	if sni == "" {
		_, err := netip.ParseAddr(a.Host)
		return err == nil
	}
	// The length keeps out what only becomes ASCII in lower case, as the Kelvin sign does.
	return len(sni) == len(a.Host) && strings.ToLower(sni) == a.Host
}

// splitPort cuts host[:port]. The host of a bracketed literal keeps its brackets.
func splitPort(s string) (host, port string, hasPort bool, err error) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", false, errors.New("a bracket is not closed")
		}
		host, rest := s[:end+1], s[end+1:]
		if rest == "" {
			return host, "", false, nil
		}
		if rest[0] != ':' {
			return "", "", false, errors.New("a port must follow the closing bracket")
		}
		return host, rest[1:], true, nil
	}
	host, port, hasPort = strings.Cut(s, ":")
	if strings.Contains(port, ":") {
		return "", "", false, errors.New("an IPv6 address needs brackets")
	}
	return host, port, hasPort, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s[0] == '+' || s[0] == '0' {
		return 0, fmt.Errorf("the port must be a number from 1 to 65535")
	}
	return uint16(n), nil
}

// canonicalHost lower-cases, strips one trailing dot and turns IDNA names to ASCII. Only letters, digits, hyphens and
// underscores may stand in a label.
func canonicalHost(s string) (string, error) {
	if strings.HasPrefix(s, "[") {
		return canonicalIPv6(strings.TrimSuffix(s[1:], "]"))
	}
	ascii := true
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			ascii = false
		}
	}
	h := s
	if ascii {
		h = strings.ToLower(s)
	} else {
		var err error
		if h, err = idna.Lookup.ToASCII(s); err != nil {
			return "", errors.New("the host is not a valid internationalised name")
		}
	}
	h = strings.TrimSuffix(h, ".")
	if h == "" {
		return "", errors.New("the host is empty")
	}
	if len(h) > 253 {
		return "", errors.New("the host is longer than 253 bytes")
	}
	if err := checkLabels(h); err != nil {
		return "", err
	}
	// A last label of digits makes resolvers read the whole as an IPv4 address, in spellings that differ between them.
	if last := h[strings.LastIndexByte(h, '.')+1:]; looksNumeric(last) {
		ip, err := netip.ParseAddr(h)
		if err != nil || ip.String() != h {
			return "", errors.New("an IP address must be in its canonical form")
		}
	}
	return h, nil
}

func canonicalIPv6(s string) (string, error) {
	ip, err := netip.ParseAddr(s)
	if err != nil || !ip.Is6() || ip.Zone() != "" {
		return "", errors.New("not a valid IPv6 address")
	}
	if ip.Is4In6() {
		return "", errors.New("an IPv4 address must be written as one")
	}
	return ip.String(), nil
}

func checkLabels(h string) error {
	for label := range strings.SplitSeq(h, ".") {
		if label == "" {
			return errors.New("the host has an empty label")
		}
		if len(label) > 63 {
			return errors.New("the host has a label longer than 63 bytes")
		}
		if label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("a label of the host begins or ends with a hyphen")
		}
		for i := 0; i < len(label); i++ {
			if c := label[i]; !isLetterOrDigit(c) && c != '-' && c != '_' {
				return errors.New("the host may hold only letters, digits, hyphens and dots")
			}
		}
	}
	return nil
}

func isLetterOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func looksNumeric(label string) bool {
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}
