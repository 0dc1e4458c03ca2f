package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
)

func newRunCmd(a *app) *cobra.Command { return runCommand(a, a.run) }

// run is `kz run`: everything that can go wrong does so before the child starts.
func (a *app) run(ctx context.Context, f runFlags, argv []string) error {
	cfg, err := a.load(f.Config, f.Env)
	if err != nil {
		return err
	}
	if err := noConfiguration(cfg); err != nil {
		return err
	}
	secrets, err := choose(cfg.Secrets, f.Only)
	if err != nil {
		return err
	}
	if f.Blind {
		return a.runBlind(ctx, cfg, secrets, f, argv)
	}
	cache, err := a.newCache(cfg, nil)
	if err != nil {
		return err
	}
	names := secretNames(secrets)
	watched := a.watch(cache, names, runPatience)
	err = cache.ResolveAll(ctx, names)
	watched()
	if err != nil {
		return grouped(err)
	}
	env, report, err := childEnv(envSpec{Parent: a.environ, Secrets: envSecrets(ctx, secrets, cache, func(string) string { return "" }),
		Clean: f.CleanEnv, Keep: f.KeepEnv, Sources: sourceVariables(cfg)})
	if err != nil {
		return err
	}
	report.tell(a.ui)
	defer a.keepLeases()()
	code, err := runChild(ctx, a.childSpec(argv, env, false))
	return errors.Join(err, childExit(code))
}

func (a *app) childSpec(argv, env []string, sealed bool) childSpec {
	return childSpec{Argv: argv, Env: env, Stdin: a.stdin, Stdout: a.stdout, Stderr: os.Stderr, CoreLimit: a.process.coreLimit, Sealed: sealed}
}

func (a *app) runBlind(ctx context.Context, cfg *config.Config, secrets []config.Secret, f runFlags, argv []string) error {
	chosen := *cfg
	chosen.Secrets = secrets
	if err := chosen.Blind(f.AnyHost); err != nil {
		return err
	}
	if f.AnyHost {
		a.ui.Warnf("--any-host: secrets without hosts may go to any host, and every TLS host is intercepted")
	}
	if f.NoForceProxy {
		a.ui.Warnf("--no-force-proxy: the program is not told of the proxy: what does not find it sends masks")
	}
	id, err := newIdentity()
	if err != nil {
		return fmt.Errorf("making the session: %w", err)
	}
	dir, err := a.newRunDir()
	if err != nil {
		return err
	}
	defer dir.Close()
	// The public files are made beside all else that must be there before the child starts: a person waits for the longer one.
	made := sync.OnceValues(func() (caFiles, error) { return id.caFilesIn(dir.Write) })
	defer func() { _, _ = made() }() // before the directory goes
	go func() { _, _ = made() }()
	s, err := a.newBlind(cfg, secrets, blindOptions{AnyHost: f.AnyHost, Audit: f.Audit, LogLevel: f.LogLevel, Identity: id, Vouched: newVouch()})
	if err != nil {
		return err
	}
	defer s.close()
	watched := a.watch(s.cache, s.names(), runPatience)
	err = s.resolve(ctx)
	watched()
	if err != nil {
		return err
	}
	a.ui.Redact(s.redact)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = s.proxy.Serve(l) }()
	defer a.openControl(s, "kz run", reloader{a, f.Config, f.Env, f.Only}).close()
	files, err := made()
	if err != nil {
		return err
	}
	env, report, err := childEnv(envSpec{
		Parent: a.environ, Secrets: s.variables(ctx), Blind: s.environment(s.proxyURL(l.Addr().String()), files),
		Clean: f.CleanEnv, Keep: f.KeepEnv, KeepProxy: f.NoForceProxy,
		Contains:    func(v string) (string, bool) { return s.proxy.Holds([]byte(v)) },
		Credentials: backendVariables(cfg), Managed: secretNames(cfg.Secrets),
	})
	if err != nil {
		return err
	}
	report.tell(a.ui)
	if !f.Quiet {
		a.tellExposure(cfg)
	}
	if err := a.process.markSession(); err != nil {
		return err
	}
	code, err := runChild(ctx, a.childSpec(argv, env, true))
	s.settle()
	if err == nil && !f.Quiet {
		s.tally.tell(a.ui, s.secrets, s.audit)
	}
	return errors.Join(err, childExit(code))
}

// redact takes values out of kz's own lines, as a last resort: nothing should have put them there.
func (s *blind) redact(line string) string {
	if name, ok := s.proxy.Holds([]byte(line)); ok {
		return "(a line that held the value of " + name + " was withheld)"
	}
	return line
}

// sourceVariables are the variables that backends of type env read.
func sourceVariables(cfg *config.Config) []string {
	var names []string
	for _, s := range cfg.Secrets {
		if cfg.Backends[s.Backend].Type == config.Env {
			names = append(names, s.Ref.ID)
		}
	}
	return names
}

// backendVariables are the variables that backends of type env read, and those that commands are given: a child that gets
// the mask must not get the value, or what a command logs in with.
func backendVariables(cfg *config.Config) []string {
	names := sourceVariables(cfg)
	for _, b := range cfg.Backends {
		if b.Type == config.Exec {
			names = append(names, slices.DeleteFunc(slices.Clone(b.List("keep_env")), func(name string) bool { return matchesAny(name, ofTheDesktop) })...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
