//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath stands in when the child has no PATH, as in a shell.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// lookCommand finds a program as execvp(3) does: a name with a slash as it is, any other in
// the PATH of the child, whose empty elements are the working directory. One that is there
// but may not be executed is remembered, and reported if none later on can be.
func lookCommand(name string, env []string) (path string, err error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	if name == "" {
		return "", notFound(name)
	}
	dirs, ok := lastValue(env, "PATH")
	if !ok {
		dirs = defaultPath
	}
	denied := ""
	for _, dir := range filepath.SplitList(dirs) {
		if dir == "" {
			dir = "."
		}
		path := dir + "/" + name
		info, err := os.Stat(path)
		if err != nil || info.IsDir() {
			continue
		}
		if unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS) == nil {
			return path, nil
		}
		if denied == "" {
			denied = path
		}
	}
	if denied != "" {
		return "", startError(name, denied, syscall.EACCES)
	}
	return "", notFound(name)
}
