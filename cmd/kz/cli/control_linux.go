package cli

import (
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// soPeerPidfd is SO_PEERPIDFD (socket(7), Linux 6.5): a handle on the very process that connected.
const soPeerPidfd = 77

// peerOf asks the kernel who connected. Credentials are those at the time of connect.
func peerOf(conn *net.UnixConn) (p peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	pidfd := -1
	controlErr := raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil {
			return
		}
		p.uid, p.pid = int(cred.Uid), int(cred.Pid)
		handle, pidfdErr := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, soPeerPidfd)
		if pidfdErr != nil { // an older kernel: the number is still the process's if it connected a moment ago
			handle, pidfdErr = unix.PidfdOpen(p.pid, 0)
		}
		if pidfdErr == nil {
			unix.CloseOnExec(handle)
			pidfd = handle
		}
	})
	if controlErr != nil {
		return peer{}, controlErr
	}
	if pidfd >= 0 {
		p.gone = func() bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
			return n > 0 || err != nil
		}
		p.done = func() { _ = unix.Close(pidfd) }
	}
	return p, err
}

// insideThisSession reports whether a peer descends from this process, or from any blind session. Whoever cannot be
// followed to the end, or has ended meanwhile, counts as inside: a number may be another process's by then.
func insideThisSession(p peer) bool {
	if p.pid <= 0 || p.gone == nil {
		return true
	}
	inside, whole := descends(strconv.Itoa(p.pid), func(pid int, name string) bool { return pid == os.Getpid() || name == sessionName })
	return inside || !whole || p.gone()
}

// planted reports whether whoever listens on a socket is a program of a blind session: none begins inside another. In another
// namespace of processes that cannot be told.
func planted(p peer) bool {
	if p.pid <= 0 {
		return false
	}
	inside, _ := descends(strconv.Itoa(p.pid), func(pid int, name string) bool { return pid != p.pid && name == sessionName })
	return inside || p.gone == nil || p.gone()
}

// shortPath is an address for a path of any length: the kernel takes 108 bytes, but follows a descriptor's link.
func shortPath(path string) (address string, done func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", nil, err
	}
	return "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path), func() { _ = dir.Close() }, nil
}
