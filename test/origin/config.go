package origin

import "crypto/tls"

// TLS is what a server beside the origin's own listeners needs to be one of its hosts: the good certificates, and the
// protocols given, by ALPN. The caller may change it.
func (o *Origin) TLS(alpn ...string) *tls.Config {
	config := o.tlsConfigs()["tls"]
	config.NextProtos = alpn
	return config
}
