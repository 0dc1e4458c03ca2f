package awsauth

import (
	"net/netip"
	"net/url"
	"strings"
)

// Warnings says whether the values travel in clear text.
func (l *Login) Warnings() []string {
	u, err := url.Parse(l.opt.Endpoint)
	if err != nil || u.Scheme != "http" || loopback(u.Hostname()) {
		return nil
	}
	return []string{"the endpoint " + l.opt.Endpoint + " is not https: the values can be read on the network"}
}

func loopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
