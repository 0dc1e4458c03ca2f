package resolver

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Kind classifies an Error. A Kind is itself an error, to be matched with
// errors.Is(err, resolver.NotFound).
type Kind string

const (
	// NotFound: the store has no such secret, or not that version of it.
	NotFound Kind = "not found"
	// AccessDenied: the credentials are missing, invalid or not allowed to read it.
	AccessDenied Kind = "access denied"
	// DecryptionFailed: the store could not decrypt the value (KMS).
	DecryptionFailed Kind = "decryption failed"
	// Throttled: the store refuses more requests for now.
	Throttled Kind = "throttled"
	// Unavailable: the store cannot be reached, is sealed, or answers with an error of its own.
	Unavailable Kind = "unavailable"
	// TimedOut: the store did not answer within the limit.
	TimedOut Kind = "timed out"
	// InvalidReference: the configuration does not name something that can be fetched.
	InvalidReference Kind = "invalid reference"
	// FieldMissing: the secret is there, the field in it is not.
	FieldMissing Kind = "field missing"
)

// Error is the sentinel's text.
func (k Kind) Error() string { return "resolver: " + string(k) }

// Error is why a value could not be had. No field ever holds a value, a token,
// a header or a response body: Message and Advice are this module's own words,
// Code is a store's error code of letters only, and Err is a cause known to be
// safe (a context's or the system's error), never a store's.
type Error struct {
	Kind    Kind
	Secret  string   // the secret's name; set by the Cache
	Backend string   // the backend's name; set by the Cache
	Status  int      // the HTTP status; 0 when there was none
	Code    string   // the store's own error code, such as "AccessDeniedException"; may be ""
	Message string   // one clause; "" says no more than Kind
	Advice  string   // what to type or to check; see Hint
	Keys    []string // FieldMissing: the keys that are there, sorted
	Err     error
}

// maxKeys is how many keys of a value the text of an error lists.
const maxKeys = 20

// Error is one line: which secret, the kind, what is known of the cause.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Secret != "" {
		fmt.Fprintf(&b, "resolving %s: ", e.Secret)
	}
	if e.Backend != "" {
		b.WriteString(e.Backend + ": ")
	}
	b.WriteString(string(e.Kind))
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	switch {
	case e.Status != 0 && e.Code != "":
		fmt.Fprintf(&b, " (status %d, %s)", e.Status, e.Code)
	case e.Status != 0:
		fmt.Fprintf(&b, " (status %d)", e.Status)
	case e.Code != "":
		fmt.Fprintf(&b, " (%s)", e.Code)
	}
	if len(e.Keys) > 0 {
		b.WriteString("; its keys are " + listKeys(e.Keys))
	}
	return b.String()
}

// Hint says what to type or to check; "" when there is nothing to say.
func (e *Error) Hint() string { return e.Advice }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the error's Kind.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// KindOf returns the Kind of an error, and "" for nil. What is no *Error is Unavailable.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Unavailable
}

// listKeys writes key names so that none can pass for something else: quoted
// unless plain, cut when long, and only the first maxKeys of them.
func listKeys(keys []string) string {
	const longest = 64
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == maxKeys {
			fmt.Fprintf(&b, "and %d more", len(keys)-maxKeys)
			break
		}
		if len(k) > longest {
			k = k[:longest] + "…"
		}
		if q := strconv.Quote(k); q != `"`+k+`"` || strings.ContainsAny(k, ", ") || k == "" {
			k = q
		}
		b.WriteString(k)
	}
	return b.String()
}
