package cli

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// maxTyped is how long a line of a terminal can be (N_TTY_BUF_SIZE, with its end); what is longer is cut in silence.
const maxTyped = 4095

// discardTyped drops what was typed on a terminal, or pushed into it (TIOCSTI), and not read yet.
func discardTyped(stream any) {
	if f, ok := stream.(*os.File); ok {
		_ = unix.IoctlSetInt(int(f.Fd()), unix.TCFLSH, unix.TCIFLUSH)
	}
}

// moreTyped reports whether a further line comes from a terminal within a time.
func moreTyped(f *os.File, wait time.Duration) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}, int(wait.Milliseconds())) //nolint:gosec // a descriptor
	return err == nil && n > 0
}
