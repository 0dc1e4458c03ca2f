//go:build unix

package config

import (
	"io/fs"
	"os"
	"syscall"
)

const (
	nonBlocking = syscall.O_NONBLOCK
	checksModes = true
)

// ownedByUser reports whether a file belongs to the user of this process or to root. Root itself may read anyone's.
func ownedByUser(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || os.Geteuid() == 0 || int(st.Uid) == os.Geteuid())
}
