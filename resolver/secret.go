package resolver

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted stands for a value wherever one would have been printed.
const redacted = "[redacted]"

// Secret holds a value that cannot be printed: every verb of fmt, every slog
// handler and every encoder of text, JSON, YAML or TOML writes "[redacted]";
// encoding/gob and other binary encoders get an error. [Secret.Reveal] is the
// one way to the value.
//
// The value is behind a pointer because fmt calls no methods on unexported
// fields: in a struct that is printed with %+v, an address is what shows.
//
// The zero Secret holds nothing. Secrets are immutable and safe for concurrent
// use; == compares identity, [Secret.Equal] compares values.
type Secret struct{ v *string }

// NewSecret makes a Secret of a value, which may be empty.
func NewSecret(value string) Secret { return Secret{&value} }

// Reveal returns the value; "" for the zero Secret.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// IsZero reports whether s holds nothing, not even an empty value.
func (s Secret) IsZero() bool { return s.v == nil }

// Equal compares two values in time that depends on their lengths alone.
func (s Secret) Equal(other Secret) bool {
	return s.IsZero() == other.IsZero() &&
		subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

var errBinary = errors.New("resolver: a secret has no binary form")

// Format writes "[redacted]", whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (s Secret) GoString() string { return redacted }

// LogValue is "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]" as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalYAML returns "[redacted]".
func (s Secret) MarshalYAML() (any, error) { return redacted, nil }

// MarshalBinary always fails.
func (s Secret) MarshalBinary() ([]byte, error) { return nil, errBinary }

// GobEncode always fails.
func (s Secret) GobEncode() ([]byte, error) { return nil, errBinary }
