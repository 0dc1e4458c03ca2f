package policy

import "net/netip"

// AddressClass says what kind of network an address belongs to.
type AddressClass int

// The classes of addresses.
const (
	Public   AddressClass = iota
	Private               // loopback, private, link-local, carrier-grade NAT, mapped, and everything else that is not the open internet
	Metadata              // a cloud's metadata service: never dialled
)

// metadata holds the addresses at which clouds hand credentials to whoever asks: EC2 and most others, ECS and EKS
// credentials, their IPv6 forms, Alibaba, Azure's wire server, Oracle.
var metadata = addresses("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23",
	"fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")

// special holds what is not the open internet, from the IANA special-purpose registries (RFC 6890 and its successors).
var special = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
	"3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8")

// ClassOf classifies the address of a socket. An IPv4-mapped address counts as the IPv4 address inside it.
func ClassOf(a netip.Addr) AddressClass {
	a = a.Unmap().WithZone("")
	if metadata[a] || embedsMetadata(a) {
		return Metadata
	}
	for _, p := range special {
		if p.Contains(a) {
			return Private
		}
	}
	return Public
}

var (
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	to4   = netip.MustParsePrefix("2002::/16")
)

// embedsMetadata looks into the IPv6 forms that a router turns back into IPv4: NAT64 (RFC 6052) and 6to4 (RFC 3056).
func embedsMetadata(a netip.Addr) bool {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return metadata[netip.AddrFrom4([4]byte(b[12:16]))]
	case to4.Contains(a):
		return metadata[netip.AddrFrom4([4]byte(b[2:6]))]
	}
	return false
}

func addresses(ss ...string) map[netip.Addr]bool {
	m := make(map[netip.Addr]bool, len(ss))
	for _, s := range ss {
		m[netip.MustParseAddr(s)] = true
	}
	return m
}

func prefixes(ss ...string) []netip.Prefix {
	ps := make([]netip.Prefix, len(ss))
	for i, s := range ss {
		ps[i] = netip.MustParsePrefix(s)
	}
	return ps
}
