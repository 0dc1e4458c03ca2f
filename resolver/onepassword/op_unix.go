//go:build unix

package onepassword

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup lets op be ended with all that it starts. It keeps the terminal's session, by which 1Password's app knows
// whom it has let in, but as a background group it cannot read from the terminal.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// takeRest takes what is in a pipe now, without waiting for more.
func takeRest(r *os.File, to *bounded) error {
	raw, err := r.SyscallConn()
	if err = errors.Join(err, r.SetReadDeadline(time.Time{})); err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for {
		var n int
		var readErr error
		if err := raw.Read(func(fd uintptr) bool { n, readErr = syscall.Read(int(fd), buf); return true }); err != nil {
			return err
		}
		switch {
		case errors.Is(readErr, syscall.EINTR):
			continue
		case errors.Is(readErr, syscall.EAGAIN), readErr == nil && n == 0:
			return nil
		case readErr != nil:
			return readErr
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
	}
}
