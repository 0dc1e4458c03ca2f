//go:build unix

package local

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const (
	checksModes = true
	noFollow    = syscall.O_NOFOLLOW | syscall.O_NONBLOCK // a link, or a pipe, that was put there meanwhile
)

// ownedBy reports whether a file belongs to this user; with root, whether to this user or root.
func ownedBy(info fs.FileInfo, root bool) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (int(st.Uid) == os.Geteuid() || root && st.Uid == 0)
}

func tryLock(f *os.File) (taken bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// syncDirectory makes a rename last. Where a file system cannot do that, it lasts as long as that file system promises.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}
