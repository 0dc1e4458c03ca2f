//go:build !linux

package cli

var platformPrograms map[string]func()
