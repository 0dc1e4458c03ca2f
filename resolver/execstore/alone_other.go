//go:build !unix

package execstore

import (
	"io/fs"
	"os/exec"
)

const checksModes = false

// trustedOwner is not known here: the access rules decide.
func trustedOwner(fs.FileInfo) bool { return true }

// alone: here the command is ended by itself, without what it has started.
func alone(*exec.Cmd) {}
