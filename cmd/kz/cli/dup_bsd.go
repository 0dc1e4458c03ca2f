//go:build unix && !linux

package cli

import "golang.org/x/sys/unix"

// dupTo makes to the same file as from, for children as well.
func dupTo(from, to int) error { return unix.Dup2(from, to) }
