package cli

import (
	"errors"
	"fmt"
	"path/filepath"

	"kz/cmd/kz/config"
	"kz/resolver"
	"kz/resolver/agefile"
	"kz/resolver/execstore"
	"kz/resolver/keychain"
	"kz/resolver/local"
)

func newAgeStore(a *app, b backend) (resolver.Resolver, error) {
	return agefile.New(agefile.Options{Path: b.Text("path"), Identity: b.Secret("identity"), IdentityFile: b.Text("identity_file"), Getenv: a.getenvForStore})
}

// newLocalStore makes the store of kz's own. Its key is in the system's keychain, or beside the file.
func newLocalStore(a *app, b backend) (resolver.Resolver, error) {
	path, err := a.localPath(b.Backend)
	if err != nil {
		return nil, err
	}
	if _, inside := a.inWorkspace(b.Backend, path); inside {
		return nil, withHint(fmt.Errorf("the local store %s would lie in the workspace, where the programs that it is kept from may read and change it", path),
			"leave its `path` out, or name a place outside; in a workspace a file of type age serves")
	}
	// A keychain that waits for a person leaves time for the file that takes its place.
	chain, err := keychain.New(keychain.Options{Getenv: a.getenv, Timeout: resolver.DefaultTimeout / 2})
	if err != nil {
		return nil, err
	}
	return local.New(local.Options{Path: path, Keychain: chain})
}

// newExecStore makes the store of a command, which must lie outside of the workspace: an approval is of the configuration,
// not of a program that whoever works there could change.
func newExecStore(a *app, b backend) (resolver.Resolver, error) {
	return execstore.New(execstore.Options{Command: b.Text("command"), Args: b.List("args"), KeepEnv: b.List("keep_env"),
		Lookup: a.lookupForStore, Workspaces: a.workspaces(b.Backend)})
}

// warnings are what a store knows to be unsafe in how it was set up.
func warnings(store any) []string {
	if w, ok := store.(resolver.Warner); ok {
		return w.Warnings()
	}
	return nil
}

// localPath is where a backend of type local has its file: kz/local.age in the user's configuration directory unless given.
func (a *app) localPath(b config.Backend) (string, error) {
	if path := b.Text("path"); path != "" {
		return path, nil
	}
	base := a.getenv("XDG_CONFIG_HOME")
	if home := a.getenv("HOME"); !filepath.IsAbs(base) { // the XDG specification: a relative one is ignored
		if base = a.getenv("AppData"); filepath.IsAbs(home) {
			base = filepath.Join(home, ".config")
		}
	}
	if !filepath.IsAbs(base) {
		return "", withHint(errors.New("finding the local store: HOME is not set"), "set HOME, or the backend's `path`")
	}
	return filepath.Join(base, "kz", "local.age"), nil
}

// inWorkspace finds the workspace in which a path of a backend lies: the one that kz is run in, or that of the file which
// names the backend.
func (a *app) inWorkspace(b config.Backend, path string) (workspace string, inside bool) {
	for _, workspace := range a.workspaces(b) {
		if config.Inside(path, workspace) {
			return workspace, true
		}
	}
	return "", false
}

func (a *app) workspaces(b config.Backend) (all []string) {
	dirs := []string{b.Dir}
	if dir, err := a.cwd(); err == nil {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if w := config.Workspace(dir, a.getenv); w != "" {
			all = append(all, w)
		}
	}
	return all
}

// ofTheDesktop are variables that a command may be given and that are no credentials: they say where the user is.
var ofTheDesktop = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LC_*", "TMPDIR", "TZ", "DISPLAY", "WAYLAND_DISPLAY", "XDG_*",
	"DBUS_SESSION_BUS_ADDRESS"}
