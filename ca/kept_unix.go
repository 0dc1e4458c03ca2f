//go:build unix

package ca

import (
	"io/fs"
	"os"
	"syscall"
)

// openNoFollow refuses a symbolic link and does not wait for the other end of a named pipe.
const openNoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func ownedByUser(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// syncDir makes a new name in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
