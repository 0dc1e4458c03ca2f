//go:build !linux

package cli

func ancestorSession() bool { return false }
