// Package proxy is the edge of kz: an HTTP proxy that ends the TLS of the hosts a secret is bound to, puts values in the
// place of masks in what goes out, and masks in the place of values in what comes back. Every other host is tunnelled.
//
//	p, err := proxy.New(proxy.Options{Policy: pol, Table: table, Authority: ca, Values: cache.Get, Credential: token, …})
//	go p.Serve(listener)
//	defer p.Close()
//
// goproxy is the front: it dispatches CONNECT, plain requests and, by re-entry, the requests inside an intercepted
// tunnel, through one pair of hooks. What a tunnel is for is fixed once, by its CONNECT line: that one authority is what
// is dialled, verified, judged and recorded, whatever the requests inside say.
//
// Data goes one way: bytes, find, decide, (record and stop, or) resolve, swap, send, scrub, record.
//
// Limits: one session for each Proxy; a value that an upstream transforms beyond the forms of package masking passes.
package proxy
