//go:build unix

package onepassword

import (
	"os/exec"
	"syscall"
)

// ownGroup lets op be ended with all that it starts. It keeps the terminal's session, by which 1Password's app knows
// whom it has let in, but as a background group it cannot read from the terminal.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
