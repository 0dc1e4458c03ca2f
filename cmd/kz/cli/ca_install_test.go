package cli

import (
	"context"
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

func TestCAInstallOnATerminal(t *testing.T) {
	t.Parallel()
	t.Run("shows what trusting means, asks, keeps and installs", func(t *testing.T) {
		t.Parallel()
		b := newCABench(t)
		b.terminal = true
		code, stdout, stderr := b.run("y\n", "install")
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		a := b.kept(t)
		cert := a.Certificate()
		b.wantCalls(t, "install "+cert.Subject.CommonName)
		if got, want := ca.PermittedHosts(cert), []string{"*.openai.example", "api.openai.com"}; !slices.Equal(got, want) {
			t.Errorf("bound to %q, want %q", got, want)
		}
		if left := time.Until(cert.NotAfter); left > ca.KeptLifetime || left < ca.KeptLifetime-time.Minute {
			t.Errorf("ends in %s", left)
		}
		wantSays(t, stdout, a.Fingerprint(), "api.openai.com", "*.openai.example", "(in 29 days)", "every program of every user", "Trust it? [y/N]", "trusted (/anchors)")
		wantSays(t, stderr, "kz: warning: its key will be in "+b.dir, "never share or copy it", "installed until", "--authority installed")
	})
	for _, answer := range []string{"n\n", "\n", "", "yep\n"} {
		t.Run("leaves nothing behind after the answer "+strings.TrimSpace(answer), func(t *testing.T) {
			t.Parallel()
			b := newCABench(t)
			b.terminal = true
			code, _, stderr := b.run(answer, "install")
			if code != exitFailure {
				t.Errorf("exit code %d", code)
			}
			wantSays(t, stderr, "kz: error: the authority was not installed")
			b.wantCalls(t)
			b.wantNothingKept(t)
		})
	}
	t.Run("a second install asks nothing and changes nothing", func(t *testing.T) {
		t.Parallel()
		b := newCABench(t)
		b.terminal = true
		b.run("y\n", "install")
		before := b.kept(t).Fingerprint()
		b.fake.calls = nil
		code, stdout, stderr := b.run("", "install")
		if code != 0 || strings.Contains(stdout, "Trust it?") || b.kept(t).Fingerprint() != before {
			t.Errorf("exit code %d, %s", code, stdout)
		}
		wantSays(t, stderr, "already installed")
		b.wantCalls(t)
	})
	t.Run("one that does not cover the hosts any more is replaced, and its hosts stay covered", func(t *testing.T) {
		t.Parallel()
		b := newCABench(t)
		b.terminal = true
		b.run("y\n", "install")
		old := b.kept(t).Certificate()
		b.fake.calls = nil
		b.configure(t, strings.ReplaceAll(caTestConfig, "api.openai.com", "api.anthropic.com"))
		if code, _, stderr := b.run("n\n", "install"); code != exitFailure || b.kept(t).Fingerprint() != ca.Fingerprint(old) {
			t.Errorf("after a no: exit code %d, %s", code, stderr)
		}
		b.wantCalls(t)
		code, _, stderr := b.run("y\n", "install")
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		fresh := b.kept(t).Certificate()
		b.wantCalls(t, "uninstall "+old.Subject.CommonName, "install "+fresh.Subject.CommonName)
		for _, h := range []string{"api.anthropic.com", "api.openai.com", "x.openai.example"} {
			if !ca.Permits(fresh, h) {
				t.Errorf("%s is not covered", h)
			}
		}
		wantSays(t, stderr, "it replaces "+old.Subject.CommonName)
		if b.fake.trusted[ca.Fingerprint(old)] {
			t.Error("the old one is still trusted")
		}
	})
	t.Run("one that is about to end, or has ended, is replaced", func(t *testing.T) {
		t.Parallel()
		for _, lifetime := range []time.Duration{6 * 24 * time.Hour, time.Nanosecond} {
			b := newCABench(t)
			b.terminal = true
			old, err := ca.New(ca.Options{Lifetime: lifetime, PermittedHosts: []string{"api.openai.com", "*.openai.example", "old.example"}})
			if err := errors.Join(err, ca.Keep(b.dir, old)); err != nil {
				t.Fatal(err)
			}
			if code, _, stderr := b.run("y\n", "install"); code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			fresh := b.kept(t).Certificate()
			if ca.Fingerprint(fresh) == old.Fingerprint() {
				t.Error("not replaced")
			}
			if got, want := ca.Permits(fresh, "old.example"), lifetime > time.Hour; got != want {
				t.Errorf("old host covered: %v, want %v", got, want)
			}
		}
	})
	t.Run("when the store refuses, the error says so and uninstall still finds the authority", func(t *testing.T) {
		t.Parallel()
		b := newCABench(t)
		b.terminal = true
		b.fake.err = truststore.PrivilegeError{}
		code, stdout, stderr := b.run("y\n", "install")
		if code != exitFailure {
			t.Errorf("exit code %d", code)
		}
		wantSays(t, stdout, "system       error")
		wantSays(t, stderr, "kz: error: installing the authority: changing the store needs root, and there is no sudo\nkz: hint: install sudo")
		b.kept(t)
		b.fake.err = nil
		if code, _, stderr := b.run("", "uninstall"); code != 0 {
			t.Errorf("uninstall: %d, %s", code, stderr)
		}
		b.wantNothingKept(t)
	})
}

func TestCAInstallWithoutATerminal(t *testing.T) {
	t.Parallel()
	b := newCABench(t)
	code, stdout, stderr := b.run("y\n", "install")
	if code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	a := b.kept(t)
	wantSays(t, stdout, a.Fingerprint(), "every program of every user")
	wantSays(t, stderr, "no terminal\nkz: hint: check the fingerprint, then: kz ca install --yes "+a.Fingerprint())
	b.wantCalls(t)

	if code, _, stderr = b.run("y\n", "install"); code != exitFailure || b.kept(t).Fingerprint() != a.Fingerprint() {
		t.Errorf("asked again: %d, %s; the fingerprint must stay the same", code, stderr)
	}
	code, _, stderr = b.run("", "install", "--yes", strings.Repeat("00:", 31)+"00")
	if code != exitFailure {
		t.Errorf("another fingerprint: exit code %d", code)
	}
	wantSays(t, stderr, "has another fingerprint than the one given with --yes")
	b.wantCalls(t)

	b.configure(t, strings.ReplaceAll(caTestConfig, "api.openai.com", "api.anthropic.com"))
	code, _, stderr = b.run("", "install", "--yes", a.Fingerprint())
	if code != exitFailure {
		t.Errorf("other hosts: exit code %d", code)
	}
	wantSays(t, stderr, "does not cover api.anthropic.com")
	code, _, stderr = b.run("", "install")
	if code != exitFailure || b.kept(t).Fingerprint() != a.Fingerprint() {
		t.Errorf("other hosts, without --yes: %d", code)
	}
	wantSays(t, stderr, "must be replaced, and there is no terminal", "kz: hint: `kz ca uninstall`")
	b.wantCalls(t)

	b.configure(t, caTestConfig)
	if code, _, stderr = b.run("", "install", "--yes", strings.ToLower(strings.ReplaceAll(a.Fingerprint(), ":", ""))); code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	b.wantCalls(t, "install "+a.Certificate().Subject.CommonName)

	empty := newCABench(t)
	if code, _, stderr = empty.run("", "install", "--yes", a.Fingerprint()); code != exitFailure {
		t.Errorf("nothing kept: exit code %d", code)
	}
	wantSays(t, stderr, "no authority is kept")
	empty.wantNothingKept(t)
}

func TestCAInstallIsRefused(t *testing.T) {
	t.Parallel()
	t.Run("inside a blind session", func(t *testing.T) {
		t.Parallel()
		b := newCABench(t)
		b.terminal, b.env = true, []string{"KZ_SESSION=s1"}
		code, _, stderr := b.run("y\n", "install")
		if code != exitFailure {
			t.Errorf("exit code %d", code)
		}
		wantSays(t, stderr, "`kz ca install` is refused inside a blind session")
		b.wantCalls(t)
		b.wantNothingKept(t)
	})
	t.Run("without a bound host", func(t *testing.T) {
		t.Parallel()
		for _, config := range []string{"", "[backends.local]\ntype = \"env_file\"\npath = \"s\"\n[secrets.SITE]\nbackend = \"local\"\nexpose = \"plain\"\nhosts = [\"plain.example.com\"]\n"} {
			b := newCABench(t)
			b.terminal = true
			b.configure(t, config)
			if code, _, stderr := b.run("y\n", "install"); code != exitFailure || !strings.Contains(stderr, "kz: hint: ") {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			b.wantCalls(t)
			b.wantNothingKept(t)
		}
	})
	t.Run("for a configuration that nobody has approved", func(t *testing.T) {
		t.Parallel()
		b := newCABench(t)
		project := filepath.Join(b.home, "project")
		if err := errors.Join(os.Mkdir(project, 0o700), os.WriteFile(filepath.Join(project, ".keyzero.toml"), []byte(caTestConfig), 0o600)); err != nil {
			t.Fatal(err)
		}
		a, _, stderr := testApp("HOME=" + b.home)
		a.cwd = func() (string, error) { return project, nil }
		a.isTerminal = func(any) bool { return true }
		a.stdin = strings.NewReader("y\n")
		a.ui.Error(execute(background(), withRoot(caCommand(a, b.fake.stores())), []string{"ca", "install"}))
		wantSays(t, stderr.String(), "not approved", "kz trust")
		b.wantCalls(t)
		b.wantNothingKept(t)
	})
	t.Run("with a key that others can read", func(t *testing.T) {
		t.Parallel()
		b := newCABench(t)
		b.terminal = true
		b.run("y\n", "install")
		if err := os.Chmod(filepath.Join(b.dir, "authority.pem"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"install"}, {"export"}, {"status"}, {"uninstall"}} {
			code, _, stderr := b.run("y\n", args...)
			if code != exitFailure {
				t.Errorf("%s: exit code %d", args, code)
			}
			wantSays(t, stderr, "others could reach it", "the key may be known to others")
		}
	})
}

func TestCAInstallQuestionEndsWithAnInterruption(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp()
	stdin, _, err := os.Pipe() // nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	a.stdin = stdin
	ctx, cancel := context.WithCancelCause(background())
	why := errors.New("interrupted")
	cancel(why)
	if yes, err := a.confirm(ctx, "Trust it?"); yes || !errors.Is(err, why) {
		t.Errorf("got %v, %v", yes, err)
	}
}
