package cli

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kz/ca"
	"kz/ca/truststore"
)

const caTestConfig = `
[backends.local]
type = "env_file"
path = "secrets.env"
[secrets.OPENAI_API_KEY]
backend = "local"
hosts = ["api.openai.com", "*.openai.example:8443"]
[secrets.SITE]
backend = "local"
expose = "plain"
hosts = ["plain.example.com"]
`

// fakeStores is one store that does as it is told, and remembers.
type fakeStores struct {
	trusted map[string]bool // by fingerprint
	calls   []string
	err     error
	extra   []string
}

func (f *fakeStores) report(cert *x509.Certificate, state truststore.State, err error) ([]truststore.Report, error) {
	return []truststore.Report{{Store: "system", State: state, Note: "/anchors", Err: err}, {Store: "java", Note: "JAVA_HOME is not set"}}, err
}

func (f *fakeStores) stores() trustStores {
	now := func(cert *x509.Certificate) truststore.State {
		if f.trusted[ca.Fingerprint(cert)] {
			return truststore.Trusted
		}
		return truststore.Absent
	}
	change := func(call string, to bool) func(*x509.Certificate) ([]truststore.Report, error) {
		return func(cert *x509.Certificate) ([]truststore.Report, error) {
			f.calls = append(f.calls, call+" "+cert.Subject.CommonName)
			if f.err == nil {
				f.trusted[ca.Fingerprint(cert)] = to
			}
			return f.report(cert, now(cert), f.err)
		}
	}
	return trustStores{
		install:   change("install", true),
		uninstall: change("uninstall", false),
		status:    func(cert *x509.Certificate) ([]truststore.Report, error) { return f.report(cert, now(cert), nil) },
		strays:    func(*x509.Certificate) []string { return f.extra },
	}
}

// caBench is a machine and a user for `kz ca`.
type caBench struct {
	home, dir string // dir is where the authority is kept
	fake      fakeStores
	env       []string
	terminal  bool
	config    string
}

func newCABench(t *testing.T) *caBench {
	t.Helper()
	home := t.TempDir()
	b := &caBench{home: home, dir: filepath.Join(home, ".local", "state", "kz", "ca"), config: filepath.Join(home, "kz.toml")}
	b.fake.trusted = make(map[string]bool)
	b.configure(t, caTestConfig)
	return b
}

