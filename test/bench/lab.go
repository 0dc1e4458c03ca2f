package main

import (
	"bufio"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kz/test/bench/origin"
)

// lab is a directory with what one benchmark run has made, and the processes that it has started.
type lab struct {
	dir    string
	kz     string // the program
	origin *process

	mu      sync.Mutex
	started []*process
	ended   bool
}

// newLab builds kz, unless it is given one, and starts the origin. The lab is to be closed even when there is an error.
func newLab(kz string) (*lab, error) {
	dir, err := os.MkdirTemp("", "kz-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, kz: filepath.Join(dir, "kz")}
	l.closeOnSignal()
	if kz != "" {
		if l.kz, err = filepath.Abs(kz); err != nil {
			return l, err
		}
	} else if out, err := exec.Command("go", "build", "-o", l.kz, "kz/cmd/kz").CombinedOutput(); err != nil {
		return l, fmt.Errorf("building kz: %w\n%s", err, out)
	}
	if err := origin.WriteCerts(dir); err != nil {
		return l, err
	}
	l.origin, err = l.startRole("origin", "")
	return l, err
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) close() {
	if l == nil {
		return
	}
	for _, p := range l.end() {
		p.stop()
	}
	for range 100 { // it fails while something is still being written there
		if os.RemoveAll(l.dir) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// closeOnSignal closes the lab and ends this program when it is told to end: nothing that it has started stays behind.
func (l *lab) closeOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		l.close()
		os.Exit(130)
	}()
}

func (l *lab) processes() []*process {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.started)
}

// end is processes, and has no more be started.
func (l *lab) end() []*process {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	return slices.Clone(l.started)
}

// process is one that was started, and its address once it listens.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	addr  string
	once  sync.Once
	ended atomic.Bool
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process: it is told to, and killed when it has not obeyed after ten seconds.
func (p *process) stop() {
	p.once.Do(func() {
		_ = p.stdin.Close()
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
		defer late.Stop()
		_ = p.cmd.Wait()
		p.ended.Store(true)
	})
}

// start starts argv with PATH and HOME alone, with no output, and remembers to end it.
func (l *lab) start(stdout *io.ReadCloser, argv ...string) (*process, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, errors.New("the run has ended")
	}
	p := &process{cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.Dir, p.cmd.Env = l.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir, "TMPDIR=" + l.dir}
	log, err := os.OpenFile(l.path("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Stderr = log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if stdout != nil {
		if *stdout, err = p.cmd.StdoutPipe(); err != nil {
			return nil, err
		}
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	l.started = append(l.started, p)
	return p, nil
}

func (l *lab) startRole(name, originAddr string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return l.startReady(self, "@"+name, l.dir, originAddr)
}

// startReady starts a program that says READY, and its address if it has one.
func (l *lab) startReady(argv ...string) (*process, error) {
	var out io.ReadCloser
	p, err := l.start(&out, argv...)
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "READY")
	if !ok {
		return nil, fmt.Errorf("starting %s: %w%s", strings.Join(argv, " "), err, l.said())
	}
	p.addr = strings.TrimSpace(addr)
	return p, nil
}

// said is the end of what the processes wrote to standard error.
func (l *lab) said() string {
	text, _ := os.ReadFile(l.path("log"))
	return "\n" + string(text[max(0, len(text)-2000):])
}

// eventually waits until ok, at most 30 seconds.
func eventually(what string, ok func() bool) error {
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("waited 30 s for " + what)
		}
	}
	return nil
}

func loadPool(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", path)
	}
	return pool, nil
}
