package ca

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is all that any formatter prints of an authority.
const redacted = "ca.Authority(redacted)"

// Format prints the same fixed text for every verb and flag.
func (a Authority) Format(s fmt.State, _ rune) { io.WriteString(s, redacted) }

// LogValue gives slog the fixed text.
func (a Authority) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives encoders (JSON among them) the fixed text.
func (a Authority) MarshalText() ([]byte, error) { return []byte(redacted), nil }
