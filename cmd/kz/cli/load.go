package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kz/cmd/kz/config"
)

// load reads the configuration and refuses files of a workspace that nobody has approved.
func (a *app) load(file, env string) (*config.Config, error) {
	cfg, err := a.read(file, env)
	if err != nil {
		return nil, err
	}
	trust, err := a.openTrust()
	if err != nil {
		return nil, err
	}
	untrusted := cfg.Untrusted(trust)
	if len(untrusted) == 0 {
		return cfg, nil
	}
	var paths []string
	outgrown := true
	for _, s := range untrusted {
		paths = append(paths, s.Path)
		outgrown = outgrown && trust.Outgrown(s)
	}
	if outgrown {
		return nil, withHint(fmt.Errorf("approved when kz knew other services than now: %s", strings.Join(paths, ", ")),
			"`kz trust` shows where its secrets could go now, and approves it; hosts in the file keep it so")
	}
	return nil, withHint(fmt.Errorf("not approved, or changed since: %s", strings.Join(paths, ", ")),
		"`kz trust` shows what it would allow, and approves it")
}

// read is load without the question of trust, for commands that only look.
func (a *app) read(file, env string) (*config.Config, error) {
	o, err := a.configOptions(file, env)
	if err != nil {
		return nil, err
	}
	return config.Load(o)
}

func (a *app) configOptions(file, env string) (config.Options, error) {
	dir, err := a.cwd()
	if err != nil {
		return config.Options{}, fmt.Errorf("finding the working directory: %w", err)
	}
	return config.Options{Dir: dir, File: file, Env: env, Getenv: a.getenv}, nil
}

func (a *app) openTrust() (*config.TrustStore, error) {
	path, err := config.TrustPath(a.getenv)
	if err != nil {
		return nil, err
	}
	if err := a.notInWorkspace("the trust store", path); err != nil {
		return nil, err
	}
	return config.OpenTrust(path)
}

// notInWorkspace refuses a place of kz's own state that whoever works in the workspace could write to.
func (a *app) notInWorkspace(what, path string) error {
	dir, err := a.cwd()
	if err != nil {
		return fmt.Errorf("finding the working directory: %w", err)
	}
	workspace := config.Workspace(dir, a.getenv)
	if !config.Inside(path, workspace) {
		return nil
	}
	return withHint(fmt.Errorf("%s %s would lie in the workspace %s, where the programs that it is about may write", what, path, workspace),
		"XDG_STATE_HOME, or HOME, must point to a directory outside; it is wrong in this environment")
}

// choose keeps the secrets that --only names, by their variable or by the name of their entry.
func choose(secrets []config.Secret, only []string) ([]config.Secret, error) {
	if only == nil {
		return secrets, nil
	}
	var chosen []config.Secret
	found := make(map[string]bool)
	for _, s := range secrets {
		if slices.Contains(only, s.Name) || slices.Contains(only, s.Label) {
			chosen = append(chosen, s)
			found[s.Name], found[s.Label] = true, true
		}
	}
	for _, name := range only {
		if !found[name] {
			return nil, misuse("the configured secrets are "+strings.Join(secretNames(secrets), ", "), "--only names a secret that is not configured")
		}
	}
	return chosen, nil
}

// secretNames are the variables of secrets.
func secretNames(secrets []config.Secret) []string {
	names := make([]string, len(secrets))
	for i, s := range secrets {
		names[i] = s.Name
	}
	return names
}

// noConfiguration says what to do in a directory that has none.
func noConfiguration(cfg *config.Config) error {
	if len(cfg.Secrets) > 0 {
		return nil
	}
	err := errors.New("no secrets are configured here")
	if len(cfg.Environments) > 0 {
		return withHint(err, "there are only environment sections; --env NAME chooses one: %s", strings.Join(few(cfg.Environments), ", "))
	}
	if slices.ContainsFunc(cfg.Sources, func(from config.Source) bool { return from.Discovered }) { // kz init leaves a file as it is
		return withHint(err, "`kz add` writes one into the file; `kz help quickstart` shows the way")
	}
	return withHint(err, "`kz init` writes a .keyzero.toml; `kz help quickstart` shows the way")
}
