package masking

import (
	"slices"
	"strings"
)

const (
	letters    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	unreserved = letters + "-._~"                 // RFC 3986 section 2.3
	special    = "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}" // some encoders of text escape them, others do not
	printable  = unreserved + special

	upperHex = "0123456789ABCDEF"
	lowerHex = "0123456789abcdef"
)

// percentKept are the sets of characters that encoders leave alone, where they
// do not escape all. A space is + where a form is encoded.
var percentKept = []string{
	letters,
	unreserved,                        // form-encoded by Go, Python, PHP
	unreserved + "!'()*",              // encodeURIComponent
	unreserved + "!'()*;,/?:@&=+$#",   // encodeURI
	unreserved + "!'()*;,/?:@&=+$#[]", // all that is reserved
	unreserved + "!$&'()*+,;=:@",      // pchar: RFC 3986 section 3.3
	unreserved + "$&+=:@",             // Go's url.PathEscape
	unreserved + "/",                  // Python's quote
	letters + "*-._",                  // form-encoded: WHATWG URL section 5.2
	letters + "-._",                   // form-encoded: PHP before 5.3, Python before 3.7
	letters + "!()*-._",               // form-encoded: .NET
	letters + "@*_+-./",               // JavaScript's escape
	letters + "!#$&+-.^_`|~",          // attr-char, of headers: RFC 8187 section 3.2.1
	// WHATWG URL section 1.3: fragment, query, that of http, path, userinfo.
	without(printable, "\"<>`"),
	without(printable, "\"#<>"),
	without(printable, "\"#<>'"),
	without(printable, "\"#<>?^`{}"),
	without(printable, "\"#<>?^`{}/:;=@[\\]|"),
	without(printable, "\"#%<>?`{}"), // gRPC's status message by Rust's tonic
}

// grpcMessage is what gRPC over HTTP/2 leaves as it is in a status message ("Percent-Encoded"): the space, too.
var grpcMessage = without(printable, "%") + " "

// percent adds the percent-encoded forms and the form-encoded ones.
func (f *formSet) percent(v []byte) {
	f.add(percentEncode(v, "", false, upperHex))
	f.add(percentEncode(v, "", false, lowerHex))
	f.add(percentEncode(v, grpcMessage, false, upperHex))
	own := within(others(v), printable)
	var kept []string
	for _, keep := range percentKept {
		kept = also(kept, within(own, keep))
	}
	for _, escaped := range mixtures(v) {
		kept = also(kept, without(own, escaped))
	}
	for _, keep := range kept {
		for _, digits := range []string{upperHex, lowerHex} {
			f.add(percentEncode(v, letters+keep, false, digits))
			f.add(percentEncode(v, letters+keep, true, digits))
		}
	}
}

func percentEncode(v []byte, keep string, plus bool, digits string) []byte {
	out := make([]byte, 0, 3*len(v))
	for _, c := range v {
		switch {
		case c == ' ' && plus:
			out = append(out, '+')
		case strings.IndexByte(keep, c) >= 0:
			out = append(out, c)
		default:
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return out
}

// others returns the characters in v, each once, that are no letters or digits.
func others(v []byte) string {
	var found []rune
	for _, r := range string(v) {
		if !strings.ContainsRune(letters, r) {
			found = also(found, r)
		}
	}
	return string(found)
}

// mixtures returns all sets of the characters that encoders of v differ about.
// Where these are many, or v is long, it returns none: all those forms would be
// too much, and only known encoders' sets are looked for.
func mixtures(v []byte) []string {
	characters := within(others(v), special)
	if len(characters) > 3 || len(v) > long {
		return nil
	}
	sets := []string{""}
	for _, c := range characters {
		for _, set := range sets {
			sets = append(sets, set+string(c))
		}
	}
	return sets
}

// without returns the characters that are not among those left out.
func without(characters, out string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(out, c) {
			return -1
		}
		return c
	}, characters)
}

// within returns those characters that are in the set.
func within(characters, set string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(set, c) {
			return c
		}
		return -1
	}, characters)
}

// also returns all with one more, if it is new.
func also[T comparable](all []T, one T) []T {
	if slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}
