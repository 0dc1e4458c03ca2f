//go:build unix

package local_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"kz/resolver"
	"kz/resolver/local"
)

func TestWhereTheKeyIs(t *testing.T) {
	t.Parallel()
	a := resolver.Ref{ID: "A"}
	noFile := func(t *testing.T, path string) {
		t.Helper()
		if _, err := os.Lstat(path + ".key"); err == nil {
			t.Error("there is a key file")
		}
	}
	t.Run("in the keychain, and in no file", func(t *testing.T) {
		t.Parallel()
		path, chain := place(t), &keychain{}
		s := open(t, local.Options{Path: path, Keychain: chain})
		put(t, s, a, canary)
		noFile(t, path)
		if keys := chain.keys(); len(keys) != 1 || !strings.HasPrefix(keys[0], "AGE-SECRET-KEY-1") {
			t.Errorf("the keychain has %d keys", len(keys))
		}
		if w := s.Warnings(); w != nil {
			t.Errorf("it warns: %q", w)
		}
		expect(t, open(t, local.Options{Path: path, Keychain: chain}), a, canary)
		put(t, open(t, local.Options{Path: path, Keychain: chain}), resolver.Ref{ID: "B"}, canary)
		expect(t, s, resolver.Ref{ID: "B"}, canary)
	})
	t.Run("in a file, where the keychain does not take it, with a warning", func(t *testing.T) {
		t.Parallel()
		for name, chain := range map[string]*keychain{
			"there is none": nil, "it is locked": {err: &resolver.Error{Kind: resolver.Unavailable}}, "it forgets": {deaf: true},
		} {
			path := place(t)
			o := local.Options{Path: path}
			if chain != nil {
				o.Keychain = chain
			}
			s := open(t, o)
			put(t, s, a, canary)
			expect(t, open(t, o), a, canary)
			if info, err := os.Lstat(path + ".key"); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v", name, err)
			}
			if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], path+".key") {
				t.Errorf("%s: the warnings are %q", name, w)
			}
		}
	})
	t.Run("a store that is made anew keeps the key that is there", func(t *testing.T) {
		t.Parallel()
		path, chain := place(t), &keychain{}
		put(t, open(t, local.Options{Path: path, Keychain: chain}), a, canary)
		before := chain.keys()[0]
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		put(t, open(t, local.Options{Path: path, Keychain: chain}), a, "new")
		if chain.keys()[0] != before {
			t.Error("the key has changed, and a backup of the file is lost")
		}
	})
	t.Run("two stores have two keys", func(t *testing.T) {
		t.Parallel()
		chain := &keychain{}
		for range 2 {
			put(t, open(t, local.Options{Path: place(t), Keychain: chain}), a, canary)
		}
		if keys := chain.keys(); len(keys) != 2 || keys[0] == keys[1] {
			t.Errorf("there are %d keys", len(keys))
		}
	})
	t.Run("a keychain that is locked later is told", func(t *testing.T) {
		t.Parallel()
		path, chain := place(t), &keychain{}
		put(t, open(t, local.Options{Path: path, Keychain: chain}), a, canary)
		chain.err = &resolver.Error{Kind: resolver.Unavailable, Message: "the keychain is locked", Advice: "unlock it"}
		s := open(t, local.Options{Path: path, Keychain: chain})
		_, err := s.Resolve(t.Context(), a)
		fails(t, err, resolver.Unavailable, ".key, and the keychain cannot be asked: the keychain is locked", chain.keys()...)
		var e *resolver.Error
		if !errors.As(err, &e) || !strings.Contains(e.Hint(), "put it back") {
			t.Errorf("the hint is that of another store: %v", e.Hint())
		}
		fails(t, s.Put(t.Context(), a, resolver.NewSecret(canary)), resolver.Unavailable, "the keychain is locked", chain.keys()...)
		noFile(t, path)
	})
	t.Run("a key that changes under a running session is read anew", func(t *testing.T) {
		t.Parallel()
		path := place(t)
		s := open(t, local.Options{Path: path})
		put(t, s, a, "old")
		for _, name := range []string{path, path + ".key"} {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		put(t, open(t, local.Options{Path: path}), a, "new")
		expect(t, s, a, "new")
	})
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, path string) error
		kind   resolver.Kind
		text   string
	}{
		"the store is open to a group":     {func(_ *testing.T, p string) error { return os.Chmod(p, 0o640) }, resolver.AccessDenied, "mode 0640"},
		"the store is open to others":      {func(_ *testing.T, p string) error { return os.Chmod(p, 0o602) }, resolver.AccessDenied, "mode 0602"},
		"the key is open to others":        {func(_ *testing.T, p string) error { return os.Chmod(p+".key", 0o604) }, resolver.AccessDenied, ".key can be read or changed"},
		"the directory is open to others":  {func(_ *testing.T, p string) error { return os.Chmod(filepath.Dir(p), 0o770) }, resolver.AccessDenied, "can be written to by others"},
		"the store is a link":              {func(_ *testing.T, p string) error { return link(p) }, resolver.AccessDenied, "not a regular file"},
		"the key is a link":                {func(_ *testing.T, p string) error { return link(p + ".key") }, resolver.AccessDenied, "not a regular file"},
		"the store is a pipe":              {func(_ *testing.T, p string) error { return pipe(p) }, resolver.AccessDenied, "not a regular file"},
		"the key is gone":                  {func(_ *testing.T, p string) error { return os.Remove(p + ".key") }, resolver.DecryptionFailed, "neither in the keychain nor in"},
		"the key is damaged":               {func(t *testing.T, p string) error { return cut(p+".key", 20) }, resolver.DecryptionFailed, "key in"},
		"the key is another store's":       {foreignKey, resolver.DecryptionFailed, "another key"},
		"the store is cut short":           {func(t *testing.T, p string) error { return cut(p, 1) }, resolver.DecryptionFailed, "damaged or cut short"},
		"the store is cut in its header":   {func(t *testing.T, p string) error { return cut(p, -30) }, resolver.DecryptionFailed, "damaged or cut short"},
		"the store is empty":               {func(t *testing.T, p string) error { return os.Truncate(p, 0) }, resolver.DecryptionFailed, "damaged or cut short"},
		"a bit of the store has changed":   {flip, resolver.DecryptionFailed, "damaged or cut short"},
		"the store is longer than any is":  {func(t *testing.T, p string) error { return os.Truncate(p, 5<<20) }, resolver.InvalidReference, "4 MiB"},
		"the store is of a later version":  {sealed(`{"version":2,"secrets":{"A":"` + canary + `"}}`), resolver.InvalidReference, "another version"},
		"the store holds something else":   {sealed(`{"version":1,"secrets":["` + canary + `"]}`), resolver.DecryptionFailed, "does not hold what kz writes"},
		"the store holds no JSON":          {sealed(canary), resolver.InvalidReference, "another version"},
		"the store belongs to another":     {chown(""), resolver.AccessDenied, "another user"},
		"the key belongs to another":       {chown(".key"), resolver.AccessDenied, "another user"},
		"the directory belongs to another": {chown("/.."), resolver.AccessDenied, "another user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.HasSuffix(name, "belongs to another") && os.Geteuid() != 0 {
				return // only root can make one
			}
			path := place(t)
			put(t, open(t, local.Options{Path: path}), resolver.Ref{ID: "A"}, canary)
			key, err := os.ReadFile(path + ".key")
			if err != nil {
				t.Fatal(err)
			}
			if err := c.change(t, path); err != nil {
				t.Fatal(err)
			}
			before := content(path)
			s := open(t, local.Options{Path: path})
			r, err := s.Resolve(t.Context(), resolver.Ref{ID: "A"})
			if !r.Secret.IsZero() {
				t.Error("there is a value")
			}
			secret := strings.TrimSpace(string(key))
			fails(t, err, c.kind, c.text, secret, strings.ToLower(secret))
			fails(t, s.Check(t.Context()), c.kind, c.text, secret)
			fails(t, s.Put(t.Context(), resolver.Ref{ID: "A"}, resolver.NewSecret(canary)), c.kind, c.text, secret)
			if !bytes.Equal(before, content(path)) {
				t.Error("a Put that failed has changed the file")
			}
		})
	}
}

