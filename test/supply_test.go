package test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// goproxyRead is the version of goproxy whose source was read, and the sum of what was read.
const (
	goproxyRead = "v1.9.2"
	goproxySum  = "h1:+vXRRSWrznMtBrAb559qfqC+Cny1Q3rR0l51Yu/3WUw="
)

// TestGoproxyIsTheOneThatWasRead: kz stands between goproxy's front and its transport, and relies on what its source does.
func TestGoproxyIsTheOneThatWasRead(t *testing.T) {
	t.Parallel()
	const what = `read these before goproxyRead and goproxySum are changed:
  https.go       CONNECT: the actions, what Hijack gives away, what is answered and closed, dialling from the environment
  http.go        the error page with the upstream's text, Content-Length, trailers, the upgrade, when it flushes
  proxy.go       the defaults of NewProxyHttpServer (Tr, Logger, ConnectDial), which headers are dropped
  ctx.go, dispatcher.go, websocket.go, h2*.go    who calls RoundTrip, what is logged, who copies after a 101
then run the tests of proxy and of test/peers; TestEveryDefaultOfGoproxyIsOurs tells of new fields`
	mod, sum := text(t, "go.mod"), text(t, "go.sum")
	found := regexp.MustCompile(`(?m)^\s*github\.com/elazarl/goproxy (\S+)`).FindStringSubmatch(mod)
	switch {
	case len(found) != 2:
		t.Error("go.mod does not name goproxy")
	case found[1] != goproxyRead:
		t.Errorf("goproxy is %s; %s was read. %s", found[1], goproxyRead, what)
	case !strings.Contains(sum, "github.com/elazarl/goproxy "+goproxyRead+" "+goproxySum+"\n"):
		t.Errorf("goproxy %s is not what was read. %s", goproxyRead, what)
	}
}

// TestModulesComeFromNowhereElse: go.sum says what each module is, and a replacement would go round it.
func TestModulesComeFromNowhereElse(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(text(t, "go.mod")) {
		if strings.HasPrefix(strings.TrimSpace(line), "replace") {
			t.Errorf("go.mod replaces a module: %s", line)
		}
	}
	for _, dir := range []string{"vendor", "go.work"} {
		if _, err := os.Lstat(filepath.Join("..", dir)); err == nil {
			t.Errorf("%s: its modules are not those of go.sum", dir)
		}
	}
}

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTheBuildIsReproducible builds kz from here and from a copy elsewhere: the same bytes, with no path in them.
func TestTheBuildIsReproducible(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(t.TempDir(), "another place")
	copySources(t, here, there)
	first, second := build(t, here), build(t, there)
	if !bytes.Equal(first, second) {
		t.Errorf("two builds of the same source differ: %d and %d bytes", len(first), len(second))
	}
	for _, dir := range []string{here, there} {
		if bytes.Contains(first, []byte(dir+"/")) {
			t.Errorf("the program holds the path %s", dir)
		}
	}
}

func build(t *testing.T, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "kz")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", out, "./cmd/kz")
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GOFLAGS=") })
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building kz in %s: %v\n%s", dir, err, said)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// copySources copies what kz is built from, embedded files included.
func copySources(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(name, ".") || name == "testdata" || rel == "test") {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if strings.HasSuffix(name, "_test.go") || !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
