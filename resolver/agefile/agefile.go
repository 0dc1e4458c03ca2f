// Package agefile reads secrets from a file that age has encrypted, or sops to recipients of age.
//
// A file of age, binary or armored, holds a dotenv file or a JSON object. A file of sops is a dotenv, JSON or YAML file
// whose values are encrypted one by one; nothing of it is used unless its MAC, which is over all of them, is right.
//
// A reference names a key by its ID: a key of the dotenv file, or a member of the object, a dotted path or a JSON pointer
// (see [resolver.Field]). The Field picks a member of a JSON value. The file is decrypted anew each time, once for all the
// references of a batch, and what was in it is never written anywhere.
//
// Identities are native ones of age (AGE-SECRET-KEY-1…, post-quantum ones too): no plugins, SSH keys or passphrases. A file
// of sops whose data key is split over several key groups is refused, and so is one whose comments say what is encrypted.
package agefile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"kz/resolver"
)

// maxSize bounds the file, and what is in it; files of secrets have a few kilobytes.
const maxSize = 4 << 20

// Options sets up a Store.
type Options struct {
	Path string // the encrypted file
	// Identity is what opens it, one AGE-SECRET-KEY-1… or several, in lines. Zero: IdentityFile says.
	Identity resolver.Secret
	// IdentityFile is a file of identities. "": the variable SOPS_AGE_KEY, then the file that DefaultIdentityFile names.
	IdentityFile string
	Getenv       func(name string) string // nil: os.Getenv
	Timeout      time.Duration            // of one reading (the file may be on a network); 0 is resolver.DefaultTimeout
}

// Store is an encrypted file. It is safe for concurrent use when Getenv is.
type Store struct{ opt Options }

// New makes a Store; it touches no file.
func New(o Options) (*Store, error) {
	if o.Path == "" {
		return nil, errors.New("agefile: no path")
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Timeout <= 0 {
		o.Timeout = resolver.DefaultTimeout
	}
	return &Store{o}, nil
}

// Resolve returns the value of one key.
func (s *Store) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	out := s.ResolveBatch(ctx, []resolver.Ref{ref})[0]
	return out.Result, out.Err
}

// ResolveBatch decrypts the file once for all refs.
func (s *Store) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	doc, err := resolver.Beside(ctx, s.opt.Timeout, s.read)
	out := make([]resolver.Outcome, len(refs))
	for i, ref := range refs {
		if out[i].Err = err; err == nil {
			out[i].Result, out[i].Err = s.pick(doc, ref)
		}
	}
	return out
}

func (s *Store) pick(doc document, ref resolver.Ref) (resolver.Result, error) {
	key, field := ref.ID, ref.Field
	if key == "" {
		key, field = field, ""
	}
	if key == "" {
		return resolver.Result{}, &resolver.Error{Kind: resolver.InvalidReference, Message: "no key is named",
			Advice: "write `field = \"NAME\"`, a key of " + s.opt.Path}
	}
	value, err := doc.value(key)
	if err != nil {
		var missing *resolver.Error
		if errors.As(err, &missing) {
			return resolver.Result{}, &resolver.Error{Kind: resolver.FieldMissing, Message: fmt.Sprintf("there is no key %q in %s", key, s.opt.Path),
				Keys: missing.Keys, Advice: "name another key with `field`, or add this one: `sops edit`, or encrypt the file anew with `age`"}
		}
		return resolver.Result{}, err
	}
	return resolver.PickField(resolver.Result{Secret: resolver.NewSecret(value)}, field, resolver.Field)
}

// Check decrypts the file.
func (s *Store) Check(ctx context.Context) error {
	_, err := resolver.Beside(ctx, s.opt.Timeout, s.read)
	return err
}

// read reads and decrypts the file.
func (s *Store) read() (document, error) {
	text, err := readFile(s.opt.Path, maxSize, "path")
	if err != nil {
		return nil, err
	}
	binary := bytes.HasPrefix(text, []byte("age-encryption.org/"))
	armored := bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte(armor.Header))
	if !binary && !armored {
		return s.readSops(text)
	}
	ids, err := s.identities()
	if err != nil {
		return nil, err
	}
	plain, err := open(text, armored, ids)
	if err != nil {
		return nil, s.undecryptable(err)
	}
	return s.parsePlain(plain)
}

// open decrypts what age has encrypted.
func open(text []byte, armored bool, ids []age.Identity) ([]byte, error) {
	var in io.Reader = bytes.NewReader(text)
	if armored {
		in = armor.NewReader(in)
	}
	out, err := age.Decrypt(in, ids...)
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(out, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(plain) > maxSize {
		return nil, errTooLong
	}
	return plain, nil
}

var errTooLong = errors.New("agefile: too long")

// undecryptable says why age did not open the file. Nothing of age's own text is kept.
func (s *Store) undecryptable(err error) error {
	e := &resolver.Error{Kind: resolver.DecryptionFailed}
	var wrong *age.NoIdentityMatchError
	switch {
	case errors.As(err, &wrong) && len(wrong.StanzaTypes) == 1 && wrong.StanzaTypes[0] == "scrypt":
		e.Message = s.opt.Path + " is encrypted with a passphrase"
		e.Advice = "encrypt it to a recipient instead: age-keygen makes an identity, age -r takes its age1…"
	case errors.As(err, &wrong):
		e.Message = s.opt.Path + " is not encrypted to the identity in " + s.identityPlace()
		e.Advice = "name another with `identity_file`, or encrypt the file to this one too: age-keygen -y prints the recipient"
	case errors.Is(err, errTooLong):
		return &resolver.Error{Kind: resolver.InvalidReference, Message: "what is in " + s.opt.Path + " is longer than 4 MiB", Advice: "check the backend's `path`"}
	default:
		e.Message = s.opt.Path + " is damaged or cut short"
		e.Advice = "encrypt it anew, or get it from a backup"
	}
	return e
}

// readFile reads a file of at most limit bytes. setting is what names it in the configuration.
func readFile(path string, limit int64, setting string) ([]byte, error) {
	invalid := func(problem string) ([]byte, error) {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: path + " " + problem, Advice: "correct the backend's `" + setting + "`"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, setting, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return invalid("is a directory")
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fileError(path, setting, err)
	}
	if int64(len(text)) > limit {
		return invalid(fmt.Sprintf("is longer than %d KiB", limit>>10))
	}
	return text, nil
}

func fileError(path, setting string, err error) error {
	e := resolver.File(path, err)
	e.Advice = "check its owner and mode: ls -l " + path
	if e.Kind == resolver.NotFound {
		e.Advice = "make the file, or correct the backend's `" + setting + "`"
	}
	return e
}
