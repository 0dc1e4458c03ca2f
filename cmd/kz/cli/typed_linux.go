package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// discardTyped drops what was typed on a terminal, or pushed into it (TIOCSTI), and not read yet.
func discardTyped(stream any) {
	if f, ok := stream.(*os.File); ok {
		_ = unix.IoctlSetInt(int(f.Fd()), unix.TCFLSH, unix.TCIFLUSH)
	}
}
