package cli

import (
	"errors"
	"math"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// childAttributes: a kz that is killed takes the child with it. Without kz there is no proxy,
// and a child that lives on would only meet refused connections. (The kernel forgets this for
// a set-uid program.) The child stays in kz's process group: job control is the shell's.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// closeOnExec marks every descriptor above standard error.
func closeOnExec() error {
	err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		return closeOnExecEach("/proc/self/fd") // a kernel before 5.11, or a sandbox
	}
	return err
}

// codeStopped is the si_code of a child that was stopped (waitid(2)).
const codeStopped = 5

// settle is longer than the kernel takes to stop every process of a group.
const settle = 30 * time.Millisecond

// awaitExit returns when the child has ended, without reaping it. When the child stops by
// itself, as a full-screen program does that reads Ctrl-Z in raw mode, kz stops as well:
// otherwise the shell would go on waiting for kz, with nobody at the terminal.
func awaitExit(pid int) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil || info.Code != codeStopped:
			return
		default:
			// At a Ctrl-Z of the terminal kz is stopped here too; when it goes on, the child
			// does, and is no longer found stopped.
			time.Sleep(settle)
			if stillStopped(pid) && keyboardReaches(pid) {
				_ = unix.Kill(os.Getpid(), unix.SIGTSTP) // nothing happens without job control
			}
		}
	}
}

// stillStopped takes note of a stop, so that it is not reported again.
func stillStopped(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG, nil)
	return err == nil && info.Code == codeStopped
}
