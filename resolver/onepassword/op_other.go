//go:build !unix

package onepassword

import (
	"errors"
	"os"
	"os/exec"
)

// ownGroup leaves it to os/exec to end op: there are no process groups here.
func ownGroup(*exec.Cmd) {}

// takeRest cannot tell here what is in a pipe.
func takeRest(*os.File, *bounded) error { return errors.ErrUnsupported }
