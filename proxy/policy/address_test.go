package policy

import (
	"net/netip"
	"testing"
)

// TestAddressesThatAreNotTheOpenInternet names at least one address of each kind that leads back to this machine, this
// network or a cloud's metadata service, in every form that something on the way turns into it.
func TestAddressesThatAreNotTheOpenInternet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		want      AddressClass
		addresses []string
	}{
		"the open internet is public":        {Public, []string{"1.1.1.1", "8.8.8.8", "2606:4700::1111", "2a00:1450::1", "3ffe::1", "2620:4f:8000::1"}},
		"loopback is private":                {Private, []string{"127.0.0.1", "127.255.255.254", "::1"}},
		"this network is private":            {Private, []string{"0.0.0.0", "0.1.2.3", "::"}},
		"RFC 1918 is private":                {Private, []string{"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1"}},
		"unique local is private":            {Private, []string{"fc00::1", "fdff::1"}},
		"link-local is private":              {Private, []string{"169.254.1.1", "fe80::1", "fe80::1%eth0", "febf::1"}},
		"carrier-grade NAT is private":       {Private, []string{"100.64.0.1", "100.127.255.255"}},
		"multicast and broadcast":            {Private, []string{"224.0.0.1", "239.1.1.1", "ff02::1", "255.255.255.255", "240.0.0.1"}},
		"documentation and benchmarks":       {Private, []string{"192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "2001:db8::1", "3fff::1", "2001:2::1"}},
		"mapped is what is inside":           {Private, []string{"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0.0.0.0"}},
		"compatible is private":              {Private, []string{"::127.0.0.1", "::10.0.0.1"}},
		"IPv4-translated is private":         {Private, []string{"::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"}},
		"NAT64 is private":                   {Private, []string{"64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::10.0.0.1"}},
		"6to4 and Teredo are private":        {Private, []string{"2002:7f00:1::", "2002:808:808::1", "2001::1", "2001:0:1:2:3:4:5:6"}},
		"site-local and unassigned":          {Private, []string{"fec0::1", "4000::1", "8000::1", "1::1", "100::1", "5f00::1"}},
		"EC2 and many":                       {Metadata, []string{"169.254.169.254", "fd00:ec2::254", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"}},
		"Google, OpenStack, Alibaba, Azure":  {Metadata, []string{"fd20:ce::254", "fe80::a9fe:a9fe", "fe80::a9fe:a9fe%eth0", "100.100.100.200", "168.63.129.16"}},
		"Oracle, Tencent, Scaleway":          {Metadata, []string{"192.0.0.192", "169.254.0.23", "169.254.42.42", "fd00:42::42"}},
		"metadata mapped and compatible":     {Metadata, []string{"::ffff:169.254.169.254", "::169.254.169.254", "::ffff:0:169.254.169.254"}},
		"metadata behind NAT64":              {Metadata, []string{"64:ff9b::169.254.169.254", "64:ff9b:1::169.254.169.254", "64:ff9b:1:2::169.254.169.254"}},
		"metadata in 6to4, Teredo, ISATAP":   {Metadata, []string{"2002:a9fe:a9fe::1", "2001::5601:5601", "fe80::5efe:169.254.169.254", "2606:4700::5efe:169.254.169.254"}},
		"a 4-in-6 form of a public address":  {Public, []string{"::ffff:1.1.1.1"}},
		"a NAT64 form of a metadata address": {Metadata, []string{"64:ff9b::100.100.100.200", "64:ff9b::168.63.129.16"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range c.addresses {
				if got := ClassOf(netip.MustParseAddr(s)); got != c.want {
					t.Errorf("%s: got %v, want %v", s, got, c.want)
				}
			}
		})
	}
}
