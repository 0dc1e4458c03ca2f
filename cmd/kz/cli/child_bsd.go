//go:build unix && !linux

package cli

import "syscall"

// childAttributes: there is no parent-death signal here. A child of a killed kz meets
// refused connections, and its masks are worth nothing.
func childAttributes() *syscall.SysProcAttr { return nil }

func closeOnExec() error { return closeOnExecEach("/dev/fd") }

func awaitExit(int) {} // Cmd.Wait does
