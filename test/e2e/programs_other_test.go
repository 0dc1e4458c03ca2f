//go:build !linux

package e2e_test

var platformPrograms map[string]func([]string) int
