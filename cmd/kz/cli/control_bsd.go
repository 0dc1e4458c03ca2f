//go:build unix && !linux

package cli

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// peerOf asks the kernel whose process connected (LOCAL_PEERCRED).
func peerOf(conn *net.UnixConn) (p peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	controlErr := raw.Control(func(fd uintptr) { p.uid, err = peerUser(int(fd)) })
	return p, errors.Join(controlErr, err)
}

// insideThisSession: a session is known by its variable alone here, which the one who asks has looked at.
func insideThisSession(peer) bool { return false }

func planted(peer) bool { return false }

func shortPath(path string) (address string, done func(), err error) {
	if len(path) > maxSocketPath {
		return "", nil, unix.ENAMETOOLONG
	}
	return path, func() {}, nil
}
