//go:build !unix

package cli

import (
	"errors"
	"net"
)

// Without a way to tell who connected there is no control socket.
func peerOf(*net.UnixConn) (peer, error) { return peer{}, errors.ErrUnsupported }

func insideThisSession(peer) bool { return true }

func hasEnded(string) bool { return false }

func isRefused(error) bool { return false }

func planted(peer) bool { return false }

func shortPath(string) (address string, done func(), err error) {
	return "", nil, errors.ErrUnsupported
}
