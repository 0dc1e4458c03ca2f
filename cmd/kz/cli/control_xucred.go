//go:build darwin || freebsd

package cli

import "golang.org/x/sys/unix"

const solLocal = 0 // SOL_LOCAL (unix(4))

func peerUser(fd int) (int, error) {
	cred, err := unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
