package fields

import (
	"errors"
	"fmt"
)

// ErrAmbiguous is what every [AmbiguousError] is.
var ErrAmbiguous = errors.New("fields: selected place occurs twice")

// ErrUnencodable is what every [UnencodableError] is.
var ErrUnencodable = errors.New("fields: replacement cannot stand in its place")

// ErrRoom says that a value is longer than there is room for.
var ErrRoom = errors.New("fields: no room for a value")

// AmbiguousError says that a selected place occurs more than once and that at
// least one of the occurrences holds a mask.
type AmbiguousError struct {
	Field Field // the place that is ambiguous
}

// Error names the place, never a value.
func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("fields: %s occurs twice", e.Field)
}

// Is makes errors.Is(err, ErrAmbiguous) true.
func (e *AmbiguousError) Is(target error) bool { return target == ErrAmbiguous }

// UnencodableError says that a replacement cannot be written at its place: it
// is not valid UTF-8 and the place is a JSON string, or it contains the
// boundary of the multipart form around it.
type UnencodableError struct {
	Field  Field
	Format Format
}

// Error names the place, never the replacement.
func (e *UnencodableError) Error() string {
	return fmt.Sprintf("fields: writing %s: replacement does not fit into a %s body", e.Field, e.Format)
}

// Is makes errors.Is(err, ErrUnencodable) true.
func (e *UnencodableError) Is(target error) bool { return target == ErrUnencodable }
