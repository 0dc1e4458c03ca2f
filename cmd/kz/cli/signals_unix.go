//go:build unix

package cli

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const terminate = syscall.SIGTERM

// forwarded are the signals that kz passes on and does not die of. The stop signals are not
// among them: at Ctrl-Z the terminal stops kz and the child together, and SIGCONT resumes both.
var forwarded = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT,
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT,
}

// stopSignals ask kz itself to stop, while there is no child.
var stopSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

// forward passes one signal on, unless the keyboard has done so already.
func forward(p *os.Process, s os.Signal) {
	if (s == syscall.SIGINT || s == syscall.SIGQUIT) && keyboardReaches(p.Pid) {
		return
	}
	_ = p.Signal(s) // the child may just have ended, or have changed its user
}

// keyboardReaches: Ctrl-C and Ctrl-\ go to the whole foreground process group of the terminal.
// When kz and the child are both in it, the child has had the signal; a second one would make
// many programs quit at once instead of asking. Go does not tell who sent a signal, so one
// that another process sends to kz alone while it is in the foreground is taken for the
// keyboard's, and not passed on: SIGTERM is the one to send.
func keyboardReaches(child int) bool {
	group := unix.Getpgrp()
	if pgid, err := unix.Getpgid(child); err != nil || pgid != group {
		return false
	}
	return terminalGroup() == group
}

// terminalGroup is the foreground process group of the controlling terminal, 0 without one.
func terminalGroup() int {
	tty, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(tty)
	group, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	if err != nil {
		return 0
	}
	return group
}
