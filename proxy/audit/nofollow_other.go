//go:build !unix

package audit

// noFollow does nothing where the system has no such flag.
const noFollow = 0
