//go:build !linux

package cli

import "net"

// newVouch: elsewhere no kernel says which process is at the other end of a connection, so that nobody is vouched for.
func newVouch() func(net.Conn) bool { return nil }
