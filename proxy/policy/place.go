package policy

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"
)

// PlaceKind is the part of a request that a Place names.
type PlaceKind int

// The kinds of places, in the order of the contract's table.
const (
	Header      PlaceKind = iota + 1 // any header that is not reflected, whole value or after a scheme
	HeaderNamed                      // header:NAME
	Basic                            // user or password of Authorization: Basic
	Body                             // credential-named members and fields, whole value
	BodyNamed                        // body:NAME
	BodyPointer                      // body:/json/pointer
	BodyAny                          // body:*
	QueryNamed                       // query:NAME
	Path                             // a path segment
	Frame                            // WebSocket text messages
)

// Place is one entry of a secret's `swap` list.
type Place struct {
	Kind PlaceKind
	Name string // header (canonical), member, pointer or query parameter; else ""
}

var plainPlaces = map[string]PlaceKind{"header": Header, "basic": Basic, "body": Body, "path": Path, "frame": Frame}

// ParsePlace reads one entry of `swap`.
func ParsePlace(s string) (Place, error) {
	bad := func(why string) (Place, error) { return Place{}, fmt.Errorf("place %q: %w", s, errors.New(why)) }
	kind, name, named := strings.Cut(s, ":")
	if !named {
		if k, ok := plainPlaces[s]; ok {
			return Place{Kind: k}, nil
		}
		if s == "query" {
			return bad("the parameter's name is needed, as in query:key")
		}
		return bad("one of header, header:NAME, basic, body, body:NAME, body:/pointer, body:*, query:NAME, path, frame is needed")
	}
	if name == "" {
		return bad("a name must follow the colon")
	}
	switch kind {
	case "header":
		if !isToken(name) {
			return bad("that is not a header's name")
		}
		return Place{HeaderNamed, textproto.CanonicalMIMEHeaderKey(name)}, nil
	case "query":
		return Place{QueryNamed, name}, nil
	case "body":
		switch {
		case name == "*":
			return Place{Kind: BodyAny}, nil
		case name[0] == '/':
			if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(name), "~") {
				return bad("in a JSON pointer ~ is written ~0 and / is written ~1")
			}
			return Place{BodyPointer, name}, nil
		}
		return Place{BodyNamed, name}, nil
	}
	return bad("a name may follow only header, body and query")
}

// String is the entry as it is written in `swap`.
func (p Place) String() string {
	switch p.Kind {
	case HeaderNamed:
		return "header:" + p.Name
	case BodyNamed, BodyPointer:
		return "body:" + p.Name
	case BodyAny:
		return "body:*"
	case QueryNamed:
		return "query:" + p.Name
	}
	for s, k := range plainPlaces {
		if k == p.Kind {
			return s
		}
	}
	return ""
}

// DefaultPlaces is what a secret without `swap` has: header, basic and body.
func DefaultPlaces() []Place { return []Place{{Kind: Header}, {Kind: Basic}, {Kind: Body}} }

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if !isLetterOrDigit(c) && !isLetterOrDigit(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// reflected holds the headers that servers or intermediaries echo, log or forward.
var reflected = map[string]bool{
	"Cookie": true, "Host": true, "Referer": true, "Origin": true, "User-Agent": true, "Via": true, "Forwarded": true,
	"If-Match": true, "If-None-Match": true, "If-Modified-Since": true, "If-Unmodified-Since": true, "If-Range": true,
	"Traceparent": true, "Tracestate": true, "Baggage": true, "B3": true, "Uber-Trace-Id": true,
	"X-Cloud-Trace-Context": true, "X-Amzn-Trace-Id": true, "X-Datadog-Trace-Id": true, "X-Datadog-Parent-Id": true,
	"X-Request-Id": true, "X-Correlation-Id": true, "Request-Id": true, "X-Trace-Id": true, "X-Amzn-Requestid": true,
	"Correlation-Id": true, "X-Client-Request-Id": true, "X-Real-Ip": true,
	"Sentry-Trace": true, "X-Ot-Span-Context": true, "Elastic-Apm-Traceparent": true, "Newrelic": true,
	"True-Client-Ip": true, "X-Client-Ip": true, "X-Cluster-Client-Ip": true, "Cf-Connecting-Ip": true, "Client-Ip": true,
	"X-Original-Host": true, "X-Original-Url": true, "X-Rewrite-Url": true, "From": true, "Prefer": true,
	"Content-Type": true, "Content-Encoding": true, "Content-Language": true, "Content-Location": true, "Content-Disposition": true, // quoted in a 415, often in lower case
	"X-Http-Method-Override": true, "X-Http-Method": true, "X-Method-Override": true, // and in a 405
}

// reflectedPrefixes are how the names of further ones begin.
var reflectedPrefixes = []string{
	"Accept", "X-Forwarded-", "X-B3-",
	"Access-Control-", // answered in kind
	"Sec-",            // WebSocket's key among them, which is answered with its digest: something to guess a value against
}

// Reflected reports whether the header of this canonical name is one in which a mask is inert and is never swapped,
// unless a place names that header.
func Reflected(name string) bool {
	for _, prefix := range reflectedPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return reflected[name]
}
