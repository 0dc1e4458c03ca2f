//go:build !unix && !windows

package ca

// SystemRoots is not known on this system and returns [ErrNoRoots].
func SystemRoots() ([]byte, error) { return nil, ErrNoRoots }
