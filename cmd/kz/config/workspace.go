package config

import (
	"os"
	"path/filepath"
	"strings"
)

// Workspace is the directory that whoever works in dir may change: the repository around it, else the one in which a
// configuration was found; "" when there is neither. The home directory is none, whatever is in it.
func Workspace(dir string, getenv func(string) string) string {
	dir, err := directory(dir)
	if err != nil {
		return ""
	}
	home, _ := filepath.EvalSymlinks(homeDir(getenv))
	top := ""
	for at := dir; at != home; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if top == "" && holdsConfiguration(at) {
			top = at
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	return top
}

func holdsConfiguration(dir string) bool {
	for _, ext := range extensions {
		if _, err := os.Lstat(filepath.Join(dir, baseName+ext)); err == nil {
			return true
		}
	}
	return false
}

// Inside reports whether a path, whose last parts need not be there yet, lies in a workspace. Nothing lies in "".
func Inside(path, workspace string) bool {
	if workspace == "" {
		return false
	}
	rest := ""
	for at := filepath.Clean(path); ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			rel, err := filepath.Rel(workspace, filepath.Join(real, rest))
			return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
		}
		if at == filepath.Dir(at) {
			return false
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}
