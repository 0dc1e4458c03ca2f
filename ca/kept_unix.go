//go:build unix

package ca

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openNoFollow refuses a symbolic link and does not wait for the other end of a named pipe.
const openNoFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// makeOwn makes a directory that nobody else can reach, unless it is there.
func makeOwn(dir string) error { return os.MkdirAll(dir, 0o700) }

// onlyOwn wants a file, or a directory, of this user's that is closed to everybody else.
func onlyOwn(name string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to another user: %w", name, ErrUnsafeFile)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s has mode %04o, others could reach it: %w", name, info.Mode().Perm(), ErrUnsafeFile)
	}
	return nil
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
