package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// verdict is what became of a deleted protection.
type verdict int

const (
	killed   verdict = iota // the named test failed
	survived                // it passed
	invalid                 // the entry, or the test as things are, is wrong
)

func (v verdict) String() string { return [...]string{"ok   ", "ALIVE", "ERROR"}[v] }

const (
	buildLimit = 10 * time.Minute // with an empty cache
	testLimit  = time.Minute
)

// runner tries protections, some at a time.
type runner struct {
	root     string // of the module
	scratch  string
	jobs     int
	terminal bool // tell how far it is on standard error
	out      io.Writer

	mu   sync.Mutex
	done int
}

func newRunner(root string, jobs int) (*runner, error) {
	scratch, err := os.MkdirTemp("", "kz-mutate-")
	return &runner{root: root, scratch: scratch, jobs: max(jobs, 1), out: os.Stdout}, err
}

func (r *runner) close() { _ = os.RemoveAll(r.scratch) }

// run tries each protection, tells it in one line, and counts the verdicts.
func (r *runner) run(ctx context.Context, list []protection) map[verdict]int {
	base := r.baselines(ctx, list)
	counts := map[verdict]int{}
	r.done = 0
	r.each(len(list), "deleted", func(i int) {
		p := list[i]
		from := time.Now()
		v, err := invalid, base[p.pkg].tests[p.test]
		if err == nil {
			v, err = r.try(ctx, p)
			if v != killed && ctx.Err() == nil {
				// A busy machine may hide a delay that the test looks for.
				first := err
				if v, err = r.try(ctx, p); v == killed {
					err = fmt.Errorf("the second time; the first: %w", first)
				}
			}
		} else {
			err = fmt.Errorf("%s: as things are, %w", p.at, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		counts[v]++
		r.clear()
		fmt.Fprintf(r.out, "%v %v %.1f s\n", v, p, time.Since(from).Seconds())
		if err != nil {
			fmt.Fprintf(r.out, "      %s\n", strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "\n      "))
		}
	})
	return counts
}

// each calls f for 0…n-1, some at a time.
func (r *runner) each(n int, what string, f func(i int)) {
	next := make(chan int)
	var group sync.WaitGroup
	for range min(r.jobs, n) {
		group.Go(func() {
			for i := range next {
				f(i)
				r.mu.Lock()
				r.done++
				if r.terminal {
					fmt.Fprintf(os.Stderr, "\r\x1b[K%d of %d %s", r.done, n, what)
				}
				r.mu.Unlock()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	r.clear()
}

// clear takes the progress off the terminal.
func (r *runner) clear() {
	if r.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}

// baseline is how the named tests of one package go as things are.
type baseline struct {
	names []string
	kz    bool
	tests map[string]error // nil: it passes
}

// baselines runs all named tests once, without a change.
func (r *runner) baselines(ctx context.Context, list []protection) map[string]*baseline {
	base := map[string]*baseline{}
	var packages []string
	for _, p := range list {
		b := base[p.pkg]
		if b == nil {
			b = &baseline{tests: map[string]error{}}
			base[p.pkg] = b
			packages = append(packages, p.pkg)
		}
		if _, ok := b.tests[p.test]; !ok {
			b.tests[p.test] = errors.New("not run")
			b.names = append(b.names, p.test)
		}
		b.kz = b.kz || p.kz
	}
	r.each(len(packages), "packages as they are", func(i int) {
		b := base[packages[i]]
		dir := filepath.Join(r.scratch, fmt.Sprintf("base%d", i))
		out, err := r.test(ctx, dir, packages[i], "", b.kz, b.names, buildLimit)
		var again []string
		for _, name := range b.names {
			b.tests[name] = err
			if err == nil {
				b.tests[name] = out.passed(name)
			}
			if b.tests[name] != nil {
				again = append(again, name)
			}
		}
		// What fails as things are has a second time, with less beside it.
		if len(again) == 0 || err != nil || ctx.Err() != nil {
			return
		}
		if out, err = r.test(ctx, dir, packages[i], "", b.kz, again, buildLimit); err != nil {
			return
		}
		for _, name := range again {
			b.tests[name] = out.passed(name)
		}
	})
	return base
}

// try deletes one protection and runs its test.
func (r *runner) try(ctx context.Context, p protection) (verdict, error) {
	text, err := os.ReadFile(filepath.Join(r.root, p.file))
	if err != nil {
		return invalid, fmt.Errorf("%s: %w", p.at, err)
	}
	changed, err := p.apply(string(text))
	if err != nil {
		return invalid, err
	}
	dir, err := os.MkdirTemp(r.scratch, "try")
	if err != nil {
		return invalid, err
	}
	defer os.RemoveAll(dir)
	overlay := filepath.Join(dir, "overlay.json")
	with := filepath.Join(dir, "changed.go")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(r.root, p.file): with}})
	if err != nil {
		return invalid, err
	}
	if err := errors.Join(os.WriteFile(with, []byte(changed), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return invalid, err
	}
	out, err := r.test(ctx, dir, p.pkg, overlay, p.kz, []string{p.test}, testLimit)
	switch {
	case err != nil:
		return invalid, fmt.Errorf("%s: %w", p.at, err)
	case out.timedOut():
		return invalid, fmt.Errorf("%s: the test does not end: it must fail by itself", p.at)
	case out.has("--- FAIL: " + p.test + " "):
		return killed, nil
	case out.has("--- PASS: " + p.test + " "):
		return survived, fmt.Errorf("%s: %s has no such line now, and %s does not notice", p.at, p.file, p.test)
	}
	return invalid, fmt.Errorf("%s: the test ended without having failed:\n%s", p.at, out.tail())
}

// test builds a package's tests, and kz where they need it, with an overlay, and runs
// those of the given names.
func (r *runner) test(ctx context.Context, dir, pkg, overlay string, kz bool, names []string, limit time.Duration) (output, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp("", "kz") // the path of a unix socket may have some hundred bytes
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := os.Chmod(tmp, 0o755); err != nil { // tests of another user look into it
		return "", err
	}
	binary, program := filepath.Join(dir, "tests"), filepath.Join(dir, "kz")
	// Without DWARF tables a binary is linked in less time.
	flags := []string{"-ldflags=-w", "-overlay=" + overlay}
	builds := [][]string{append([]string{"test", "-c", "-vet=off", "-o", binary}, append(flags, pkg)...)}
	env := append(os.Environ(), "TMPDIR="+tmp)
	if kz {
		builds = append(builds, append([]string{"build", "-o", program}, append(flags, "./cmd/kz")...))
		env = append(env, "KZ_TEST_KZ="+program)
	}
	for _, args := range builds {
		limited, cancel := context.WithTimeout(ctx, buildLimit)
		cmd := exec.CommandContext(limited, "go", args...)
		cmd.Dir = r.root
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			return "", fmt.Errorf("it does not compile: %w\n%s", err, output(out).tail())
		}
	}
	if _, err := os.Stat(binary); err != nil {
		return "", fmt.Errorf("%s has no tests", pkg)
	}
	limited, cancel := context.WithTimeout(ctx, limit+10*time.Second)
	defer cancel()
	args := []string{"-test.run=^(" + strings.Join(names, "|") + ")$", "-test.v=test2json", "-test.count=1", "-test.timeout=" + limit.String()}
	if overlay != "" {
		args = append(args, "-test.failfast") // of its subtests too one is enough
	}
	cmd := exec.CommandContext(limited, binary, args...)
	cmd.Dir = filepath.Join(r.root, pkg)
	cmd.Env = env
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return "", fmt.Errorf("running the tests: %w", err)
	}
	return output(out.String()), ctx.Err()
}

// output is what a test binary wrote. Its own lines begin with a mark (0x16), so that
// nothing a test prints is taken for one.
type output string

func (o output) has(line string) bool { return strings.Contains(string(o), "\x16"+line) }

func (o output) timedOut() bool { return strings.Contains(string(o), "panic: test timed out after ") }

// passed tells why a test has not passed, if it has not.
func (o output) passed(name string) error {
	switch {
	case o.has("--- PASS: " + name + " "):
		return nil
	case o.has("--- SKIP: " + name + " "):
		return fmt.Errorf("%s is skipped:\n%s", name, o.tail())
	case o.has("=== RUN   " + name + "\n"):
		return fmt.Errorf("%s fails:\n%s", name, o.tail())
	}
	return fmt.Errorf("there is no %s, or it was not reached", name)
}

// tail is the end of an output.
func (o output) tail() string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(o), "\x16", "")), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
