package proxy

import (
	"net/http"
	"strings"

	"kz/proxy/policy"
)

// signedScheme reports whether v is a credential that was computed from a key: with a mask for the key it is wrong, and
// no swap mends it.
func signedScheme(v string) (string, bool) {
	scheme, _, _ := strings.Cut(v, " ")
	if scheme == "Bearer" {
		return "", false
	}
	switch s := strings.ToLower(scheme); {
	case strings.HasPrefix(s, "aws4-"), s == "aws", s == "digest", s == "signature", s == "hmac", s == "hawk", s == "oauth",
		s == "sharedkey", s == "sharedkeylite", strings.HasPrefix(s, "hmac-"), s == "goog4-rsa-sha256", s == "goog4-hmac-sha256":
		return scheme, true
	}
	return "", false
}

// signedQueries are the parameters that hold a signature over the URL, and how it is called. Names of one word that other
// things have too count only beside a second parameter.
var signedQueries = []struct{ name, beside, scheme string }{
	{"x-amz-signature", "", "AWS, in the query"}, {"x-amz-credential", "", "AWS, in the query"}, {"x-goog-signature", "", "Google, in the query"},
	{"oauth_signature", "", "OAuth 1.0"}, {"signature", "awsaccesskeyid", "AWS, in the query"}, {"signature", "key-pair-id", "CloudFront"},
	{"signature", "googleaccessid", "Google, in the query"}, {"sig", "sv", "Azure SAS"},
}

// signedURL names the signature that the query holds; "" when there is none.
func signedURL(query string) string {
	names := map[string]bool{}
	for p := range strings.SplitSeq(query, "&") {
		names[strings.ToLower(paramName(p))] = true
	}
	for _, s := range signedQueries {
		if names[s.name] && (s.beside == "" || names[s.beside]) {
			return s.scheme
		}
	}
	return ""
}

// signatures are what of a head was computed over the request: a swap in what they cover makes them wrong.
type signatures struct {
	authorization string // the signed credential, in lower case; "" when there is none
	scheme        string
	input         string // Signature-Input (RFC 9421), in lower case
	proof         bool   // DPoP (RFC 9449) holds a digest of the access token
}

func signaturesOf(h http.Header) signatures {
	var s signatures
	for _, v := range h["Authorization"] {
		if scheme, ok := signedScheme(v); ok && signs(scheme, v[len(scheme):]) {
			s.scheme, s.authorization = scheme, strings.ToLower(v)
		}
	}
	s.input = strings.ToLower(strings.Join(h["Signature-Input"], ","))
	s.proof = len(h["Dpop"]) > 0
	return s
}

// signs reports whether credentials of a signed scheme hold a signature: some schemes have tokens too, as OAuth has.
func signs(scheme, credentials string) bool {
	if strings.EqualFold(scheme, "OAuth") {
		return strings.Contains(credentials, "oauth_signature")
	}
	return strings.ContainsAny(credentials, "=:,")
}

// header names the signature that covers the header; "" when none does.
func (s *signatures) header(name string) string {
	switch {
	case s.authorization != "" && (listed(s.authorization, name) || strings.HasPrefix(name, "X-Amz-") || strings.HasPrefix(name, "X-Ms-")):
		return s.scheme
	case s.input != "" && (listed(s.input, name) || name == "Signature-Input" || name == "Signature"):
		return "HTTP message signature"
	case s.proof && name == "Authorization":
		return "DPoP"
	}
	return ""
}

// inURL names the signature that covers the path and the query; "" when none does.
func (s *signatures) inURL(query string) string {
	switch {
	case s.authorization != "":
		return s.scheme
	case strings.Contains(s.input, `"@path`), strings.Contains(s.input, `"@query`), strings.Contains(s.input, `"@target`), strings.Contains(s.input, `"@request-target`):
		return "HTTP message signature"
	}
	return signedURL(query)
}

// body names the signature that covers the body without a digest in a header of its own; "" when none does.
func (s *signatures) body(h http.Header) string {
	a := s.authorization
	switch {
	case strings.HasPrefix(a, "aws4-") && !unsigned(h["X-Amz-Content-Sha256"]), strings.HasPrefix(a, "oauth "),
		strings.HasPrefix(a, "hawk ") && strings.Contains(a, "hash="), strings.HasPrefix(a, "digest ") && strings.Contains(a, "auth-int"):
		return s.scheme
	}
	return ""
}

func unsigned(values []string) bool { return len(values) == 1 && values[0] == "UNSIGNED-PAYLOAD" }

// listed reports whether list, in lower case, names the header, between whatever separates names.
func listed(list, name string) bool {
	name = strings.ToLower(name)
	for rest := list; ; {
		i := strings.Index(rest, name)
		if i < 0 {
			return false
		}
		before, after := i == 0 || !nameByte(rest[i-1]), i+len(name) == len(rest) || !nameByte(rest[i+len(name)])
		if before && after {
			return true
		}
		rest = rest[i+1:]
	}
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

func (x *exchange) signatureRefusal(secret, scheme string) *refusal {
	host := x.scope.name
	return &refusal{Code: codeSignatureUnsupported, Secret: secret, Host: host,
		Message: "request to " + host + ": a signature (" + scheme + ") was computed from a mask, or over one, so it cannot be right",
		Hint:    "a program that signs needs the key itself: expose = \"plain\" under the secret gives it, at its own risk"}
}

// unlessSigned is ref, or the refusal of a mask that a signature covers where nothing stronger stands against it: the entry
// that would declare its place is of no use.
func (x *exchange) unlessSigned(secret, scheme string, swap bool, ref *refusal) *refusal {
	if scheme != "" && (swap || ref != nil && ref.Code == policy.PlaceNotDeclared) {
		return x.signatureRefusal(secret, scheme)
	}
	return ref
}
