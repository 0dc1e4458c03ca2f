package masking

import (
	"fmt"
	"io"
	"log/slog"
)

const placeholder = "[hidden]"

// hidden, embedded, keeps a type out of every fmt verb, logger and encoder.
type hidden struct{}

// Format writes a placeholder, whatever the verb.
func (hidden) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, placeholder) }

// LogValue is the placeholder.
func (hidden) LogValue() slog.Value { return slog.StringValue(placeholder) }

// MarshalText is the placeholder. It is what JSON and XML encoders use, too.
func (hidden) MarshalText() ([]byte, error) { return []byte(placeholder), nil }

// sealed holds a T where fmt does not find it: with a verb that does not fit,
// fmt asks no method, and follows a pointer to a struct, but not one to a
// pointer.
type sealed[T any] struct{ p **T }

func seal[T any](v *T) sealed[T] { return sealed[T]{&v} }

func (s sealed[T]) open() *T { return *s.p }
