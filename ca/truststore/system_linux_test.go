package truststore

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	library "github.com/smallstep/truststore"

	"kz/ca"
)

// scratch is Debian's store in a directory of the test, kept by Debian's own tool. sudo is a stand-in that just runs
// what it is given, so that the test needs no privilege and never asks for a password.
type scratch struct {
	system
	dir, local, certs, hookLog string
}

func newScratch(t *testing.T) scratch {
	t.Helper()
	tool := debianTool(t)
	dir := t.TempDir()
	s := scratch{dir: dir, local: filepath.Join(dir, "local"), certs: filepath.Join(dir, "certs"), hookLog: filepath.Join(dir, "hook.log")}
	conf, hooks, bin, shipped := filepath.Join(dir, "ca-certificates.conf"), filepath.Join(dir, "hooks"), filepath.Join(dir, "bin"), filepath.Join(dir, "shipped")
	for _, d := range []string{s.local, s.certs, hooks, bin, shipped} {
		mustDo(t, os.Mkdir(d, 0o755))
	}
	for _, name := range []string{"one", "two"} {
		a, _ := keptCertificate(t, name+".example")
		mustDo(t, os.WriteFile(filepath.Join(shipped, name+".crt"), a.CertPEM(), 0o644))
	}
	administrators, _ := keptCertificate(t, "corp.example")
	mustDo(t, os.WriteFile(filepath.Join(s.local, "zz corp (root).crt"), bytes.TrimSuffix(administrators.CertPEM(), []byte("\n")), 0o644))
	mustDo(t, os.WriteFile(conf, []byte("# comment\none.crt\n!gone.crt\ntwo.crt"), 0o644))
	mustDo(t, os.WriteFile(filepath.Join(hooks, "log"), []byte("#!/bin/sh\ncat >> "+s.hookLog+"\n"), 0o755))
	mustDo(t, os.WriteFile(filepath.Join(bin, "sudo"), []byte("#!/bin/sh\n[ \"$1\" = -- ] && shift\nexec \"$@\"\n"), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH")+":/usr/sbin:/sbin")

	oldFile, oldCommand := library.SystemTrustFilename, library.SystemTrustCommand
	t.Cleanup(func() { library.SystemTrustFilename, library.SystemTrustCommand = oldFile, oldCommand })
	library.SystemTrustFilename = s.local + "/%s.crt"
	library.SystemTrustCommand = []string{tool, "--certsconf", conf, "--certsdir", shipped,
		"--localcertsdir", s.local, "--etccertsdir", s.certs, "--hooksdir", hooks}
	bundle := filepath.Join(s.certs, "ca-certificates.crt")
	s.system = system{roots: func() ([]byte, error) { return os.ReadFile(bundle) }, certsDir: s.certs, conf: conf}
	mustDo(t, run(library.SystemTrustCommand...))
	mustDo(t, os.Remove(s.hookLog))
	return s
}

func debianTool(t *testing.T) string {
	t.Helper()
	const tool = "/usr/sbin/update-ca-certificates"
	script, err := os.ReadFile(tool)
	if err != nil || !bytes.Contains(script, []byte("--etccertsdir")) {
		t.Skip("LEFT OUT: this machine has no update-ca-certificates of Debian's kind")
	}
	return tool
}

func mustDo(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot describes every entry below the directories: kind, mode, link target, hash of the content. leaveOut names
// paths that are not looked at.
func snapshot(t testing.TB, dirs []string, leaveOut ...string) map[string]string {
	t.Helper()
	seen := map[string]string{}
	for _, dir := range dirs {
		mustDo(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			for _, l := range leaveOut {
				if path == l {
					return nil
				}
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			seen[path] = info.Mode().String()
			switch {
			case info.Mode()&fs.ModeSymlink != 0:
				target, err := os.Readlink(path)
				seen[path] += " -> " + target
				return err
			case info.Mode().IsRegular():
				data, err := os.ReadFile(path)
				seen[path] += fmt.Sprintf(" %x", sha256.Sum256(data))
				return err
			}
			return nil
		}))
	}
	return seen
}

func wantSame(t testing.TB, before, after map[string]string) {
	t.Helper()
	for path, was := range before {
		if is := after[path]; is != was {
			t.Errorf("%s was %q, is %q", path, was, is)
		}
	}
	for path, is := range after {
		if _, ok := before[path]; !ok {
			t.Errorf("%s is new: %q", path, is)
		}
	}
}

func TestDebiansStoreIsAsBeforeAfterUninstall(t *testing.T) {
	s := newScratch(t)
	dirs := []string{s.local, s.certs}
	before := snapshot(t, dirs)
	_, cert := keptCertificate(t)
	all := []store{s.system}

	reports, err := each(all, func(st store, r *Report) error { return install(st, r, cert) }, cert)
	if err != nil || reports[0].State != Trusted || !reports[0].Changed {
		t.Fatalf("installing: %+v, %v", reports, err)
	}
	if len(s.links(cert)) != 2 {
		t.Errorf("links %q, want the named one and the hash", s.links(cert))
	}
	if maps.Equal(before, snapshot(t, dirs)) {
		t.Error("nothing has changed")
	}
	if strays := Strays(nil); len(strays) != 1 || Strays(cert) != nil {
		t.Errorf("strays %q and %q", strays, Strays(cert))
	}

	reports, err = each(all, func(st store, r *Report) error { return uninstall(st, r, cert) }, cert)
	if err != nil || reports[0].State != Absent || !reports[0].Changed {
		t.Fatalf("uninstalling: %+v, %v", reports, err)
	}
	wantSame(t, before, snapshot(t, dirs))
	hook, err := os.ReadFile(s.hookLog)
	mustDo(t, err)
	named := filepath.Join(s.certs, uniqueName(cert)+".pem\n")
	if got, want := string(hook), "+"+named+"-"+named; got != want {
		t.Errorf("hooks were told %q, want %q", got, want)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "kz-ca-certificates-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestUninstallRepairsAnInterruptedInstall(t *testing.T) {
	for name, interrupt := range map[string]func(t *testing.T, s scratch, file string, pem []byte){
		"before a byte of the anchor was written": func(t *testing.T, _ scratch, file string, _ []byte) {
			mustDo(t, os.WriteFile(file, nil, 0o644))
		},
		"in the middle of the anchor": func(t *testing.T, _ scratch, file string, pem []byte) {
			mustDo(t, os.WriteFile(file, pem[:len(pem)/2], 0o644))
		},
		"before the rebuild": func(t *testing.T, _ scratch, file string, pem []byte) {
			mustDo(t, os.WriteFile(file, pem, 0o644))
		},
		"with half an anchor already in the bundle": func(t *testing.T, s scratch, file string, pem []byte) {
			mustDo(t, os.WriteFile(file, pem[:len(pem)/2], 0o644))
			mustDo(t, run(library.SystemTrustCommand...))
		},
		"after a removal by hand without a rebuild": func(t *testing.T, s scratch, file string, pem []byte) {
			mustDo(t, os.WriteFile(file, pem, 0o644))
			mustDo(t, run(library.SystemTrustCommand...))
			mustDo(t, os.Remove(file))
		},
		"after a removal by hand and a rebuild": func(t *testing.T, s scratch, file string, pem []byte) {
			mustDo(t, os.WriteFile(file, pem, 0o644))
			mustDo(t, run(library.SystemTrustCommand...))
			mustDo(t, os.Remove(file))
			mustDo(t, run(library.SystemTrustCommand...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScratch(t)
			before := snapshot(t, []string{s.local, s.certs})
			a, cert := keptCertificate(t)
			interrupt(t, s, anchor(cert), a.CertPEM())
			if state, err := s.find(cert); err != nil || state == Absent {
				t.Fatalf("found %v, %v before the repair", state, err)
			}
			if _, err := each([]store{s.system}, func(st store, r *Report) error { return uninstall(st, r, cert) }, cert); err != nil {
				t.Fatal(err)
			}
			wantSame(t, before, snapshot(t, []string{s.local, s.certs}))
		})
	}
}

func TestAStoreWhoseToolFailsIsPutBack(t *testing.T) {
	s := newScratch(t)
	before := snapshot(t, []string{s.local, s.certs})
	_, cert := keptCertificate(t)
	good := library.SystemTrustCommand
	fails := filepath.Join(s.dir, "bin", "update-fails-once")
	mustDo(t, os.WriteFile(fails, []byte("#!/bin/sh\nif mkdir "+s.dir+"/failed; then echo disk full >&2; exit 3; fi\nexec "+strings.Join(good, " ")+"\n"), 0o755))
	library.SystemTrustCommand = []string{fails}

	reports, err := each([]store{s.system}, func(st store, r *Report) error { return install(st, r, cert) }, cert)
	if err == nil || !strings.Contains(err.Error(), "update-fails-once: exit status 3 (disk full)") {
		t.Errorf("got %v", err)
	}
	if reports[0].State != Absent || reports[0].Changed {
		t.Errorf("report %+v", reports[0])
	}
	wantSame(t, before, snapshot(t, []string{s.local, s.certs}))
}

func TestTheAnchorIsReadableUnderAStrictUmask(t *testing.T) {
	s := newScratch(t)
	_, cert := keptCertificate(t)
	strict := filepath.Join(s.dir, "bin", "tee") // a umask is the whole process's; this stands in for one
	mustDo(t, os.WriteFile(strict, []byte("#!/bin/sh\numask 077\nexec /usr/bin/tee \"$@\"\n"), 0o755))
	mustDo(t, s.add(cert))
	info, err := os.Stat(anchor(cert))
	mustDo(t, err)
	if info.Mode().Perm() != 0o644 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
}

func TestAMissingToolIsSaid(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	old := library.SystemTrustCommand
	t.Cleanup(func() { library.SystemTrustCommand = old })
	library.SystemTrustCommand = []string{"update-nothing-at-all"}
	if os.Geteuid() != 0 {
		var p PrivilegeError
		if err := prepare(); !errors.As(err, &p) {
			t.Errorf("got %v", err)
		}
		return
	}
	if err := prepare(); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	library.SystemTrustCommand = []string{filepath.Base(debianTool(t)), "--verbose"}
	mustDo(t, prepare()) // PATH has no directory for root's tools
	if got := library.SystemTrustCommand; got[0] != "/usr/sbin/update-ca-certificates" || got[1] != "--verbose" {
		t.Errorf("got %q", got)
	}
}

func TestInstalledReadsTheRealStore(t *testing.T) {
	t.Parallel()
	_, cert := keptCertificate(t)
	ok, err := Installed(cert)
	if errors.Is(err, ErrUnsupported) {
		t.Skip("LEFT OUT: no trust store on this machine")
	}
	if err != nil || ok {
		t.Errorf("a fresh authority: %v, %v", ok, err)
	}
	roots, err := ca.SystemRoots()
	if errors.Is(err, ca.ErrNoRoots) {
		t.Skip("LEFT OUT: no roots on this machine")
	}
	mustDo(t, err)
	if ok, err := Installed(firstCertificate(t, roots)); err != nil || !ok {
		t.Errorf("a root of the system: %v, %v", ok, err)
	}
}
