package truststore

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode"

	library "github.com/smallstep/truststore"
)

// PrivilegeError is returned when a store needs root and there is no way to it.
type PrivilegeError struct{}

func (PrivilegeError) Error() string { return "changing the store needs root, and there is no sudo" }

// Hint says what to do.
func (PrivilegeError) Hint() string {
	return "install sudo, or run kz as root, or add the certificate of `kz ca export` to the store by hand"
}

// mayBecomeRoot is checked before the library starts to write: without sudo it would go on unprivileged.
func mayBecomeRoot(euid int) error {
	if euid == 0 {
		return nil
	}
	if _, err := exec.LookPath("sudo"); err != nil {
		return PrivilegeError{}
	}
	return nil
}

// run runs a tool as root, through sudo where there is one, as the library does.
func run(command ...string) error {
	if _, err := exec.LookPath("sudo"); err == nil {
		command = append([]string{"sudo", "--"}, command...)
	}
	cmd := exec.Command(command[0], command[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return toolError(cmd.Args, err, out)
	}
	return nil
}

// explain adds what the tool said to an error of the library, which keeps it apart.
func explain(err error) error {
	var c *library.CmdError
	if errors.As(err, &c) {
		return toolError(c.Cmd().Args, c.Err(), c.Out())
	}
	return err
}

// toolError quotes the last line that a tool printed, made fit for one line of ours.
func toolError(args []string, err error, out []byte) error {
	for len(args) > 1 && (args[0] == "sudo" || args[0] == "--") {
		args = args[1:]
	}
	name := filepath.Base(args[0])
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, lines[len(lines)-1])
	if len(last) > 200 {
		last = last[:200]
	}
	if last == "" {
		return fmt.Errorf("running %s: %w", name, err)
	}
	return fmt.Errorf("running %s: %w (%s)", name, err, strings.TrimSpace(last))
}