func (b *caBench) configure(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs `kz ca …`, with an answer on standard input.
func (b *caBench) run(answer string, args ...string) (code int, stdout, stderr string) {
	a, out, errs := testApp(append([]string{"HOME=" + b.home}, b.env...)...)
	a.cwd = func() (string, error) { return b.home, nil }
	a.now = time.Now
	a.stdin = strings.NewReader(answer)
	a.isTerminal = func(any) bool { return b.terminal }
	if args[0] == "install" || args[0] == "status" {
		args = append(args, "--config", b.config)
	}
	err := execute(background(), withRoot(caCommand(a, b.fake.stores())), append([]string{"ca"}, args...))
	a.ui.Error(err)
	return exitCode(err), out.String(), errs.String()
}

func (b *caBench) kept(t *testing.T) *ca.Authority {
	t.Helper()
	a, err := ca.LoadKept(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (b *caBench) wantNothingKept(t *testing.T) {
	t.Helper()
	if _, err := os.Lstat(b.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is kept: %v", err)
	}
}

func (b *caBench) wantCalls(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(b.fake.calls, want) {
		t.Errorf("the stores were asked %q, want %q", b.fake.calls, want)
	}
}

func wantSays(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is missing in:\n%s", p, text)
		}
	}
}

func TestCAUninstall(t *testing.T) {
	t.Parallel()
	t.Run("removes from the stores first, then the key, and again does nothing", func(t *testing.T) {
		t.Parallel()
		b := newCABench(t)
		b.terminal = true
		b.run("y\n", "install")
		name := b.kept(t).Certificate().Subject.CommonName
		b.fake.calls, b.fake.err = nil, errors.New("disk full")
		code, _, stderr := b.run("", "uninstall")
		if code != exitFailure {
			t.Errorf("exit code %d", code)
		}
		wantSays(t, stderr, "removing the authority from the trust stores: disk full", "goes on where it stopped")
		b.kept(t)

		b.fake.err = nil
		if code, _, stderr = b.run("", "uninstall"); code != 0 {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		b.wantNothingKept(t)
		b.wantCalls(t, "uninstall "+name, "uninstall "+name)
		if code, _, stderr = b.run("", "uninstall"); code != 0 {
			t.Errorf("again: exit code %d: %s", code, stderr)
		}
		wantSays(t, stderr, "nothing to remove")
	})
	t.Run("finds an authority that has ended", func(t *testing.T) {
		t.Parallel()
		b := newCABench(t)
		old, err := ca.New(ca.Options{Lifetime: time.Nanosecond, PermittedHosts: []string{"api.openai.com"}})
		if err := errors.Join(err, ca.Keep(b.dir, old)); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := b.run("", "uninstall"); code != 0 {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		b.wantCalls(t, "uninstall "+old.Certificate().Subject.CommonName)
		b.wantNothingKept(t)
	})
	t.Run("names what it leaves alone", func(t *testing.T) {
		t.Parallel()
		b := newCABench(t)
		b.fake.extra = []string{"/anchors/kz-local-ca-1.crt"}
		_, _, stderr := b.run("", "uninstall")
		wantSays(t, stderr, "kz: warning: the system trusts other authorities of kz", "/anchors/kz-local-ca-1.crt")
	})
}

func TestCAStatus(t *testing.T) {
	t.Parallel()
	b := newCABench(t)
	b.terminal = true
	code, stdout, _ := b.run("", "status")
	if code != 0 {
		t.Errorf("nothing kept: exit code %d", code)
	}
	wantSays(t, stdout, "no authority is kept")

	b.run("y\n", "install")
	code, stdout, stderr := b.run("", "status")
	if code != 0 || strings.Contains(stdout, "not covered") || stderr != "" {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	wantSays(t, stdout, b.kept(t).Fingerprint(), "ends ", "(in 29 days)", "api.openai.com", "system       trusted (/anchors)", "java         unavailable (JAVA_HOME is not set)")

	b.fake.trusted = map[string]bool{}
	b.configure(t, strings.ReplaceAll(caTestConfig, "api.openai.com", "api.anthropic.com"))
	code, stdout, stderr = b.run("", "status")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	wantSays(t, stdout, "system       not trusted", "not covered  api.anthropic.com\n")
	wantSays(t, stderr, "replaces it by one that covers them too")

	b.configure(t, "nonsense = 1\n")
	code, stdout, stderr = b.run("", "status")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	wantSays(t, stdout, b.kept(t).Fingerprint())
	wantSays(t, stderr, "are not compared, since it cannot be read")
}

func TestCAExport(t *testing.T) {
	t.Parallel()
	b := newCABench(t)
	code, stdout, stderr := b.run("", "export")
	if code != exitFailure || stdout != "" {
		t.Errorf("nothing kept: exit code %d, %q", code, stdout)
	}
	wantSays(t, stderr, "kz: error: no authority is kept\nkz: hint: `kz ca install` makes one")

	b.terminal = true
	b.run("y\n", "install")
	if code, stdout, stderr = b.run("", "export"); code != 0 || stderr != "" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	want := b.kept(t).CertPEM()
	if stdout != string(want) || strings.Contains(stdout, "PRIVATE") {
		t.Errorf("printed %s", stdout)
	}
	if block, _ := pem.Decode([]byte(stdout)); block == nil {
		t.Error("no PEM")
	}
	file := filepath.Join(b.home, "out.pem")
	if code, stdout, stderr = b.run("", "export", "--out", file); code != 0 || stdout != "" {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	got, err := os.ReadFile(file)
	info, statErr := os.Stat(file)
	if err := errors.Join(err, statErr); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %o, %s", info.Mode().Perm(), got)
	}
}
