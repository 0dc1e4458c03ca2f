package onepassword

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"kz/resolver"
)

const (
	// maxAnswer bounds what op prints and Connect answers; an item's fields are far below 1 MiB, and a file that is a
	// credential is too.
	maxAnswer = 4 << 20
	// maxComplaint bounds what is read of op's standard error, to look for known phrases in it.
	maxComplaint = 64 << 10
	// drain is how long is waited for the end of what op prints once op itself has ended: what it leaves behind, such as its
	// daemon, may hold the pipes.
	drain = time.Second
)

// openOp says whether the token can be read in op's environment. Linux shows that to programs of the same user, unless op
// is set-group-ID, as 1Password's packages install it.
func (s *Store) openOp() []string {
	if s.opt.Auth != ServiceAccount || runtime.GOOS != "linux" {
		return nil
	}
	path, err := s.opt.Find()
	if err != nil {
		return nil // which is told at the first use
	}
	if info, err := os.Stat(path); err != nil || info.Mode()&os.ModeSetgid != 0 {
		return nil
	}
	return []string{"while " + path + " runs, programs of this user can read the token of the service account from its environment: install op by 1Password's package, which makes it set-group-ID, or use a Connect server"}
}

// turn waits until op may run. As long as none has succeeded one runs at a time, so that 1Password asks to be unlocked
// once and not for each secret; a refusal is one for all that waited.
func (s *Store) turn(ctx context.Context) (done func(error), err error) {
	if s.opt.Auth == ServiceAccount || s.letIn.Load() {
		return func(error) {}, nil
	}
	before := s.refused.Load()
	select {
	case s.asking <- struct{}{}:
	case <-ctx.Done():
		return nil, timedOut(ctx)
	}
	if now := s.refused.Load(); now != before {
		<-s.asking
		return nil, now
	}
	return func(err error) {
		var refusal *resolver.Error
		switch {
		case err == nil:
			s.letIn.Store(true)
		case errors.As(err, &refusal) && refusal.Message == notSignedIn:
			s.refused.Store(refusal)
		}
		<-s.asking
	}, nil
}

// read asks op for one value.
func (s *Store) read(ctx context.Context, at reference) (string, error) {
	out, err := s.run(ctx, at, nil, "read", "--no-newline", at.String())
	return string(out), err
}

// run runs op and returns what it prints. Its arguments never have a value or a token among them.
func (s *Store) run(ctx context.Context, at reference, stdin []byte, args ...string) (_ []byte, err error) {
	if ctx.Err() != nil {
		return nil, resolver.Transport(ctx.Err())
	}
	env, err := s.environment()
	if err != nil {
		return nil, err
	}
	path, err := s.opt.Find()
	if err != nil {
		return nil, s.noProgram(err)
	}
	done, err := s.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { done(err) }()
	if s.opt.Account != "" && s.opt.Auth != ServiceAccount {
		args = append(args, "--account", s.opt.Account)
	}
	stdout, stderr := &bounded{max: maxAnswer}, &bounded{max: maxComplaint, cut: true}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = env, string(filepath.Separator)
	cmd.Stderr = stderr
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	ownGroup(cmd)
	ended, whole := printed(cmd, stdout, drain)
	switch {
	case cmd.Process == nil:
		return nil, s.noProgram(ended)
	case ctx.Err() != nil:
		return nil, timedOut(ctx)
	case stdout.full:
		return nil, &resolver.Error{Kind: resolver.Unavailable, Message: "op prints more than 4 MiB", Advice: "check that the reference names one field"}
	case ended != nil && !errors.Is(ended, exec.ErrWaitDelay):
		return nil, explain(string(stderr.kept), cmd.ProcessState.ExitCode(), at)
	case !whole:
		return nil, &resolver.Error{Kind: resolver.Unavailable, Message: "what op prints was not read to its end", Advice: "try again"}
	}
	return stdout.kept, nil
}

