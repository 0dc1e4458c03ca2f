package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ErrTrustStore is what every error about the state of the trust store wraps.
var ErrTrustStore = errors.New("config: the trust store cannot be used")

// TrustStore remembers which discovered files a person has approved: by their real path, the hash of their bytes, and that
// of what known services add to them (see Source.Approval). A file has one approved content at a time, so that going back to an older one needs an approval again.
//
// It is not safe for concurrent use. Of two processes that approve at the same moment one may lose its approval, which
// is then asked for again.
type TrustStore struct {
	path     string
	approved map[string]string // real path -> approval
}

// TrustPath is where the approvals are kept: $XDG_STATE_HOME/kz/trust.json, below ~/.local/state unless set.
func TrustPath(getenv func(string) string) (string, error) {
	base := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		h := homeDir(getenv)
		if h == "" {
			return "", trustError{"neither XDG_STATE_HOME nor HOME is set", "set HOME, or XDG_STATE_HOME to a directory of your own"}
		}
		base = filepath.Join(h, ".local", "state")
	}
	return filepath.Join(base, "kz", "trust.json"), nil
}

// OpenTrust reads the approvals at an absolute path. A file that is not there holds none; one that is damaged, or that
// others could have written, is an error that wraps ErrTrustStore and carries a hint.
func OpenTrust(path string) (*TrustStore, error) {
	approved, err := readTrust(path)
	if err != nil {
		return nil, err
	}
	return &TrustStore{path, approved}, nil
}

// Approved reports whether the file at this real path was approved with this content, given as Source.Approval has it.
func (t *TrustStore) Approved(realPath, approval string) bool {
	return approval != "" && t.approved[realPath] == approval
}

// Outgrown reports whether a file, which is not approved, has the bytes that were approved: only what known services add to
// it is other than it was then.
func (t *TrustStore) Outgrown(s Source) bool {
	bytes, _, _ := strings.Cut(t.approved[s.RealPath], "+")
	return bytes == s.SHA256
}

// hash is the form of an approval.
var hash = regexp.MustCompile(`^[0-9a-f]{64}(\+[0-9a-f]{64})?$`)

// Approve records an approval, in place of an earlier one for the same path, and writes the store: atomically, mode
// 0600, in a directory of mode 0700.
func (t *TrustStore) Approve(realPath, approval string) error {
	if !filepath.IsAbs(realPath) || !hash.MatchString(approval) {
		return fmt.Errorf("approving a file: a real path and a SHA-256 hash are needed")
	}
	// Another process may have approved something since.
	approved, err := readTrust(t.path)
	if err != nil {
		return err
	}
	approved = maps.Clone(approved)
	approved[realPath] = approval
	if err := writeTrust(t.path, approved); err != nil {
		return fmt.Errorf("recording an approval: %w", err)
	}
	t.approved = approved
	return nil
}

// Untrusted lists the discovered files that still need an approval of their present content.
func (c *Config) Untrusted(t *TrustStore) []Source {
	var out []Source
	for _, s := range c.Sources {
		if s.Discovered && !t.Approved(s.RealPath, s.Approval()) {
			out = append(out, s)
		}
	}
	return out
}

type trustFile struct {
	Version  int               `json:"version"`
	Approved map[string]string `json:"approved"`
}

type trustError struct{ message, hint string }

func (e trustError) Error() string { return e.message }
func (e trustError) Hint() string  { return e.hint }
func (e trustError) Unwrap() error { return ErrTrustStore }

func readTrust(path string) (map[string]string, error) {
	bad := func(format string, args ...any) (map[string]string, error) {
		return nil, trustError{"reading the trust store " + path + ": " + fmt.Sprintf(format, args...),
			"look at it, remove it, and approve again with kz trust"}
	}
	if err := ownDirectory(filepath.Dir(path)); err != nil {
		return bad("its directory %s", err)
	}
	before, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return bad("%s", because(err))
	}
	if !before.Mode().IsRegular() {
		return bad("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return bad("%s", because(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !os.SameFile(before, info) {
		return bad("it changed while it was read")
	}
	if err := own(info); err != nil {
		return bad("it %s", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil || len(data) > maxFile {
		return bad("it is too large")
	}
	var content trustFile
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&content); err != nil || dec.More() {
		return bad("it is damaged")
	}
	if content.Version != 1 {
		return bad("it is of another version of kz")
	}
	for p, sum := range content.Approved {
		if !filepath.IsAbs(p) || !hash.MatchString(sum) {
			return bad("it is damaged")
		}
	}
	if content.Approved == nil {
		content.Approved = map[string]string{}
	}
	return content.Approved, nil
}

// ownDirectory refuses a directory that is a link or that others may write: they could put another store there. One that
// is not there yet will be made.
func ownDirectory(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return errors.New("cannot be looked at: " + because(err))
	case !info.IsDir():
		return errors.New("is not a directory")
	}
	return own(info)
}

func own(info fs.FileInfo) error {
	if checksModes && info.Mode().Perm()&0o022 != 0 {
		return errors.New("may be written by others")
	}
	if !ownedByUser(info) {
		return errors.New("belongs to another user")
	}
	return nil
}

func writeTrust(path string, approved map[string]string) error {
	data, err := json.MarshalIndent(trustFile{1, approved}, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := ownDirectory(dir); err != nil {
		return fmt.Errorf("the directory %s %w", dir, err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".trust-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // a no-op once renamed
	_, err = tmp.Write(append(data, '\n'))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
