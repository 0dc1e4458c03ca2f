//go:build unix

package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func ownedByUser(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// ownedByOther: by neither this user nor root.
func ownedByOther(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid != 0 && int(st.Uid) != os.Geteuid()
}

// tryLock takes the lock on a file, held until the file is closed or the process ends.
func tryLock(f *os.File) (taken bool, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// sweepRunDirs removes the directories of runs that were killed: those of this user, whose
// lock nobody holds. A run that is just starting has its directory before its lock, so
// young ones are left for later.
func sweepRunDirs(base string, now time.Time) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), runDirPrefix) || !e.IsDir() {
			continue
		}
		info, err := e.Info()
		if err != nil || !private(info, 0o077) || now.Sub(info.ModTime()) < time.Minute {
			continue
		}
		path := filepath.Join(base, e.Name())
		f, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|syscall.O_NOFOLLOW, 0)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			_ = os.RemoveAll(path)
		case err == nil:
			if taken, _ := tryLock(f); taken {
				_ = os.RemoveAll(path)
			}
			_ = f.Close()
		}
	}
}
