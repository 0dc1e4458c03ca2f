//go:build !unix

package onepassword

import "os/exec"

// ownGroup leaves it to os/exec to end op: there are no process groups here.
func ownGroup(*exec.Cmd) {}
