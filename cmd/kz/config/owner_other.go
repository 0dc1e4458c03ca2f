//go:build !unix

package config

import "io/fs"

const (
	nonBlocking = 0
	checksModes = false
)

// ownedByUser is not known here: the directory's access rules decide.
func ownedByUser(fs.FileInfo) bool { return true }