// printed runs a command to its end and takes what it prints. Nobody waits for longer than drain for what the command left
// behind and what holds its output open. whole: all that the command itself has written was taken, however late this process
// came to read it; half a value would be taken for a value.
func printed(cmd *exec.Cmd, to *bounded, drain time.Duration) (ended error, whole bool) {
	r, w, err := os.Pipe()
	if err != nil {
		return err, false
	}
	defer r.Close()
	cmd.Stdout, cmd.WaitDelay = w, drain
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return err, false
	}
	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(struct{ io.Writer }{to}, r)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			_ = r.Close() // the command writes in vain
		}
		copied <- err
	}()
	ended = cmd.Wait()
	select {
	case err = <-copied:
	case <-time.After(drain):
		if r.SetReadDeadline(time.Now()) != nil {
			_ = r.Close() // as on Windows: that ends the read, too
		}
		if err = <-copied; errors.Is(err, os.ErrDeadlineExceeded) {
			err = takeRest(r, to)
		}
	}
	return ended, err == nil
}

func timedOut(ctx context.Context) error {
	e := resolver.Transport(ctx.Err())
	if e.Kind == resolver.TimedOut {
		e.Advice = "op may be waiting for 1Password to be unlocked or for its prompt to be answered; try it by hand: op vault list"
	}
	return e
}

// noProgram says why op cannot be run; err is the system's or of Find.
func (s *Store) noProgram(err error) error {
	var typed *resolver.Error
	switch {
	case errors.As(err, &typed):
		return typed
	case errors.Is(err, fs.ErrPermission):
		return &resolver.Error{Kind: resolver.AccessDenied, Message: "the op program may not be executed", Err: fs.ErrPermission, Advice: "check its mode, and `command` in the backend"}
	}
	return &resolver.Error{Kind: resolver.Unavailable, Message: "the op program cannot be run",
		Advice: "install the 1Password CLI, or name it in the backend: command = \"/usr/local/bin/op\""}
}

// kept are the variables that op gets of the user's: where its configuration and the app's socket are, and the way to
// the network. So that nothing of a Connect server or of another account overrules the backend, see environment.
var kept = []string{
	"HOME", "USER", "LOGNAME", "TMPDIR",
	"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy",
	"SystemRoot", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP",
}

const serviceAccountVariable = "OP_SERVICE_ACCOUNT_TOKEN"

func (s *Store) environment() ([]string, error) {
	var env []string
	for _, entry := range s.opt.Environ {
		name, _, _ := strings.Cut(entry, "=")
		if keeps(name, s.opt.Auth == ServiceAccount) {
			env = append(env, entry)
		}
	}
	// A cached answer would be no answer of the store's, and the cache is a process that stays behind.
	env = append(env, "OP_CACHE=false")
	if s.opt.Auth == ServiceAccount {
		t, err := token(&s.opt, serviceAccountVariable)
		if err != nil {
			return nil, err
		}
		env = append(env, serviceAccountVariable+"="+t)
	}
	return env, nil
}

func keeps(name string, serviceAccount bool) bool {
	for _, k := range kept {
		if name == k {
			return true
		}
	}
	switch {
	case strings.HasPrefix(name, "XDG_"):
		return true
	case !strings.HasPrefix(name, "OP_"):
		return false
	case strings.HasPrefix(name, "OP_CONNECT_"), // these go before every other way to log in
		name == "OP_CACHE", name == "OP_DEBUG", name == "OP_FORMAT", name == "OP_INCLUDE_ARCHIVE":
		return false
	}
	return !serviceAccount || name != "OP_ACCOUNT" && name != serviceAccountVariable && !strings.HasPrefix(name, "OP_SESSION")
}

var errTooLong = errors.New("onepassword: op prints too much")

// bounded is a buffer that takes so many bytes: of more it keeps the first, or refuses them. It has no ReadFrom, which
// io.Copy would use in place of Write.
type bounded struct {
	kept []byte
	max  int
	cut  bool
	full bool
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	room := b.max - len(b.kept)
	if len(p) > room {
		b.full = true
		if !b.cut {
			return 0, errTooLong
		}
	}
	b.kept = append(b.kept, p[:min(room, len(p))]...)
	return len(p), nil
}
