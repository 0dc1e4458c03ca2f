// Package envfile reads secrets from a dotenv file: the store that needs no
// server.
//
//	OPENAI_API_KEY=sk-…             # a comment after a space
//	export STRIPE_KEY = 'literal, $ and \ stay'
//	TLS_KEY="-----BEGIN KEY-----
//	several lines, with \n \r \t \" \\ \$
//	-----END KEY-----"
//
// A reference names a key of the file by its ID, or by its Field when it has no
// ID. With both, the ID is the key and the Field picks a member of its JSON
// value. The file is read anew each time, once for all the references of a batch.
package envfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"kz/resolver"
)

// maxSize bounds the file; a dotenv file is a few kilobytes.
const maxSize = 4 << 20

// Options sets up a Store.
type Options struct {
	Path    string        // the file
	Timeout time.Duration // of one reading (the file may be a pipe or on a network); 0 is resolver.DefaultTimeout
}

// Store is a dotenv file. It is safe for concurrent use.
type Store struct{ opt Options }

// New makes a Store; it does not touch the file.
func New(o Options) (*Store, error) {
	if o.Path == "" {
		return nil, errors.New("envfile: no path")
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

// ResolveBatch reads the file once for all refs.
func (s *Store) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	values, err := s.read(ctx)
	out := make([]resolver.Outcome, len(refs))
	for i, ref := range refs {
		if err != nil {
			out[i].Err = err
			continue
		}
		value, err := s.pick(values, ref)
		if err != nil {
			out[i].Err = err
			continue
		}
		out[i].Result.Secret = resolver.NewSecret(value)
	}
	return out
}

func (s *Store) pick(values map[string]string, ref resolver.Ref) (string, error) {
	key, field := ref.ID, ref.Field
	if key == "" {
		key, field = ref.Field, ""
	}
	if key == "" {
		return "", &resolver.Error{Kind: resolver.InvalidReference, Message: "no key is named", Advice: "write `field = \"NAME\"`, a key of " + s.opt.Path}
	}
	value, ok := values[key]
	if !ok {
		return "", &resolver.Error{Kind: resolver.FieldMissing, Message: fmt.Sprintf("there is no key %q in %s", key, s.opt.Path),
			Keys: sortedKeys(values), Advice: fmt.Sprintf("add a line %s=… to %s, or name another key with `field`", key, s.opt.Path)}
	}
	return resolver.Field(value, field)
}

// Check reads and parses the file.
func (s *Store) Check(ctx context.Context) error {
	_, err := s.read(ctx)
	return err
}

// Warnings says whether other users of the machine can read or change the file.
// It looks at the file's mode when called.
func (s *Store) Warnings() []string {
	info, err := os.Stat(s.opt.Path)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return []string{fmt.Sprintf("other users of this machine may read or change %s (mode %04o); close it with: chmod 600 %s",
		s.opt.Path, info.Mode().Perm(), shellQuote(s.opt.Path))}
}

// read reads and parses the file, beside the caller, who may give up on a pipe that nobody writes to.
func (s *Store) read(ctx context.Context) (map[string]string, error) {
	return resolver.Beside(ctx, s.opt.Timeout, s.readFile)
}

func (s *Store) readFile() (map[string]string, error) {
	f, err := os.Open(s.opt.Path)
	if err != nil {
		return nil, s.fileError(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: s.opt.Path + " is a directory", Advice: "name the file in the backend's `path`"}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, s.fileError(err)
	}
	if len(text) > maxSize {
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: s.opt.Path + " is longer than 4 MiB", Advice: "check that the backend's `path` names a dotenv file"}
	}
	values, err := Parse(text)
	if err != nil {
		var syntax *SyntaxError
		errors.As(err, &syntax)
		return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: fmt.Sprintf("%s, line %d: %s", s.opt.Path, syntax.Line, syntax.Problem),
			Advice: "each line is NAME=value; quote a value that has spaces or # in it"}
	}
	return values, nil
}

func (s *Store) fileError(err error) error {
	e := resolver.File(s.opt.Path, err)
	switch e.Kind {
	case resolver.NotFound:
		e.Advice = "make the file with lines NAME=value, or correct the backend's `path`"
	default:
		e.Advice = "check its owner and mode: ls -l " + shellQuote(s.opt.Path)
	}
	return e
}

// shellQuote makes a path safe to paste into a shell.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./,:@", r)
	}
	if strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
