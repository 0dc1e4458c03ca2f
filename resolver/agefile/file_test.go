//go:build unix

package agefile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"kz/resolver"
	"kz/resolver/agefile"
	"kz/resolver/resolvertest"
)

func TestReferences(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	env := open(t, agefile.Options{Path: write(t, "s.age", seal(t, "A=plain\nB={\"x\":\"one\"}\n", false, id.Recipient())), Identity: resolver.NewSecret(id.String())})
	doc := open(t, agefile.Options{Path: write(t, "s.age", seal(t, `{"a":{"b":"one"},"c.d":"two","auto":"three","json":"{\"x\":\"four\"}"}`, true, id.Recipient())),
		Identity: resolver.NewSecret(id.String())})
	for name, c := range map[string]struct {
		s    *agefile.Store
		ref  resolver.Ref
		want string
		kind resolver.Kind
	}{
		"the id is the key":                         {env, resolver.Ref{ID: "A"}, "plain", ""},
		"the field is, without an id":               {env, resolver.Ref{Field: "A"}, "plain", ""},
		"with both the field is one of the value's": {env, resolver.Ref{ID: "B", Field: "x"}, "one", ""},
		"a key of a dotenv file is no path":         {env, resolver.Ref{ID: "B.x"}, "", resolver.FieldMissing},
		"a dotted path":                             {doc, resolver.Ref{ID: "a.b"}, "one", ""},
		"a path, and the field of what is there":    {doc, resolver.Ref{ID: "a", Field: "b"}, "one", ""},
		"a JSON pointer":                            {doc, resolver.Ref{ID: "/a/b"}, "one", ""},
		"a key with a dot in it":                    {doc, resolver.Ref{ID: "c.d"}, "two", ""},
		"a key named auto":                          {doc, resolver.Ref{ID: "auto"}, "three", ""},
		"a value that is JSON in a text":            {doc, resolver.Ref{ID: "json", Field: "x"}, "four", ""},
		"no key":                                    {doc, resolver.Ref{}, "", resolver.InvalidReference},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := c.s.Resolve(t.Context(), c.ref)
			if r.Secret.Reveal() != c.want || resolver.KindOf(err) != c.kind {
				t.Errorf("%q, %v", r.Secret.Reveal(), err)
			}
		})
	}
}

