package proxy

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp asks the kernel, which knows even while there is more to read. A connection that both sides have ended may still
// hold what has to be passed on; only one that was reset does not.
func hungUp(c syscall.Conn, half bool) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true // closed on this side
	}
	gone := false
	events := int16(unix.POLLERR)
	if half {
		events |= unix.POLLRDHUP | unix.POLLHUP
	}
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(fds, 0)
		gone = err == nil && n > 0 && fds[0].Revents&events != 0
	})
	return gone || err != nil
}
