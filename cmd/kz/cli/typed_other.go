//go:build !linux

package cli

func discardTyped(any) {}
