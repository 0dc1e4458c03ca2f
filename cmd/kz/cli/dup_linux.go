package cli

import "golang.org/x/sys/unix"

// dupTo makes to the same file as from, for children as well. (Not every Linux has dup2.)
func dupTo(from, to int) error { return unix.Dup3(from, to, 0) }
