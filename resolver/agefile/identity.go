package agefile

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"filippo.io/age"

	"kz/resolver"
)

// maxIdentities bounds a file of identities, of which each takes some 80 bytes, a post-quantum one 2 KiB.
const maxIdentities = 1 << 20

// DefaultIdentityFile is where sops looks for identities: the file that SOPS_AGE_KEY_FILE names, else sops/age/keys.txt
// under the user's configuration directory; "" when there is no such directory.
func DefaultIdentityFile(getenv func(string) string) string {
	if path := getenv("SOPS_AGE_KEY_FILE"); path != "" {
		return path
	}
	dir := getenv("XDG_CONFIG_HOME")
	if home := getenv("HOME"); !filepath.IsAbs(dir) {
		if !filepath.IsAbs(home) {
			return ""
		}
		if dir = filepath.Join(home, ".config"); runtime.GOOS == "darwin" {
			dir = filepath.Join(home, "Library", "Application Support")
		}
	}
	if runtime.GOOS == "windows" {
		if dir = getenv("AppData"); dir == "" {
			return ""
		}
	}
	return filepath.Join(dir, "sops", "age", "keys.txt")
}

// identities are the first that are given: of the setting, of a file, of the environment, of the default file.
func (s *Store) identities() ([]age.Identity, error) {
	if !s.opt.Identity.IsZero() {
		return s.parseIdentities(s.opt.Identity.Reveal())
	}
	if s.opt.IdentityFile == "" {
		if text := s.opt.Getenv("SOPS_AGE_KEY"); text != "" {
			return s.parseIdentities(text)
		}
	}
	path := s.identityFile()
	if path == "" {
		return nil, noIdentity("no identity is given, and there is no configuration directory to look for one: HOME is not set")
	}
	text, err := readFile(path, maxIdentities, "identity_file")
	if resolver.KindOf(err) == resolver.NotFound {
		return nil, noIdentity("there is no identity to decrypt with: no file " + path)
	}
	if err != nil {
		return nil, err
	}
	return s.parseIdentities(string(text))
}

func noIdentity(message string) error {
	return &resolver.Error{Kind: resolver.AccessDenied, Message: message,
		Advice: "name the file of the age identity with the backend's `identity_file`, or set SOPS_AGE_KEY_FILE; age-keygen makes one"}
}

func (s *Store) identityFile() string {
	if s.opt.IdentityFile != "" {
		return s.opt.IdentityFile
	}
	return DefaultIdentityFile(s.opt.Getenv)
}

// identityPlace names where the identities come from.
func (s *Store) identityPlace() string {
	switch {
	case !s.opt.Identity.IsZero():
		return "the backend's setting `identity`"
	case s.opt.IdentityFile == "" && s.opt.Getenv("SOPS_AGE_KEY") != "":
		return "SOPS_AGE_KEY"
	}
	return s.identityFile()
}

// parseIdentities reads identities in lines, or with blanks between them, as sops takes them in a variable. age's own
// errors are not passed on: they may quote the line.
func (s *Store) parseIdentities(text string) ([]age.Identity, error) {
	var words []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			words = append(words, strings.Fields(line)...)
		}
	}
	bad := func(problem string) error {
		return &resolver.Error{Kind: resolver.AccessDenied, Message: s.identityPlace() + " " + problem,
			Advice: "an identity is a line AGE-SECRET-KEY-1…, as age-keygen makes it"}
	}
	if len(words) == 0 {
		return nil, bad("holds no identity")
	}
	switch first := words[0]; {
	case strings.HasPrefix(first, "-----BEGIN"), strings.HasPrefix(first, "age-encryption.org/"):
		return nil, bad("holds an SSH key, or is encrypted itself, and kz takes neither")
	case strings.HasPrefix(first, "AGE-PLUGIN-"):
		return nil, bad("holds an identity of a plugin, which kz does not run")
	}
	ids, err := age.ParseIdentities(strings.NewReader(strings.Join(words, "\n")))
	if err != nil {
		return nil, bad("holds what is no identity of age")
	}
	return ids, nil
}

// Warnings says whether other users of the machine can read the identity file. It looks at the file's mode when called.
func (s *Store) Warnings() []string {
	if !s.opt.Identity.IsZero() || s.opt.IdentityFile == "" && s.opt.Getenv("SOPS_AGE_KEY") != "" {
		return nil
	}
	path := s.identityFile()
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return []string{fmt.Sprintf("other users of this machine may read or change the identity file %s (mode %04o); close it with: chmod 600 %s", path, info.Mode().Perm(), path)}
}
