package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"kz/proxy/policy"
)

// strict refuses what net/http takes and servers read in different ways, and writes Expect in the one way there is.
func strict(r *http.Request, a policy.Authority) *refusal {
	ref := &refusal{Code: policy.RequestInvalid, Host: a.String()}
	switch {
	case !httpguts.ValidHeaderFieldName(r.Method):
		// h2 lets it through; in a request line it would be more than a method.
		ref.Message, ref.Hint = "the method of the request is not a word", "see RFC 9110, section 9.1"
		return ref
	case r.RequestURI == "*" && r.Method != http.MethodOptions:
		// RFC 9112, section 3.2.4: only OPTIONS is of the whole server.
		ref.Message, ref.Hint = "the request names no path", "only OPTIONS may be of *"
		return ref
	case strings.Contains(r.RequestURI, " "):
		// h2 lets it through; in a request line of HTTP/1.1 the target would end there.
		ref.Message, ref.Hint = "the path of the request holds a space", "write it as %20"
		return ref
	case strings.Contains(r.RequestURI, "#"):
		// Some servers end the path there, others take it for a part of it.
		ref.Message, ref.Hint = "the path of the request holds a #", "leave the fragment out, or write it as %23"
		return ref
	}
	if lengths, ok := r.Header["Content-Length"]; ok && r.ProtoMajor == 2 && (len(lengths) != 1 || lengths[0] != strconv.FormatInt(r.ContentLength, 10)) {
		// net/http takes the first of several, an odd one for nought, and none that comes without a body.
		ref.Message, ref.Hint = "the Content-Length of the request is not the one of its body", "leave it out, or send one number"
		return ref
	}
	expect, ok := r.Header["Expect"]
	switch {
	case !ok:
	case len(expect) != 1 || !strings.EqualFold(expect[0], "100-continue"):
		ref.Message, ref.Hint = "the request expects something other than 100-continue", "leave the header Expect out"
		return ref
	case r.ContentLength == 0 || !r.ProtoAtLeast(1, 1):
		delete(r.Header, "Expect") // there is nothing to wait for
	default:
		r.Header["Expect"] = []string{"100-continue"}
	}
	return nil
}
