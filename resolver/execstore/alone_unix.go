//go:build unix

package execstore

import (
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

const checksModes = true

// trustedOwner reports whether a file is this user's or root's.
func trustedOwner(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid())
}

// maxDescriptor is how far descriptors are looked for: 1024 is the usual limit of who could have opened them.
const maxDescriptor = 4096

// alone gives a command a session, and so a process group and no terminal, and closes what kz itself has inherited and
// would pass on: what is nil in ExtraFiles is closed in the child.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	last := 2
	for fd := 3; fd < maxDescriptor; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			last = fd
		}
	}
	cmd.ExtraFiles = make([]*os.File, last-2)
}
