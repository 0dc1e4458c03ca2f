//go:build unix

package audit

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openFlags make opening a symbolic link fail, and a pipe that nobody reads not wait.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// ownAlone reports whether a file is this user's, without anything for others.
func ownAlone(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}

// lock takes the file for as long as it is open.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errors.New("another kz writes it; give each its own")
	}
	if err != nil {
		return errors.New("it cannot be locked there, so that two could write it at once")
	}
	return nil
}

// sameFile knows a regular file again. Its methods do nothing on nil.
type sameFile struct {
	dev, ino uint64
}

func newSameFile(info fs.FileInfo) *sameFile {
	st := info.Sys().(*syscall.Stat_t)
	return &sameFile{dev: uint64(st.Dev), ino: st.Ino} //nolint:unconvert // Dev's type differs between systems
}

var (
	errGone    = errors.New("it was moved, removed or replaced")
	errChanged = errors.New("it was changed by another program")
)

// unchanged reports, as an error, that f was removed or does not have the size it was left with.
func (s *sameFile) unchanged(f *os.File, size int64) error {
	if s == nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	switch {
	case st.Nlink == 0:
		return errGone
	case st.Size != size:
		return errChanged
	}
	return nil
}

// there reports, as an error, that the file is not at path, or shorter than it was.
func (s *sameFile) there(path string, size int64) error {
	if s == nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || uint64(st.Dev) != s.dev || st.Ino != s.ino { //nolint:unconvert // as above
		return errGone
	}
	if st.Size < size {
		return errChanged
	}
	return nil
}
