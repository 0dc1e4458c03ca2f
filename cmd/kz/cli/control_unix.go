//go:build unix

package cli

import (
	"errors"
	"syscall"
)

// maxSocketPath is what fits into a socket's address everywhere (Linux takes 108 bytes, macOS 104, with a NUL).
const maxSocketPath = 103

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
