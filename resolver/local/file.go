package local

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"kz/resolver"
)

// refused is the error for a file or directory that is not only its user's.
func refused(path, why, fix string) error {
	return &resolver.Error{Kind: resolver.AccessDenied, Message: path + " " + why, Advice: fix}
}

// checkDirectory refuses a directory in which others could put another file.
func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return resolver.File(dir, err)
	case !info.IsDir():
		return refused(dir, "is not a directory", "check the backend's `path`")
	case checksModes && info.Mode().Perm()&0o022 != 0:
		return refused(dir, fmt.Sprintf("can be written to by others (mode %04o)", info.Mode().Perm()), "close it with: chmod 700 "+dir)
	case !ownedBy(info, true):
		return refused(dir, "belongs to another user", "keep the local store in a directory of your own, with the backend's `path`")
	}
	return nil
}

func makeDirectory(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return writing(dir, err)
	}
	return checkDirectory(dir)
}

// checkFile refuses what is not a regular file of this user that nobody else can open.
func checkFile(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return refused(path, "is not a regular file", "put the file itself there, not a link to it")
	case checksModes && info.Mode().Perm()&0o077 != 0:
		return refused(path, fmt.Sprintf("can be read or changed by others (mode %04o)", info.Mode().Perm()),
			"close it with: chmod 600 "+path+" (and change the values if others have read them)")
	case !ownedBy(info, false):
		return refused(path, "belongs to another user", "run kz as its owner, or keep a file of your own with the backend's `path`")
	}
	return nil
}

// readPrivate reads a file that only its user can open.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, resolver.File(path, err)
	}
	if err := checkFile(path, info); err != nil {
		return nil, err
	}
	if err := checkDirectory(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, resolver.File(path, err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil { // of what was opened: another may be there by now
		return nil, resolver.File(path, err)
	}
	if err := checkFile(path, info); err != nil {
		return nil, err
	}
	return read(f, path)
}

func read(f *os.File, path string) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, resolver.File(path, err)
	}
	if len(text) > maxSize {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: path + " is longer than 4 MiB", Advice: "it is no local store of kz; check the backend's `path`"}
	}
	return text, nil
}

// writePrivate puts a file at path with mode 0600, whole and on the disk or not at all.
func writePrivate(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, unfinished(path)) // O_EXCL, 0600
	if err != nil {
		return writing(path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = writing(path, err)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDirectory(dir)
}

// unfinished is the pattern of what a file is called before it is whole.
func unfinished(path string) string { return "." + filepath.Base(path) + ".*.new" }

// sweep removes what a Put left behind that was killed. The caller has the lock, so that no other is under way.
func sweep(paths ...string) {
	for _, path := range paths {
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			continue // it is only for tidiness
		}
		for _, e := range entries {
			if ok, _ := filepath.Match(unfinished(path), e.Name()); ok && e.Type().IsRegular() {
				_ = os.Remove(filepath.Join(filepath.Dir(path), e.Name()))
			}
		}
	}
}

// writing classifies an error of writing to a file. Its text is the system's.
func writing(path string, err error) error {
	e := resolver.File(path, err)
	if e.Kind == resolver.AccessDenied {
		e.Message, e.Advice = "no permission to write "+path, "check the owner and mode of its directory: ls -ld "+filepath.Dir(path)
		return e
	}
	return &resolver.Error{Kind: resolver.Unavailable, Message: "writing " + path + " is not possible", Advice: "check the disk's space and the directory " + filepath.Dir(path)}
}

// lockEvery is how often a lock that another process holds is asked for: a Put takes some milliseconds.
const lockEvery = 10 * time.Millisecond

// lock takes the lock file, for which it waits until ctx ends. The file stays: to remove it would let two in.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|noFollow, 0o600)
	if err != nil {
		return nil, writing(path, err)
	}
	for {
		taken, err := tryLock(f)
		switch {
		case err != nil:
			_ = f.Close()
			return nil, writing(path, err)
		case taken:
			return func() { _ = f.Close() }, nil // which gives it back
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			e := resolver.Transport(ctx.Err())
			if e.Kind == resolver.TimedOut {
				e.Message, e.Advice = "another kz is writing the local store", "see which one holds it: fuser "+path
			}
			return nil, e
		case <-time.After(lockEvery):
		}
	}
}
