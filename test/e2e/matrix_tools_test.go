package e2e_test

import (
	"runtime"
	"testing"

	"kz/test/bed"
)

// told is a version that a program tells.
func told(program string, args ...string) func(t *testing.T) []string {
	return func(t *testing.T) []string { return append([]string{bed.Program(t, program)}, args...) }
}

// script is a call by way of sh: $0 is the program.
func script(program, text string) func(t *testing.T, c *attempt) []string {
	return func(t *testing.T, _ *attempt) []string {
		return []string{"/bin/sh", "-ec", text, bed.Program(t, program)}
	}
}

// toolRows are programs of the command line, and languages with no place of their own.
func toolRows() []row {
	return []row{
		{client: "curl", version: told("curl", "--version"), call: script("curl", `"$0" -sS -H "Authorization: Bearer $API_KEY" https://api.test/echo`)},
		{
			client: "Go", version: func(*testing.T) []string { return []string{"/bin/echo", runtime.Version()} },
			call: func(t *testing.T, _ *attempt) []string { return []string{bed.Self(t), "@get", "https://api.test/echo"} },
		},
	}
}

// packageRows are package managers, each with a small index of its own.
func packageRows() []row { return nil }
