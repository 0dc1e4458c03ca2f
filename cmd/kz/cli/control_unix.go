//go:build unix

package cli

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
)

// maxSocketPath is what fits into a socket's address everywhere (Linux takes 108 bytes, macOS 104, with a NUL).
const maxSocketPath = 103

// hasEnded reports whether the process in a socket's name, ID.PID.sock, is gone.
func hasEnded(name string) bool {
	fields := strings.Split(name, ".")
	pid, err := strconv.Atoi(fields[len(fields)-2])
	return err == nil && pid > 0 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
