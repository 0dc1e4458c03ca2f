//go:build !unix

package cli

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

var terminate = os.Kill

var (
	forwarded   = []os.Signal{os.Interrupt}
	stopSignals = []os.Signal{os.Interrupt}
)

// forward: a console gives Ctrl-C to every process attached to it.
func forward(*os.Process, os.Signal) {}

func childAttributes() *syscall.SysProcAttr { return nil }

func closeOnExec() error { return nil } // descriptors are passed on by list only

func awaitExit(int) {} // Cmd.Wait does

func lookCommand(name string, _ []string) (string, error) {
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", notFound(name)
	}
	return path, err
}
