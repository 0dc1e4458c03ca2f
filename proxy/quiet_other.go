//go:build !linux

package proxy

import (
	"syscall"
	"time"
)

// quietFor is not known here.
func quietFor(syscall.Conn) (time.Duration, bool) { return 0, false }
