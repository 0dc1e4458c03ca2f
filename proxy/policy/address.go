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
// credentials, their IPv6 forms, Google's, OpenStack's on the link, Alibaba, Azure's wire server, Oracle, Tencent, Scaleway.
var metadata = addresses("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23",
	"fd20:ce::254", "fe80::a9fe:a9fe", "100.100.100.200", "168.63.129.16", "192.0.0.192",
	"169.254.0.23", "169.254.42.42", "fd00:42::42")

// special holds what is not the open internet, from the IANA special-purpose registries (RFC 6890 and its successors).
var special = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")

// unicast6 is the IPv6 that IANA gives out for the open internet (RFC 4291 and its registry). What lies outside is loopback,
// mapped, translated (NAT64 too), unique local, link-local, multicast, or nothing yet.
var unicast6 = netip.MustParsePrefix("2000::/3")

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
	if a.Is6() && !unicast6.Contains(a) {
		return Private
	}
	return Public
}

var (
	to4    = netip.MustParsePrefix("2002::/16")
	teredo = netip.MustParsePrefix("2001::/32")
)

// embedsMetadata looks into the IPv6 forms that a router or the system turns back into IPv4: 6to4 (RFC 3056), Teredo
// (RFC 4380, which inverts the bits), and all that end with the IPv4 address: NAT64 (RFC 6052, RFC 8215), ISATAP (RFC 5214),
// compatible and translated ones (RFC 4291, RFC 7915). A public address that ends so by chance is none the worse for it.
func embedsMetadata(a netip.Addr) bool {
	if a.Is4() {
		return false
	}
	b := a.As16()
	last := [4]byte(b[12:16])
	switch {
	case to4.Contains(a) && metadata[netip.AddrFrom4([4]byte(b[2:6]))]:
		return true
	case teredo.Contains(a):
		return metadata[netip.AddrFrom4([4]byte{^last[0], ^last[1], ^last[2], ^last[3]})]
	}
	return metadata[netip.AddrFrom4(last)]
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
