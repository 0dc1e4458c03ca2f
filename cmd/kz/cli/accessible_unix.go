//go:build unix

package cli

import "golang.org/x/sys/unix"

// accessible reports whether this user may read a file, or write to it as a socket wants.
func accessible(path string, write bool) bool {
	mode := uint32(unix.R_OK)
	if write {
		mode |= unix.W_OK
	}
	return unix.Access(path, mode) == nil
}
