//go:build unix

package execstore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kz/resolver"
	"kz/resolver/execstore"
	"kz/test/bed"
)

func TestCommandsThatAreRefused(t *testing.T) {
	t.Parallel()
	say := []string{"#!/bin/sh", "echo " + canary}
	link := func(t *testing.T, to, at string) string {
		t.Helper()
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	mkdir := func(t *testing.T, path string, mode os.FileMode) string {
		t.Helper()
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		// make makes the command below dir, where work is the workspace.
		make func(t *testing.T, dir, work string) string
		kind resolver.Kind
		text string // "": it is not refused
	}{
		"none":                   {func(_ *testing.T, dir, _ string) string { return dir + "/get" }, resolver.InvalidReference, "there is no file"},
		"a directory":            {func(_ *testing.T, dir, _ string) string { return dir }, resolver.AccessDenied, "is not a file"},
		"one that is no program": {func(t *testing.T, dir, _ string) string { return file(t, dir+"/get", 0o644, say...) }, resolver.AccessDenied, "is not executable"},
		"one that anyone may change": {func(t *testing.T, dir, _ string) string { return file(t, dir+"/get", 0o757, say...) },
			resolver.AccessDenied, "can be changed by anyone"},
		"one where anyone may put another": {func(t *testing.T, dir, _ string) string {
			return file(t, mkdir(t, dir+"/open", 0o757)+"/get", 0o755, say...)
		},
			resolver.AccessDenied, "directory that anyone may write to"},
		"one in a directory as /tmp is": {func(t *testing.T, dir, _ string) string {
			return file(t, mkdir(t, dir+"/tmp", 0o777|os.ModeSticky)+"/get", 0o755, say...)
		}, "", ""},
		"one in the workspace": {func(t *testing.T, _, work string) string { return file(t, work+"/get", 0o755, say...) }, resolver.AccessDenied, "lies in the workspace"},
		"a link into the workspace": {func(t *testing.T, dir, work string) string {
			return link(t, file(t, work+"/get", 0o755, say...), dir+"/get")
		}, resolver.AccessDenied, "lies in the workspace"},
		"a link of the workspace": {func(t *testing.T, dir, work string) string {
			return link(t, file(t, dir+"/get", 0o755, say...), work+"/get")
		}, resolver.AccessDenied, "lies in the workspace"},
		"a directory that is linked": {func(t *testing.T, dir, work string) string {
			file(t, work+"/get", 0o755, say...)
			return link(t, work, dir+"/bin") + "/get"
		}, resolver.AccessDenied, "lies in the workspace"},
		"a link by way of the workspace": {func(t *testing.T, dir, work string) string {
			return link(t, link(t, file(t, dir+"/get", 0o755, say...), work+"/hop"), dir+"/start")
		}, resolver.AccessDenied, "lies in the workspace"},
		"a relative link by way of it": {func(t *testing.T, dir, _ string) string {
			file(t, dir+"/get", 0o755, say...)
			return link(t, "work/../get", dir+"/start")
		}, resolver.AccessDenied, "lies in the workspace"},
		"links without end": {func(t *testing.T, dir, _ string) string { return link(t, dir+"/loop", dir+"/loop") }, resolver.Unavailable, "loop"},
		"a link that leads to a good one": {func(t *testing.T, dir, _ string) string {
			file(t, dir+"/get", 0o755, say...)
			return link(t, "../"+filepath.Base(dir)+"/get", dir+"/start")
		}, "", ""},
		"another user's": {func(t *testing.T, dir, _ string) string {
			path := file(t, dir+"/get", 0o755, say...)
			if err := os.Chown(path, 65534, -1); err != nil {
				t.Fatal(err)
			}
			return path
		}, resolver.AccessDenied, "belongs to another user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "another user's" && os.Geteuid() != 0 {
				return // only root can make one
			}
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			work := mkdir(t, dir+"/work", 0o755)
			s := open(t, execstore.Options{Command: c.make(t, dir, work), Workspaces: []string{work}})
			if c.text == "" {
				if got := get(t, s, "id"); got != canary {
					t.Errorf("%q", got)
				}
				return
			}
			fails(t, s, c.kind, c.text)
		})
	}
	t.Run("a relative one", func(t *testing.T) {
		t.Parallel()
		if _, err := execstore.New(execstore.Options{Command: "bin/get"}); err == nil || !strings.Contains(err.Error(), "absolute") {
			t.Error(err)
		}
	})
}

func TestNoOtherDescriptorReachesACommand(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return // there is no telling
	}
	secret, err := os.Open(file(t, filepath.Join(t.TempDir(), "secret"), 0o600, canary))
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	inherited, err := unix.FcntlInt(secret.Fd(), unix.F_DUPFD, 77) // as a shell's 77<file: open in whatever is executed
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	s := open(t, execstore.Options{Command: bed.Program(t, "ls"), Args: []string{"/proc/self/fd"}})
	if got := get(t, s, "id"); got != "0\n1\n2\n3" { // the last is of the directory that ls reads
		t.Errorf("the command has the descriptors %q", got)
	}
}
