// Package execstore takes what a command prints for a secret: the store for every tool that kz has no store for.
//
//	[backends.pass]
//	type    = "exec"
//	command = "/usr/bin/pass"
//	args    = ["show", "{id}"]
//
// The command is a program by its absolute path; no shell takes part and nothing is looked up on PATH. It must not be
// where others could put another program: in a workspace, in a directory that anyone may write to, or a file that anyone
// may change or that another user owns; that is looked at before each run. What its arguments name is not known and not
// looked at.
//
// The command gets a few variables of the environment and no other (see Options), the null device as its input, no other
// descriptor, no terminal, and / as its directory. Its output is the value, without one line end at the end. What it
// writes to standard error is dropped. It runs in a session of its own (on Unix), which is killed as a whole when the time
// is over or the caller gives up, or when the output is too long; what has left that session, as daemons do, goes on.
package execstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kz/resolver"
)

// maxOutput bounds a value.
const maxOutput = 1 << 20

// lingering is how long an output is read on that is open still when its command has ended: in a process that the command has
// left behind, which is an error, or for a moment in another command that kz is about to start. That moment is long on a
// machine that is busy: a child has all that is open in kz until it executes its program (fork(2), O_CLOEXEC in open(2)).
const lingering = 5 * time.Second

// variables are what every command gets, as far as they are set.
var variables = []string{"PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR"}

// Options sets up a Store.
type Options struct {
	Command string   // an absolute path
	Args    []string // {id} in one stands for the reference's ID
	KeepEnv []string // variables that the command gets beside PATH HOME USER LANG LC_ALL TMPDIR
	// Lookup returns a variable. Nil: os.LookupEnv. Directories of PATH that are relative or in Workspaces are left out.
	Lookup func(name string) (value string, ok bool)
	// Workspaces are directories, without links in their paths, in which the command may not be.
	Workspaces []string
	Timeout    time.Duration // of one run; 0 is resolver.DefaultTimeout
}

// Store is a command. It is safe for concurrent use when Lookup is.
type Store struct{ opt Options }

// New makes a Store; it looks at no file.
func New(o Options) (*Store, error) {
	if !filepath.IsAbs(o.Command) {
		return nil, errors.New("execstore: the command is not an absolute path")
	}
	o.Command = filepath.Clean(o.Command)
	if o.Lookup == nil {
		o.Lookup = os.LookupEnv
	}
	if o.Timeout <= 0 {
		o.Timeout = resolver.DefaultTimeout
	}
	return &Store{o}, nil
}

// Resolve runs the command.
func (s *Store) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	value, err := s.run(ctx, ref.ID)
	if err != nil {
		return resolver.Result{}, err
	}
	return resolver.PickField(resolver.Result{Secret: resolver.NewSecret(value)}, ref.Field, resolver.Field)
}

// ResolveBatch runs the command once for each ID, some at the same time.
func (s *Store) ResolveBatch(ctx context.Context, refs []resolver.Ref) []resolver.Outcome {
	return resolver.Wave(ctx, refs, resolver.DefaultLimit, func(ctx context.Context, place resolver.Ref) (resolver.Result, error) {
		return s.Resolve(ctx, place)
	}, resolver.Field)
}

var (
	errTooLong = errors.New("execstore: the output is too long")
	errTime    = errors.New("execstore: the time is over")
)

