package proxy

import (
	"net"
	"net/http"
)

// vouched reports whether a request without a credential may pass for who its client is: Options.Vouched has the say. It is
// asked once for each connection, and only for what a proxy is there for, so that a page in a browser, which can send no such
// request, costs nothing. A credential that was sent is judged alone: a wrong one is an error, whoever sends it.
func (p *Proxy) vouched(r *http.Request) bool {
	if p.opts.Vouched == nil || len(r.Header["Proxy-Authorization"]) > 0 || r.Method != http.MethodConnect && !r.URL.IsAbs() {
		return false
	}
	c, ok := clientOf(r.Context()).(*limitedConn)
	return ok && c.vouch(p.opts.Vouched)
}

// vouch remembers the answer. The requests of one connection come one after the other.
func (c *limitedConn) vouch(ask func(net.Conn) bool) bool {
	if !c.asked {
		c.asked, c.vouched = true, ask(c.Conn)
	}
	return c.vouched
}

// credentialRefusal is the answer to who may not pass.
func credentialRefusal(r *http.Request) *refusal {
	if len(r.Header["Proxy-Authorization"]) > 0 {
		return &refusal{Code: codeProxyCredential, Message: "the proxy credential is wrong",
			Hint: "use the proxy URL from this session's environment, HTTPS_PROXY, as it is"}
	}
	return &refusal{Code: codeProxyCredential, Message: "the proxy credential is missing",
		Hint: "use the proxy URL from this session's environment, HTTPS_PROXY, as it is; what cannot send it, as a JVM, is let in on Linux only, and where `kz run --blind` started it"}
}
