// Package local keeps secrets in a file of kz's own, encrypted with age: the store that is written to and needs no server.
//
// The file holds every value, of any bytes, under its name, and is encrypted as a whole to one X25519 key of the store's
// own. The key is made at the first Put and kept in the system's keychain, or in a file of mode 0600 where there is none;
// Warnings says so then. age itself opens the file with that key: age -d -i local.age.key local.age.
//
// A Put replaces the file at once or not at all, and of two at the same moment none is lost: a lock file beside it sees to
// that. A file, or a key file, that others may read or change, that belongs to another user or is a symbolic link is
// refused, and so is a directory that others may write to. (Windows: what its access rules say is not looked at.)
package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"filippo.io/age"

	"kz/resolver"
)

const (
	maxSize = 4 << 20 // of the file: many thousand keys, or some certificates and keystores
	maxID   = 512     // of a name

	version = 1 // of what is encrypted
)

// Keychain keeps the key. It is a store as any other, to which a text of some 80 bytes is put under one ID; the kind of
// its error is NotFound where there is none.
type Keychain interface {
	resolver.Resolver
	resolver.Putter
}

// Options sets up a Store.
type Options struct {
	Path     string        // the file; its directory is made at the first Put
	KeyFile  string        // where the key is when it is in no keychain; "" is Path with ".key" behind it
	Keychain Keychain      // nil: there is none
	Timeout  time.Duration // of one call, the wait for another process's Put included; 0 is resolver.DefaultTimeout
}

// Store is the file. It is safe for concurrent use, and beside other processes that use the file.
type Store struct {
	opt Options

	mu  sync.Mutex
	key *age.X25519Identity // what last opened the file: a keychain may be slow
}

// New makes a Store; it touches no file.
func New(o Options) (*Store, error) {
	if o.Path == "" {
		return nil, errors.New("local: no path")
	}
	if o.KeyFile == "" {
		o.KeyFile = o.Path + ".key"
	}
	if o.Timeout <= 0 {
		o.Timeout = resolver.DefaultTimeout
	}
	return &Store{opt: o}, nil
}

// content is what is encrypted. JSON has the values in base64.
type content struct {
	Version int               `json:"version"`
	Secrets map[string][]byte `json:"secrets"`
}

// Resolve returns the value of ref.ID, or a field of it.
func (s *Store) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	out := s.ResolveBatch(ctx, []resolver.Ref{ref})[0]
	return out.Result, out.Err
}

// ResolveBatch decrypts the file once for all refs.
func (s *Store) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	secrets, err := s.all(ctx)
	out := make([]resolver.Outcome, len(refs))
	for i, ref := range refs {
		value, there := secrets[ref.ID]
		switch {
		case ref.ID == "":
			out[i].Err = errNoName
		case err != nil:
			out[i].Err = err
		case !there:
			out[i].Err = &resolver.Error{Kind: resolver.NotFound, Message: fmt.Sprintf("there is no %q in %s", ref.ID, s.opt.Path), Advice: "`kz put --missing` asks for each value that is not there yet"}
		default:
			out[i].Result, out[i].Err = resolver.PickField(resolver.Result{Secret: resolver.NewSecret(string(value))}, ref.Field, resolver.Field)
		}
	}
	return out
}

var errNoName = &resolver.Error{Kind: resolver.InvalidReference, Message: "no name is given", Advice: "write `name = \"NAME\"` in the secret"}

// Check decrypts the file. A store to which nothing was put yet is NotFound.
func (s *Store) Check(ctx context.Context) error {
	_, err := s.all(ctx)
	return err
}

func (s *Store) all(ctx context.Context) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	return resolver.Beside(ctx, s.opt.Timeout, func() (map[string][]byte, error) {
		text, err := readPrivate(s.opt.Path)
		if resolver.KindOf(err) == resolver.NotFound {
			return nil, &resolver.Error{Kind: resolver.NotFound, Message: "there is no local store yet: no file " + s.opt.Path, Advice: "`kz put --missing` asks for each value, and makes it"}
		}
		if err != nil {
			return nil, err
		}
		return s.open(ctx, text)
	})
}

