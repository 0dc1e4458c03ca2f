package proxy

import (
	"net/http"
	"strings"
)

// refusedMethod holds the methods that would echo a request (RFC 9110, section 9.3.8) or leave the tunnel's authority. Some servers
// do not mind their case.
func refusedMethod(m string) bool {
	return strings.EqualFold(m, http.MethodTrace) || strings.EqualFold(m, "TRACK") || strings.EqualFold(m, http.MethodConnect)
}

// overrides are the headers in which some servers read another method.
var overrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// overridden is such a method that one of them asks for, or "".
func overridden(h http.Header) string {
	for _, name := range overrides {
		for _, m := range h[name] {
			if refusedMethod(strings.TrimSpace(m)) {
				return strings.ToUpper(strings.TrimSpace(m))
			}
		}
	}
	return ""
}