func TestFilesThatCannotBeDecrypted(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	text := "API_KEY=" + canary + "\n"
	good, armored := seal(t, text, false, id.Recipient()), seal(t, text, true, id.Recipient())
	scrypt, err := age.NewScryptRecipient("passphrase")
	if err != nil {
		t.Fatal(err)
	}
	scrypt.SetWorkFactor(10)
	flip := func(b []byte, at int) []byte { b = append([]byte{}, b...); b[at] ^= 1; return b }
	for name, c := range map[string]struct {
		file []byte
		kind resolver.Kind
		text string
	}{
		"to another identity":                {seal(t, text, false, newIdentity(t).Recipient()), resolver.DecryptionFailed, "not encrypted to the identity in the backend's setting"},
		"with a passphrase":                  {seal(t, text, false, scrypt), resolver.DecryptionFailed, "passphrase"},
		"with a bit changed in the payload":  {flip(good, len(good)-3), resolver.DecryptionFailed, "damaged or cut short"},
		"with a bit changed in the header":   {flip(good, len("age-encryption.org/v1\n-> X25519 ")+4), resolver.DecryptionFailed, ""},
		"cut short":                          {good[:len(good)-1], resolver.DecryptionFailed, "damaged or cut short"},
		"cut short in the header":            {good[:40], resolver.DecryptionFailed, "damaged or cut short"},
		"armored and cut short":              {armored[:len(armored)-20], resolver.DecryptionFailed, "damaged or cut short"},
		"with something behind the armor":    {append(append([]byte{}, armored...), "API_KEY="+canary...), resolver.DecryptionFailed, "damaged or cut short"},
		"of another version of age":          {[]byte("age-encryption.org/v9\n" + canary), resolver.DecryptionFailed, "damaged"},
		"empty":                              {nil, resolver.InvalidReference, "not encrypted by age or sops"},
		"that are dotenv files in plain":     {[]byte(text), resolver.InvalidReference, "not encrypted by age or sops"},
		"that are JSON files in plain":       {[]byte(`{"API_KEY":"` + canary + `"}`), resolver.InvalidReference, "not encrypted by age or sops"},
		"that are too long":                  {[]byte("age-encryption.org/v1\n" + strings.Repeat(canary, 4<<20/10)), resolver.InvalidReference, "longer than 4096 KiB"},
		"with what is neither JSON nor keys": {seal(t, "A\n"+canary, false, id.Recipient()), resolver.InvalidReference, "line 1 of what is in it: = is expected"},
		"with half a JSON object":            {seal(t, `{"API_KEY":"`+canary, false, id.Recipient()), resolver.InvalidReference, "JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, agefile.Options{Path: write(t, "s.age", c.file), Identity: resolver.NewSecret(id.String())})
			failsWith(t, s, c.kind, c.text)
			if err := s.Check(t.Context()); resolver.KindOf(err) != c.kind {
				t.Error("Check says", err)
			}
		})
	}
	t.Run("that are not there, or are directories", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		failsWith(t, open(t, agefile.Options{Path: filepath.Join(dir, "none.age"), Identity: resolver.NewSecret(id.String())}), resolver.NotFound, "none.age")
		failsWith(t, open(t, agefile.Options{Path: dir, Identity: resolver.NewSecret(id.String())}), resolver.InvalidReference, "directory")
	})
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	id, other := newIdentity(t), newIdentity(t)
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "s.age", seal(t, "API_KEY="+canary+"\n", false, id.Recipient()))
	quantum := write(t, "q.age", seal(t, "API_KEY="+canary+"\n", false, hybrid.Recipient()))
	right, wrong := write(t, "key.txt", []byte("# created by age-keygen\n\n"+other.String()+"\n"+id.String()+"\n")), write(t, "key.txt", []byte(other.String()+"\n"))
	home, xdg := t.TempDir(), t.TempDir()
	for dir, key := range map[string]string{filepath.Join(home, ".config"): id.String(), xdg: other.String()} {
		if err := os.MkdirAll(filepath.Join(dir, "sops/age"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "sops/age/keys.txt"), []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret := resolver.NewSecret
	for name, c := range map[string]struct {
		o    agefile.Options
		env  map[string]string
		kind resolver.Kind
		text string
	}{
		"the setting goes first":                   {agefile.Options{Identity: secret(id.String()), IdentityFile: wrong}, map[string]string{"SOPS_AGE_KEY": other.String()}, "", ""},
		"then the file":                            {agefile.Options{IdentityFile: right}, map[string]string{"SOPS_AGE_KEY": other.String()}, "", ""},
		"then SOPS_AGE_KEY":                        {agefile.Options{}, map[string]string{"SOPS_AGE_KEY": other.String() + " " + id.String(), "SOPS_AGE_KEY_FILE": wrong}, "", ""},
		"then SOPS_AGE_KEY_FILE":                   {agefile.Options{}, map[string]string{"SOPS_AGE_KEY_FILE": right, "XDG_CONFIG_HOME": xdg}, "", ""},
		"then the file of sops":                    {agefile.Options{}, map[string]string{"HOME": home}, "", ""},
		"which XDG_CONFIG_HOME moves":              {agefile.Options{}, map[string]string{"HOME": home, "XDG_CONFIG_HOME": xdg}, resolver.DecryptionFailed, xdg},
		"unless that is relative":                  {agefile.Options{}, map[string]string{"HOME": home, "XDG_CONFIG_HOME": "x"}, "", ""},
		"a post-quantum one":                       {agefile.Options{Path: quantum, Identity: secret(hybrid.String())}, nil, "", ""},
		"a wrong one for a post-quantum recipient": {agefile.Options{Path: quantum, Identity: secret(id.String())}, nil, resolver.DecryptionFailed, "not encrypted to the identity"},
		"none":                       {agefile.Options{}, map[string]string{"HOME": xdg}, resolver.AccessDenied, "no identity to decrypt with"},
		"none, and no home":          {agefile.Options{}, nil, resolver.AccessDenied, "HOME is not set"},
		"a file that is not there":   {agefile.Options{IdentityFile: home + "/none"}, nil, resolver.AccessDenied, home + "/none"},
		"a file that is a directory": {agefile.Options{IdentityFile: home}, nil, resolver.InvalidReference, "directory"},
		"a file without one":         {agefile.Options{IdentityFile: write(t, "k", []byte("# none\n"))}, nil, resolver.AccessDenied, "holds no identity"},
		"one that is damaged":        {agefile.Options{Identity: secret(id.String()[:40] + canary)}, nil, resolver.AccessDenied, "no identity of age"},
		"a recipient in its place":   {agefile.Options{Identity: secret(id.Recipient().String())}, nil, resolver.AccessDenied, "no identity of age"},
		"an SSH key":                 {agefile.Options{Identity: secret("-----BEGIN OPENSSH PRIVATE KEY-----\n" + canary)}, nil, resolver.AccessDenied, "SSH key"},
		"one of a plugin":            {agefile.Options{Identity: secret("AGE-PLUGIN-YUBIKEY-1" + canary)}, nil, resolver.AccessDenied, "plugin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.o.Getenv = func(name string) string { return c.env[name] }
			if c.o.Path == "" {
				c.o.Path = path
			}
			s := open(t, c.o)
			if c.kind == "" {
				expect(t, s, map[string]string{"API_KEY": canary})
				return
			}
			failsWith(t, s, c.kind, c.text)
			_, err := s.Resolve(t.Context(), resolver.Ref{ID: "API_KEY"})
			resolvertest.NoLeak(t, err, id.String(), other.String(), id.String()[20:36])
		})
	}
}

func TestAnIdentityFileThatOthersCanReadIsWarnedAbout(t *testing.T) {
	t.Parallel()
	key := write(t, "key.txt", []byte(newIdentity(t).String()))
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		if w := open(t, agefile.Options{Path: "x", IdentityFile: key}).Warnings(); (len(w) > 0) != warned || warned && !strings.HasSuffix(w[0], "chmod 600 "+key) {
			t.Errorf("%o: %q", mode, w)
		}
		if w := open(t, agefile.Options{Path: "x", IdentityFile: key, Identity: resolver.NewSecret("x")}).Warnings(); w != nil {
			t.Errorf("a file that is not used: %q", w)
		}
	}
	var _ resolver.Warner = open(t, agefile.Options{Path: "x"})
	if _, err := agefile.New(agefile.Options{}); err == nil {
		t.Error("New takes no path")
	}
}
