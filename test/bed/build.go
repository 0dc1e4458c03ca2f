package bed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// shared and bare are what one test binary makes once: kz, and the directory it lies in. bare has no race detector.
var shared, bare struct {
	once sync.Once
	dir  string
	kz   string
	err  error
}

// Main is the TestMain of a package that uses a Bed. When the test binary is run as
// `BINARY @name args…` it is the program of that name instead: tests use [Self] to
// have a Go client run under kz.
func Main(m *testing.M, programs map[string]func(args []string) int) {
	if len(os.Args) > 1 {
		if run := programs[os.Args[1]]; run != nil {
			os.Exit(run(os.Args[2:]))
		}
	}
	// A caught signal has its default in what the tests start, an ignored one (by nohup, by a shell's &) would stay ignored.
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	code := m.Run()
	for _, dir := range []string{shared.dir, bare.dir} {
		if dir != "" {
			_ = os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// Self is the path of this test binary; see Main.
func Self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// KZ is the path of kz: that of KZ_TEST_KZ, else one built from these sources, once
// per test binary, with the race detector where the tests have it.
func KZ(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.kz, shared.err = build() })
	if shared.err != nil {
		t.Fatalf("building kz: %v", shared.err)
	}
	return shared.kz
}

// WithoutRace has the Bed use a kz that is built without the race detector, which takes several times the memory.
func (b *Bed) WithoutRace() {
	b.t.Helper()
	if !raceEnabled {
		return // the Bed's own has none then
	}
	bare.once.Do(func() {
		if bare.dir, bare.err = os.MkdirTemp("", "kz-bed-"); bare.err == nil {
			bare.kz = filepath.Join(bare.dir, "kz")
			bare.err = compile("-o", bare.kz)
		}
	})
	if bare.err != nil {
		b.t.Fatalf("building kz: %v", bare.err)
	}
	b.kz = bare.kz
}

// Program is the path of the kz that the Bed uses.
func (b *Bed) Program() string { return b.kz }

func build() (path string, err error) {
	if path = os.Getenv("KZ_TEST_KZ"); path != "" {
		_, err = os.Stat(path)
		return path, err
	}
	if shared.dir, err = os.MkdirTemp("", "kz-bed-"); err != nil {
		return "", err
	}
	path = filepath.Join(shared.dir, "kz")
	args := []string{"-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	return path, compile(args...)
}

// compile builds kz with these flags.
func compile(flags ...string) error {
	cmd := exec.Command("go", slices.Concat([]string{"build"}, flags, []string{"./cmd/kz"})...)
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(err, fmt.Errorf("%s", out))
	}
	return nil
}

// Root is the top of the source tree.
func Root() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		panic("bed: built without file names")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}
