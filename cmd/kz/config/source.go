package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// The names of files.
const (
	baseName  = ".keyzero"
	localName = ".keyzero.local"
)

var extensions = []string{".toml", ".yaml", ".yml"}

// found is a file to be read.
type found struct {
	path  string // absolute
	shown string // as a person sees it
	class class
}

type class uint8

const (
	discovered class = iota // in a workspace
	named                   // by --config
	owned                   // the user's own file
)

// find lists the files to read, the lowest layer first.
func find(o Options, dir string) ([]found, error) {
	var files []found
	if p := userFile(o.Getenv); p != "" {
		if _, err := os.Lstat(p); err == nil {
			class := owned
			if Inside(p, Workspace(dir, o.Getenv)) {
				class = discovered // wherever a variable points: what lies in a workspace is not the user's own
			}
			files = append(files, found{p, p, class})
		}
	}
	if o.File != "" {
		p := o.File
		if !filepath.IsAbs(p) {
			p = filepath.Join(dir, p)
		}
		return append(files, found{p, o.File, named}), nil
	}
	home, _ := filepath.EvalSymlinks(homeDir(o.Getenv))
	for at := dir; ; at = filepath.Dir(at) {
		base, err := one(at, baseName)
		if err != nil {
			return nil, err
		}
		if base != "" {
			files = append(files, found{base, shorten(base, dir), discovered})
			local, err := one(at, localName)
			if err != nil {
				return nil, err
			}
			if local != "" {
				files = append(files, found{local, shorten(local, dir), discovered})
			}
			return files, nil
		}
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil || at == home || at == filepath.Dir(at) {
			return files, nil
		}
	}
}

// Discover lists the files that Load would read, the lowest layer first, without reading them, and tells whether one of
// them is that of a workspace. The user's own file alone is none.
func Discover(o Options) (paths []string, workspace bool, err error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	dir, err := directory(o.Dir)
	if err != nil {
		return nil, false, fmt.Errorf("looking for a configuration: %w", err)
	}
	files, err := find(o, dir)
	if err != nil {
		return nil, false, err
	}
	user := userFile(o.Getenv)
	for _, f := range files {
		paths = append(paths, f.path)
		workspace = workspace || f.path != user
	}
	return paths, workspace, nil
}

// one is the file in dir of that name, whatever its extension; more than one is an error, as they would contradict.
func one(dir, name string) (string, error) {
	var there string
	for _, ext := range extensions {
		p := filepath.Join(dir, name+ext)
		if _, err := os.Lstat(p); err != nil {
			continue
		}
		if there != "" {
			return "", Problems{{Pos: Pos{File: p}, Message: "there is also " + filepath.Base(there) + " in the same directory", Hint: "keep one of them"}}
		}
		there = p
	}
	return there, nil
}

func shorten(path, dir string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}

func homeDir(getenv func(string) string) string {
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if h := getenv(name); filepath.IsAbs(h) {
			return filepath.Clean(h)
		}
	}
	return ""
}

// userFile is $XDG_CONFIG_HOME/keyzero/config.toml; "" when there is no home directory. A relative $XDG_CONFIG_HOME is
// ignored, as its specification says.
func userFile(getenv func(string) string) string {
	base := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(base) {
		h := homeDir(getenv)
		if h == "" {
			return ""
		}
		base = filepath.Join(h, ".config")
	}
	return filepath.Join(base, "keyzero", "config.toml")
}

// read opens a file once. What is hashed is what is parsed: nothing reads the file again.
func (f found) read() ([]byte, Source, *Problem) {
	bad := func(message, hint string) ([]byte, Source, *Problem) {
		return nil, Source{}, &Problem{Pos: Pos{File: f.shown}, Message: message, Hint: hint}
	}
	unread := func(err error) ([]byte, Source, *Problem) { return bad("reading the file: "+because(err), f.mend(err)) }
	real, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		return unread(err)
	}
	flags := os.O_RDONLY
	if f.class != named {
		flags |= nonBlocking // a pipe put there must not hang kz
	}
	file, err := os.OpenFile(real, flags, 0)
	if err != nil {
		return unread(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return unread(err)
	}
	if info.IsDir() || f.class != named && !info.Mode().IsRegular() {
		return bad("this is not a regular file", "put a file in its place, or take it away")
	}
	if f.class != named {
		// An approval is no better than what keeps others from the file; the user's own is not even approved.
		if info.Mode().Perm()&0o002 != 0 && checksModes {
			return bad("anyone may write this file, so its backends cannot be trusted", "read it, then `chmod 600` it")
		}
		if !ownedByUser(info) {
			return bad("this file belongs to another user", "work in a directory of your own, or name the file with --config if you trust it")
		}
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return unread(err)
	}
	if len(data) > maxFile {
		return bad("the file is larger than 1 MiB", "a configuration is small: see `kz help configuration`")
	}
	sum := sha256.Sum256(data)
	return data, Source{Path: f.path, RealPath: real, SHA256: hex.EncodeToString(sum[:]), Discovered: f.class == discovered}, nil
}

// mend says what to do about a file that cannot be read.
func (f found) mend(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "make it readable for you, as with `chmod u+r`, or name another with --config"
	case !errors.Is(err, fs.ErrNotExist):
		return ""
	case f.class != named:
		return "it is a link to nothing: remove it, or make the file"
	}
	return "check the path; without --config the .keyzero.toml of this directory or the nearest one above is taken"
}

// because is the reason of a failed file operation, without the path, which the position has.
func because(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// parse reads the format that the file's name says.
func (f found) parse(data []byte) (*node, *Problem) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return nil, &Problem{Pos: Pos{File: f.shown}, Message: "the file is not UTF-8 text"}
	}
	var root *node
	var problem *Problem
	switch strings.ToLower(filepath.Ext(f.shown)) {
	case ".toml":
		root, problem = parseTOML(f.shown, data)
	case ".yaml", ".yml", ".json":
		root, problem = parseYAML(f.shown, data)
	default:
		return nil, &Problem{Pos: Pos{File: f.shown}, Message: "the name ends in none of .toml, .yaml and .yml, so its format is unknown"}
	}
	if problem != nil && problem.Hint == "" && strings.HasPrefix(problem.Message, "reading ") { // of the syntax
		problem.Hint = "`kz help configuration` has an example"
	}
	return root, problem
}