// Put stores a value under ref.ID, or changes the field of the JSON object that is there. The first one makes the key and
// the file. When ctx ends or the time is over while a disk does not answer, the value may be stored or not.
func (s *Store) Put(ctx context.Context, ref resolver.Ref, value resolver.Secret) error {
	switch {
	case ref.ID == "":
		return errNoName
	case !utf8.ValidString(ref.ID) || len(ref.ID) > maxID:
		return &resolver.Error{Kind: resolver.InvalidReference, Message: fmt.Sprintf("the name is longer than %d bytes, or not UTF-8", maxID), Advice: "give it another name with `name`"}
	}
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	_, err := resolver.Beside(ctx, s.opt.Timeout, func() (struct{}, error) {
		return struct{}{}, s.put(ctx, ref, value)
	})
	return err
}

func (s *Store) put(ctx context.Context, ref resolver.Ref, value resolver.Secret) error {
	if err := makeDirectory(s.opt.Path); err != nil {
		return err
	}
	unlock, err := lock(ctx, s.opt.Path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	sweep(s.opt.Path, s.opt.KeyFile)
	secrets := map[string][]byte{}
	text, err := readPrivate(s.opt.Path)
	switch {
	case err == nil:
		if secrets, err = s.open(ctx, text); err != nil {
			return err
		}
	case resolver.KindOf(err) == resolver.NotFound:
		if err := s.makeKey(ctx); err != nil {
			return err
		}
	default:
		return err
	}
	raw := value.Reveal()
	if ref.Field != "" {
		if raw, err = resolver.SetField(string(secrets[ref.ID]), ref.Field, raw); err != nil {
			return err
		}
	}
	secrets[ref.ID] = []byte(raw)
	sealed, err := s.seal(secrets)
	if err != nil {
		return err
	}
	return writePrivate(s.opt.Path, sealed)
}

// open decrypts the file with the key that last did, or else the one that is kept now.
func (s *Store) open(ctx context.Context, text []byte) (map[string][]byte, error) {
	if key := s.lastKey(); key != nil {
		if secrets, err := s.decrypt(text, key); err == nil {
			return secrets, nil
		}
	}
	key, err := s.findKey(ctx)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, s.undecryptable("the key of " + s.opt.Path + " is neither in the keychain nor in " + s.opt.KeyFile)
	}
	secrets, err := s.decrypt(text, key)
	if err == nil {
		s.remember(key)
	}
	return secrets, err
}

func (s *Store) decrypt(text []byte, key *age.X25519Identity) (map[string][]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(text), key)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return nil, s.undecryptable(s.opt.Path + " is encrypted to another key than the one that is kept for it")
	}
	if err != nil {
		return nil, s.undecryptable(s.opt.Path + " is damaged or cut short")
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxSize))
	if err != nil {
		return nil, s.undecryptable(s.opt.Path + " is damaged or cut short")
	}
	var c content
	if err := json.Unmarshal(plain, &c); c.Version != version {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: s.opt.Path + " is of another version of kz", Advice: "use the kz that wrote it, or a newer one"}
	} else if err != nil {
		return nil, s.undecryptable(s.opt.Path + " does not hold what kz writes")
	}
	if c.Secrets == nil {
		c.Secrets = map[string][]byte{}
	}
	return c.Secrets, nil
}

func (s *Store) undecryptable(message string) error {
	return &resolver.Error{Kind: resolver.DecryptionFailed, Message: message,
		Advice: "restore " + s.opt.Path + " and its key from a backup, or move both away and store the values anew with `kz put --missing`"}
}

func (s *Store) seal(secrets map[string][]byte) ([]byte, error) {
	plain, err := json.Marshal(content{version, secrets})
	if err != nil {
		return nil, &resolver.Error{Kind: resolver.Unavailable, Message: "encoding the local store"}
	}
	if len(plain) > maxSize*3/4 { // with room for what age adds
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: "with this value the local store would be longer than 3 MiB",
			Advice: "keep large values in a store that is made for them"}
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, s.lastKey().Recipient())
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, &resolver.Error{Kind: resolver.Unavailable, Message: "encrypting the local store"}
	}
	return out.Bytes(), nil
}

// Warnings says when the key lies in a file, where whoever reads the user's files has it. It looks when called.
func (s *Store) Warnings() []string {
	if _, err := os.Lstat(s.opt.KeyFile); err != nil {
		return nil
	}
	return []string{fmt.Sprintf("the key of the local store is in the file %s, as no keychain took it: whoever can read your files can open the store", s.opt.KeyFile)}
}
