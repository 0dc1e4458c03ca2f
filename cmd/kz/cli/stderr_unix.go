//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// hideCrashes takes the standard error of the process away from Go's runtime, which writes to descriptor 2 whatever it
// is asked: at a panic outside the main goroutine the panic's text, and at a signal such as SIGABRT, which any process
// of the user may send, the registers and every goroutine's arguments. There may be values in all of these. kz itself
// and its children have os.Stderr, which is the same file under another number. (debug.SetTraceback cannot go below
// what the environment said at the start.) A kz that crashes ends without a word, with code 2 or by the signal.
func hideCrashes() error {
	if raceEnabled {
		return nil // its reports go there, too
	}
	fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	if err := dupTo(int(null.Fd()), 2); err != nil {
		return err
	}
	os.Stderr = os.NewFile(uintptr(fd), "/dev/stderr")
	return nil
}
