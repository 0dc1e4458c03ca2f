package bed

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Path is the PATH of everything that runs: the system's own programs.
const Path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

// Timeout ends a run that hangs. A proxy is started before the parallel tests that use it have their turn, which can take minutes.
const Timeout = 15 * time.Minute

// Result is how a program ended.
type Result struct {
	Stdout, Stderr []byte
	Code           int // the exit code; -1 when a signal or the timeout ended kz itself
	TimedOut       bool
}

// Output is both streams as text.
func (r Result) Output() string { return string(r.Stdout) + string(r.Stderr) }

// Succeeds ends the test unless the exit code is 0.
func (r Result) Succeeds(t testing.TB) {
	t.Helper()
	r.Exits(t, 0)
}

// Exits ends the test unless the exit code is the given one.
func (r Result) Exits(t testing.TB, code int) {
	t.Helper()
	if r.Code != code {
		t.Fatalf("exit code %d, want %d (timed out: %v)\nstdout: %s\nstderr: %s", r.Code, code, r.TimedOut, r.Stdout, r.Stderr)
	}
}

// Run runs argv blind and waits for its end.
func (b *Bed) Run(argv ...string) Result {
	b.t.Helper()
	return b.Start(argv...).Wait()
}

// RunPlain runs argv with the real values.
func (b *Bed) RunPlain(argv ...string) Result {
	b.t.Helper()
	return b.StartKZ(slices.Concat([]string{"run", "--config", b.WriteBundle()}, b.Flags, []string{"--"}, argv)...).Wait()
}

// KZ runs kz itself with the arguments.
func (b *Bed) KZ(args ...string) Result {
	b.t.Helper()
	return b.StartKZ(args...).Wait()
}

// Start starts argv blind.
func (b *Bed) Start(argv ...string) *Process {
	b.t.Helper()
	return b.StartKZ(slices.Concat([]string{"run", "--blind", "--config", b.WriteBundle(), "--audit", b.AuditFile()}, b.Flags, []string{"--"}, argv)...)
}

// StartKZ starts kz with the arguments, in home/, with an environment of PATH, HOME,
// TMPDIR and b.Env alone.
func (b *Bed) StartKZ(args ...string) *Process {
	b.t.Helper()
	return start(b.t, b.Path("home"), append([]string{
		"PATH=" + Path, "HOME=" + b.Path("home"), "TMPDIR=" + b.Path("home/tmp"),
	}, b.Env...), append([]string{b.kz}, args...))
}

// Process is a running program with its standard streams.
type Process struct {
	Stdin io.WriteCloser
	Pid   int

	t              testing.TB
	cmd            *exec.Cmd
	ctx            context.Context
	stdout, stderr buffer
	once           sync.Once
	err            error
}

func start(t testing.TB, dir string, env, argv []string) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	p := &Process{t: t, ctx: ctx, cmd: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	p.cmd.Dir, p.cmd.Env = dir, env
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 10 * time.Second
	var err error
	if p.Stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err = p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", argv[0], err)
	}
	p.Pid = p.cmd.Process.Pid
	t.Cleanup(func() {
		cancel()
		p.Wait()
	})
	return p
}

// Wait closes standard input and waits for the end.
func (p *Process) Wait() Result {
	p.once.Do(func() {
		_ = p.Stdin.Close()
		p.err = p.cmd.Wait()
	})
	r := Result{Stdout: p.stdout.Bytes(), Stderr: p.stderr.Bytes(), Code: p.cmd.ProcessState.ExitCode()}
	r.TimedOut = errors.Is(p.ctx.Err(), context.DeadlineExceeded)
	return r
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stop sends SIGTERM and waits.
func (p *Process) Stop() Result {
	_ = p.Signal(syscall.SIGTERM)
	return p.Wait()
}

// Stdout and Stderr are what has been printed so far.
func (p *Process) Stdout() string { return string(p.stdout.Bytes()) }

// Stderr is as Stdout.
func (p *Process) Stderr() string { return string(p.stderr.Bytes()) }

// Await waits until standard output or error holds text, and ends the test when
// that does not come within 30 seconds.
func (p *Process) Await(text string) {
	p.t.Helper()
	Eventually(p.t, "the output holds "+text, func() bool {
		return strings.Contains(p.Stdout(), text) || strings.Contains(p.Stderr(), text)
	})
}

// Eventually ends the test unless ok is true within 30 seconds.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 30 s: not so: %s", what)
		}
	}
}

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}
