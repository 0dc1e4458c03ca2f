// Command bench measures kz from outside, as a user meets it: the program that is
// built, run as a process.
//
//	go run ./test/bench startup
//
// It prints what it measured, how, and on what machine. A benchmark that has a bound
// ends with exit code 1 when it is passed; machines are noisy, so none is a test.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// benchmarks are the subcommands. Each measures, prints to w, and reports whether its
// bound holds.
var benchmarks = map[string]func(b *bench, w io.Writer) (ok bool, err error){
	"startup": startup,
}

func main() {
	names := os.Args[1:]
	if len(names) == 0 || benchmarks[names[0]] == nil {
		var known []string
		for name := range benchmarks {
			known = append(known, name)
		}
		slices.Sort(known)
		fmt.Fprintf(os.Stderr, "usage: go run ./test/bench NAME…, of %s\n", strings.Join(known, ", "))
		os.Exit(2)
	}
	code := 0
	for _, name := range names {
		ok, err := run(name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", name, err)
		}
		if err != nil || !ok {
			code = 1
		}
	}
	os.Exit(code)
}

func run(name string) (ok bool, err error) {
	f := benchmarks[name]
	if f == nil {
		return false, fmt.Errorf("there is no such benchmark")
	}
	dir, err := os.MkdirTemp("", "kz-bench-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	return f(&bench{dir: dir}, os.Stdout)
}

// bench is where one benchmark builds and runs: a directory that is removed at its end.
type bench struct{ dir string }

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) write(name, text string) error {
	return os.WriteFile(b.path(name), []byte(text), 0o600)
}

// build builds a package of this module and returns the program's path.
func (b *bench) build(name, pkg string) (string, error) {
	cmd := exec.Command("go", "build", "-o", b.path(name), pkg)
	cmd.Dir = root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return b.path(name), nil
}

// environment is all that a measured program gets.
func (b *bench) environment() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + b.dir, "TMPDIR=" + b.dir}
}

// wall runs argv once and returns how long that took. Its standard streams are the null device.
func (b *bench) wall(argv []string) (time.Duration, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = b.dir, b.environment()
	began := time.Now()
	err := cmd.Run()
	return time.Since(began), err
}

// root is the top of the source tree.
func root() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		panic("bench: built without file names")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// percentile of durations that need not be sorted.
func percentile(p int, ds []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(ds))
	return sorted[(len(sorted)-1)*p/100]
}

// ms writes a duration in milliseconds with two decimals.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }

// machine is what a figure depends on.
func machine() string {
	s := fmt.Sprintf("%d cores, %s %s/%s", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			s += ", " + strings.TrimSpace(value)
			break
		}
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		one, _, _ := strings.Cut(string(load), " ")
		s += ", load " + one + " at the end"
	}
	return s
}
