package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// writeFileAtomic puts data at path with mode 0600, whole or not at all. What was at path
// is replaced, not written through: a link there is not followed.
func writeFileAtomic(path string, data []byte) error { return writeFileMode(path, data, 0o600) }

// writeFileMode is writeFileAtomic with another mode, whatever the umask. The file has it before it has its name: to change
// it afterwards would be to follow a link that has been put there meanwhile.
func writeFileMode(path string, data []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // O_EXCL, 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	_, err = f.Write(data)
	if err == nil && mode != 0o600 {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// removeOwn removes a file that holds what was written to it. Another kz may have put its own there since.
func removeOwn(path string, written []byte) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(written)) {
		return
	}
	if held, err := os.ReadFile(path); err == nil && bytes.Equal(held, written) {
		_ = os.Remove(path)
	}
}

// stateDir is where kz keeps what outlives a run: $XDG_STATE_HOME/kz, made with mode 0700.
// One that another user owns or may write to is refused.
func (a *app) stateDir() (string, error) {
	base := a.getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) { // the XDG specification: a relative one is ignored
		home := a.getenv("HOME")
		if !filepath.IsAbs(home) {
			return "", withHint(errors.New("finding the state directory: HOME is not set"), "set HOME or XDG_STATE_HOME")
		}
		base = filepath.Join(home, ".local", "state")
	}
	dir := filepath.Join(base, "kz")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", withHint(fmt.Errorf("making the state directory: %w", err), "set XDG_STATE_HOME to a directory of your own that can be written")
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("making the state directory: %w", err)
	}
	if !private(info, 0o022) {
		return "", withHint(fmt.Errorf("the state directory %s can be written by others", dir), "chmod 700 %s", dir)
	}
	return dir, nil
}

// runDir is the private directory of one run, for files that the child is pointed at. It
// holds nothing secret: CA certificates and bundles.
type runDir struct {
	path string
	root *os.Root
	lock *os.File // held while the run lasts, so that a later run can tell what is left over
}

const runDirPrefix = "kz-run-"

// newRunDir makes the directory, under $XDG_RUNTIME_DIR where that is as it should be and
// else under $TMPDIR, and starts to remove what killed runs have left there. Close it.
func (a *app) newRunDir() (*runDir, error) {
	base := a.getenv("XDG_RUNTIME_DIR")
	info, err := os.Stat(base)
	if !filepath.IsAbs(base) || err != nil || !info.IsDir() || !private(info, 0o077) || !plainPath(base) {
		base = a.getenv("TMPDIR")
		if !filepath.IsAbs(base) {
			base = os.TempDir()
		}
		if tmp := "/tmp"; !plainPath(base) && isDir(tmp) {
			base = tmp
		}
	}
	go sweepRunDirs(base, a.now())
	return openRunDir(base)
}

// plainPath: each client that is pointed at a file below the path can be told of it. PHP takes quotes and ${NAME} apart, lists
// have their separator, and options of a JVM end at a line break.
func plainPath(path string) bool {
	return !strings.ContainsAny(path, `"$`+string(filepath.ListSeparator)) && !strings.ContainsFunc(path, unicode.IsControl)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func openRunDir(base string) (_ *runDir, err error) {
	path, err := os.MkdirTemp(base, runDirPrefix) // 0700, unpredictable name
	if err != nil {
		return nil, fmt.Errorf("making the run's directory: %w", err)
	}
	d := &runDir{path: path}
	defer func() {
		if err != nil {
			_ = d.Close()
			err = fmt.Errorf("making the run's directory: %w", err)
		}
	}()
	if d.root, err = os.OpenRoot(path); err != nil {
		return nil, err
	}
	if d.lock, err = d.root.OpenFile("lock", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	_, err = tryLock(d.lock)
	return d, err
}

// Write creates a file of mode 0644, for clients that drop privileges of their own; the
// directory keeps other users out. It returns the absolute path.
func (d *runDir) Write(name string, data []byte) (path string, err error) {
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return "", fmt.Errorf("writing to the run's directory: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644) // whatever the umask
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return "", fmt.Errorf("writing to the run's directory: %w", err)
	}
	return filepath.Join(d.path, name), nil
}

// Close removes the directory and all in it. It may be called more than once.
func (d *runDir) Close() error {
	err := os.RemoveAll(d.path)
	if d.root != nil {
		_ = d.root.Close()
	}
	if d.lock != nil {
		_ = d.lock.Close()
	}
	if err != nil {
		return fmt.Errorf("removing the run's directory: %w", err)
	}
	return nil
}

// private: owned by this user, and without any of the given permission bits.
func private(info fs.FileInfo, bits fs.FileMode) bool {
	return info.IsDir() && info.Mode().Perm()&bits == 0 && ownedByUser(info)
}