// content is what a file holds; nothing for a pipe, which would keep the reader waiting.
func content(path string) []byte {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	text, _ := os.ReadFile(path)
	return text
}

func link(path string) error {
	if err := os.Rename(path, path+".real"); err != nil {
		return err
	}
	return os.Symlink(path+".real", path)
}

func pipe(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return syscall.Mkfifo(path, 0o600)
}

// cut removes the last n bytes, or all but the first -n.
func cut(path string, n int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if n < 0 {
		return os.Truncate(path, -n)
	}
	return os.Truncate(path, info.Size()-n)
}

func flip(_ *testing.T, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text[len(text)-5] ^= 0x10
	return os.WriteFile(path, text, 0o600)
}

func foreignKey(t *testing.T, path string) error {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	return os.WriteFile(path+".key", []byte(id.String()), 0o600)
}

// sealed encrypts something else with the store's own key.
func sealed(text string) func(t *testing.T, path string) error {
	return func(t *testing.T, path string) error {
		key, err := os.ReadFile(path + ".key")
		if err != nil {
			return err
		}
		id, err := age.ParseX25519Identity(strings.TrimSpace(string(key)))
		if err != nil {
			return err
		}
		var out bytes.Buffer
		w, err := age.Encrypt(&out, id.Recipient())
		if err != nil {
			return err
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		return os.WriteFile(path, out.Bytes(), 0o600)
	}
}

// chown gives a file to another user.
func chown(what string) func(t *testing.T, path string) error {
	return func(_ *testing.T, path string) error { return os.Chown(filepath.Clean(path+what), 65534, -1) }
}
