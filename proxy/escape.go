package proxy

import (
	"regexp"
	"unicode/utf8"

	"kz/proxy/policy"
)

// openEnd matches the beginning of an escape that is not complete: percent, also escaped itself, that of JSON and its like,
// character references of HTML.
var openEnd = regexp.MustCompile(`(?:(?:%|\\u0025)(?:25)*[0-9A-Fa-f]?|(?:\\|\\u005[cC])(?:u[0-9A-Fa-f]{0,3}|x[0-9A-Fa-f]?)?|&#(?:[0-9]{0,7}|[xX][0-9A-Fa-f]{0,6}))$`)

// longestOpen is how much of an end is looked at.
const longestOpen = 32

// takesIn reports whether before, which a client has put before a mask, would take the first bytes of the value into itself:
// with a value that begins with 41, %MASK is the letter A and the rest of the value. What an upstream reads is then not the
// value, and what it echoes is nothing that can be found in an answer. It depends on before alone: to look at the value would
// tell a client how it begins.
func takesIn(before []byte) bool {
	if len(before) == 0 {
		return false
	}
	if before[len(before)-1] >= utf8.RuneSelf {
		// A byte of no character may begin one, in this charset or another.
		r, size := utf8.DecodeLastRune(before)
		return r == utf8.RuneError && size <= 1
	}
	return openEnd.Match(before[max(0, len(before)-longestOpen):])
}

// takenIn is the refusal of a mask behind such an end; where says in what.
func (x *exchange) takenIn(secret, where string) *refusal {
	host := x.scope.name
	return &refusal{Code: policy.RequestInvalid, Secret: secret, Host: host, Hint: "send the mask alone, or behind something else",
		Message: "request to " + host + ": what stands before the mask in " + where + " begins an escape, which would take in the beginning of the value"}
}
