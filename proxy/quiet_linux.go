package proxy

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// quietFor is how long nothing has come from the peer of c nor gone to it. The kernel knows that of a spliced tunnel too.
func quietFor(c syscall.Conn) (time.Duration, bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	var info *unix.TCPInfo
	if cerr := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); cerr != nil || err != nil {
		return 0, false
	}
	return time.Duration(min(info.Last_data_recv, info.Last_data_sent)) * time.Millisecond, true
}
