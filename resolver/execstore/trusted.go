package execstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kz/resolver"
)

// trusted is the program that a path leads to, with no link left in it. It is refused when others than this user and root
// could put another in its place, as far as the modes of the file and of every directory and link on the way say.
func trusted(command string, workspaces []string) (path string, err error) {
	refused := func(at, why, fix string) (string, error) {
		if !strings.HasPrefix(command+string(filepath.Separator), at+string(filepath.Separator)) {
			why = fmt.Sprintf("(by way of %s) %s", at, why)
		}
		return "", &resolver.Error{Kind: resolver.AccessDenied, Message: "the command " + command + " " + why, Advice: fix}
	}
	steps, err := walk(command)
	if err != nil {
		e := resolver.File(command, err)
		if e.Kind == resolver.NotFound {
			e.Kind = resolver.InvalidReference
		}
		e.Advice = "correct the backend's `command`"
		return "", e
	}
	for _, s := range steps {
		mode := s.info.Mode()
		switch {
		case within(workspaces, s.path):
			return refused(s.path, "lies in the workspace, where what it does can be changed without an approval", "put it elsewhere, as in ~/.local/bin, and name it there")
		case !trustedOwner(s.info):
			return refused(s.path, "belongs to another user, who could change it", "use a program of root's or of your own")
		case checksModes && mode.IsDir() && mode&fs.ModeSticky == 0 && mode.Perm()&0o002 != 0:
			return refused(s.path, "lies in a directory that anyone may write to", "chmod o-w "+s.path+", or put it elsewhere")
		}
	}
	last := steps[len(steps)-1]
	switch mode := last.info.Mode(); {
	case !mode.IsRegular():
		return refused(command, "is not a file", "correct the backend's `command`")
	case checksModes && mode.Perm()&0o002 != 0:
		return refused(command, "can be changed by anyone", "chmod o-w "+last.path)
	case checksModes && mode.Perm()&0o111 == 0:
		return refused(command, "is not executable", "chmod u+x "+last.path)
	}
	return last.path, nil
}

// step is one thing on the way to a file: a directory, a link, in the end the file.
type step struct {
	path string
	info fs.FileInfo
}

// walk follows an absolute path through all its links.
func walk(path string) (steps []step, err error) {
	const maxLinks = 40 // as Linux has it
	at, rest, links := filepath.VolumeName(path)+string(filepath.Separator), parts(path), 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if name == ".." { // of a link's text; what it leads to is at itself without links
			at = filepath.Dir(at)
			continue
		}
		at = filepath.Join(at, name)
		info, err := os.Lstat(at)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step{at, info})
		if info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		if links++; links > maxLinks {
			return nil, errors.New("too many links")
		}
		to, err := os.Readlink(at)
		if err != nil {
			return nil, err
		}
		if at = filepath.Dir(at); filepath.IsAbs(to) {
			at = filepath.VolumeName(to) + string(filepath.Separator)
		}
		rest = append(parts(to), rest...)
	}
	if len(steps) == 0 || steps[len(steps)-1].path != at {
		return nil, errors.New("it is a directory")
	}
	return steps, nil
}

// parts are the names in a path.
func parts(path string) []string {
	names := strings.Split(filepath.ToSlash(strings.TrimPrefix(path, filepath.VolumeName(path))), "/")
	return slices.DeleteFunc(names, func(name string) bool { return name == "" || name == "." })
}

// within reports whether a path lies in one of the directories, by its text, or with its links followed as far as it is there.
func within(dirs []string, path string) bool {
	paths := []string{path}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		paths = append(paths, real)
	}
	for _, dir := range dirs {
		for _, p := range paths {
			rel, err := filepath.Rel(dir, p)
			if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
				return true
			}
		}
	}
	return false
}