func (s *Store) run(ctx context.Context, id string) (string, error) {
	if id == "" || strings.ContainsRune(id, 0) {
		return "", &resolver.Error{Kind: resolver.InvalidReference, Message: "no secret is named", Advice: "write `name = \"NAME\"` in the secret: what {id} in `args` stands for"}
	}
	if err := ctx.Err(); err != nil {
		return "", resolver.Transport(err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	timer := time.AfterFunc(s.opt.Timeout, func() { stop(errTime) })
	defer timer.Stop()
	path, err := trusted(s.opt.Command, s.opt.Workspaces)
	if err != nil {
		return "", err
	}
	argv := []string{s.opt.Command} // programs that are several look at their name
	for _, arg := range s.opt.Args {
		argv = append(argv, strings.ReplaceAll(arg, "{id}", id))
	}
	out := &output{tooLong: func() { stop(errTooLong) }}
	cmd := exec.CommandContext(ctx, path)
	cmd.Args, cmd.Env, cmd.Dir = argv, s.environment(), string(filepath.Separator)
	cmd.Stdout, cmd.WaitDelay = out, lingering // standard input and error: the null device
	alone(cmd)
	err = cmd.Run()
	if ctx.Err() != nil {
		return "", s.stopped(context.Cause(ctx))
	}
	if err != nil {
		return "", s.failed(err, argv)
	}
	value := string(out.kept)
	if line, ok := strings.CutSuffix(value, "\n"); ok {
		value = strings.TrimSuffix(line, "\r")
	}
	if value == "" {
		return "", &resolver.Error{Kind: resolver.Unavailable, Message: "the command " + s.opt.Command + " printed nothing", Advice: tryIt(argv)}
	}
	return value, nil
}

// output keeps what a command prints, up to maxOutput. It is nothing but a Writer: what copies to it must not find a way
// around the limit.
type output struct {
	kept    []byte
	tooLong func()
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	if len(o.kept)+len(p) > maxOutput+len("\r\n") {
		o.tooLong()
		return 0, errTooLong
	}
	o.kept = append(o.kept, p...)
	return len(p), nil
}

// environment is what the command gets.
func (s *Store) environment() []string {
	env := []string{} // not nil, which would mean kz's own
	for _, name := range slices.Concat(variables, s.opt.KeepEnv) {
		value, ok := s.opt.Lookup(name)
		if !ok {
			continue
		}
		if name == "PATH" {
			value = s.safePath(value)
		}
		env = append(env, name+"="+value)
	}
	return env
}

// safePath leaves out the directories from which a workspace could give the command other programs than it means.
func (s *Store) safePath(path string) string {
	var safe []string
	for _, dir := range filepath.SplitList(path) {
		if filepath.IsAbs(dir) && !within(s.opt.Workspaces, dir) {
			safe = append(safe, dir)
		}
	}
	return strings.Join(safe, string(filepath.ListSeparator))
}

// stopped says why the command was ended.
func (s *Store) stopped(cause error) error {
	switch {
	case errors.Is(cause, errTooLong):
		return &resolver.Error{Kind: resolver.Unavailable, Message: "the command " + s.opt.Command + " printed more than 1 MiB", Advice: "check `args`: it is to print one value"}
	case errors.Is(cause, errTime):
		e := resolver.Transport(context.DeadlineExceeded)
		e.Message = fmt.Sprintf("the command %s did not end within %s, and was killed", s.opt.Command, s.opt.Timeout)
		e.Advice = "it cannot ask a person on the terminal: unlock what it needs before kz starts"
		return e
	}
	return resolver.Transport(cause)
}

// failed says why the command gave no value. What it printed is not known to be safe, and is dropped.
func (s *Store) failed(err error, argv []string) error {
	e := &resolver.Error{Kind: resolver.Unavailable, Advice: tryIt(argv)}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		e.Message = fmt.Sprintf("the command %s ended with exit code %d", s.opt.Command, exit.ExitCode())
	case errors.As(err, &exit):
		e.Message = fmt.Sprintf("the command %s was ended by a signal", s.opt.Command)
	case errors.Is(err, exec.ErrWaitDelay):
		e.Message = "the command " + s.opt.Command + " has ended, and left something running that keeps its output open"
	default:
		e.Kind, e.Message = resolver.InvalidReference, "the command "+s.opt.Command+" cannot be executed"
		e.Advice = "check that it is a program of this machine, or a script whose first line names its interpreter: file " + s.opt.Command
	}
	return e
}

// tryIt is advice to run the command by hand. Its arguments come from the configuration, which holds no values.
func tryIt(argv []string) string {
	return fmt.Sprintf("run it in a terminal to see what it says: %s", shellWords(argv))
}

// shellWords writes words so that a shell takes them as they are.
func shellWords(words []string) string {
	var out []string
	for _, w := range words {
		plain := func(r rune) bool {
			return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./,:@=+", r)
		}
		if w == "" || strings.TrimFunc(w, plain) != "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}
