package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
)

// runFlags are the flags of `kz run`.
type runFlags struct {
	Blind        bool
	Config       string   // "": the discovered files
	Env          string   // "": from the environment
	Only         []string // nil: all secrets
	CleanEnv     bool
	KeepEnv      []string
	NoForceProxy bool
	AnyHost      bool
	Audit        string // "": the default place
	LogLevel     slog.Level
	Quiet        bool
}

const runLong = `Run a program with the secrets of the configuration.

Without --blind the program gets the real values in its environment. With --blind it
gets masks, and reaches the network through a local proxy that swaps each mask for
its value in requests to the hosts the secret is bound to. It is not isolated: kz says
in one line which credentials lie open to it all the same.

Everything from the first word that is no flag of kz belongs to the program. kz exits
with its code; 128 + n when signal n ended it, 127 when it was not found, 126 when it
could not be executed, 125 when kz itself had to give up.`

const runExample = `  kz run --blind -- claude
  kz run --blind --only OPENAI_API_KEY -- python agent.py
  kz run --env production -- ./migrate.sh --verbose`

// runCommand is `kz run` with what it does left open.
func runCommand(a *app, run func(ctx context.Context, f runFlags, argv []string) error) *cobra.Command {
	f := runFlags{LogLevel: slog.LevelWarn}
	c := &cobra.Command{
		Use:                   "run [flags] -- COMMAND [ARGUMENT...]",
		Short:                 "Run a program, blind or with the real values",
		Long:                  runLong,
		Example:               runExample,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, argv []string) error {
			if len(argv) == 0 {
				return misuse("for example: kz run --blind -- claude", "no command to run")
			}
			return nil
		},
		RunE: a.outsideOnly(func(c *cobra.Command, argv []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return run(c.Context(), f, argv)
		}),
	}
	fs := c.Flags()
	fs.SetInterspersed(false) // the program's own flags are not ours
	fs.BoolVar(&f.Blind, "blind", false, "give the program masks, and swap them at a local proxy")
	configFlags(c, &f.Config, &f.Env)
	fs.StringSliceVar(&f.Only, "only", nil, "give just these secrets (`NAME,NAME`)")
	_ = c.RegisterFlagCompletionFunc("only", a.completeSecrets(&f.Config, &f.Env))
	fs.BoolVar(&f.CleanEnv, "clean-env", false, "start from an almost empty environment")
	fs.StringSliceVar(&f.KeepEnv, "keep-env", nil, "keep these variables too (`NAME,NAME`), also where --blind would drop them")
	fs.BoolVar(&f.NoForceProxy, "no-force-proxy", false, "leave the proxy variables alone")
	fs.BoolVar(&f.AnyHost, "any-host", false, "let secrets without hosts go to any host, and intercept every host")
	auditFlag(c, &f.Audit)
	logLevelFlag(c, &f.LogLevel)
	fs.BoolVar(&f.Quiet, "quiet", false, "with --blind, neither say what the program could still read nor sum up the run")
	return c
}

// check finds flags that would do nothing.
func (f runFlags) check() error {
	if f.Blind {
		return nil
	}
	for _, x := range []struct {
		set  bool
		flag string
	}{{f.NoForceProxy, "--no-force-proxy"}, {f.AnyHost, "--any-host"}, {f.Audit != "", "--audit"}} {
		if x.set {
			return misuse("add --blind, or leave "+x.flag+" out", "%s is about the proxy, which only --blind has", x.flag)
		}
	}
	return nil
}

// proxyFlags are the flags of `kz proxy`.
type proxyFlags struct {
	Config, Env string
	Listen      string // host:port
	Advertise   string // "": what is listened on
	SessionFile string
	EnvFile     string
	EnvFileMode fs.FileMode // 0600, or 0640
	CADir       string
	ClientCADir string // "": as CADir
	Authority   string // "" (in memory) or "installed"
	Metrics     string // "": nowhere
	Health      string // "": nowhere
	Audit       string
	LogLevel    slog.Level
}

const proxyLong = `Run the proxy by itself, for containers and other machines' sandboxes, until SIGTERM. What
a client must set goes to standard output, or into --env-file once the proxy is ready. What
is in flight at the end has ten seconds; a second signal ends it at once.

How to put it beside a container, so that nothing else is reached from there, is told by
` + "`kz help containers`" + `.`

const proxyExample = `  kz proxy --env-file kz.env --ca-dir ./ca
  kz proxy --listen 172.30.0.1:8080 --advertise 172.30.0.1 \
    --env-file kz.env --ca-dir ./ca --client-ca-dir /kz --health 9465
  docker run --network kz --env-file kz.env -v ./ca:/kz:ro agent`

// proxyCommand is `kz proxy` with what it does left open.
func proxyCommand(serve func(ctx context.Context, f proxyFlags) error) *cobra.Command {
	f := proxyFlags{LogLevel: slog.LevelInfo, EnvFileMode: 0o600}
	c := &cobra.Command{
		Use:     "proxy",
		Short:   "Swap masks for containers and other sandboxes, until stopped",
		Long:    proxyLong,
		Example: proxyExample,
		Args:    arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.Authority != "" && f.Authority != "installed" {
				return misuse("`--authority installed` uses the CA of `kz ca install`", "unknown authority %q", f.Authority)
			}
			return serve(c.Context(), f)
		},
	}
	fs := c.Flags()
	configFlags(c, &f.Config, &f.Env)
	fs.StringVar(&f.Listen, "listen", "127.0.0.1:0", "listen on this `ADDRESS`; one that is not loopback needs --advertise")
	fs.StringVar(&f.Advertise, "advertise", "", "what clients dial (`HOST[:PORT]`), for the env file")
	fs.StringVar(&f.SessionFile, "session-file", "", "keep credential, masks and CA in `FILE` over restarts")
	fs.StringVar(&f.EnvFile, "env-file", "", "write the client's environment to `FILE`, in the form of docker --env-file")
	fs.Var((*modeValue)(&f.EnvFileMode), "env-file-mode", "its mode: 0600, or 0640 where clients share a group with kz and no user")
	fs.StringVar(&f.CADir, "ca-dir", "", "put the public CA files into `DIR`")
	fs.StringVar(&f.ClientCADir, "client-ca-dir", "", "where a container mounts them (`DIR`), for the env file")
	fs.StringVar(&f.Authority, "authority", "", "`installed`: the CA of `kz ca install` instead of one in memory")
	fs.StringVar(&f.Metrics, "metrics", "", "serve counters for Prometheus at `[ADDRESS:]PORT`, without a credential; a port alone is on 127.0.0.1")
	fs.StringVar(&f.Health, "health", "", "serve /healthz and /readyz at `[ADDRESS:]PORT`, without a credential; a port alone is on 127.0.0.1")
	auditFlag(c, &f.Audit)
	logLevelFlag(c, &f.LogLevel)
	return c
}

// modeValue is the mode of the env file as a flag. It holds a credential: no other user gets it.
type modeValue fs.FileMode

func (m *modeValue) String() string { return fmt.Sprintf("%04o", uint32(*m)) }
func (m *modeValue) Type() string   { return "MODE" }

func (m *modeValue) Set(s string) error {
	switch strings.TrimLeft(s, "0") {
	case "600":
		*m = 0o600
	case "640":
		*m = 0o640
	default:
		return errors.New("want 0600 or 0640")
	}
	return nil
}

// configFlags choose the configuration; run, proxy and most others take them.
func configFlags(c *cobra.Command, file, env *string) {
	c.Flags().StringVar(file, "config", "", "read `FILE` in place of the discovered files")
	c.Flags().StringVar(env, "env", "", "lay the section `NAME` over the configuration")
	_ = c.MarkFlagFilename("config", "toml", "yaml", "yml")
}

func auditFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "audit", "", "write the audit lines to `FILE`")
}

func logLevelFlag(c *cobra.Command, level *slog.Level) {
	c.Flags().Var((*levelValue)(level), "log-level", "log from this level on: debug, info, warn or error")
	_ = c.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions(levels, cobra.ShellCompDirectiveNoFileComp))
}

var levels = []cobra.Completion{"debug", "info", "warn", "error"}

// levelValue is a slog.Level as a flag. It takes the four names only, not slog's "info+2".
type levelValue slog.Level

func (l *levelValue) String() string { return levels[max(0, min(3, (int(*l)+4)/4))] }
func (l *levelValue) Type() string   { return "LEVEL" }

func (l *levelValue) Set(s string) error {
	for i, name := range levels {
		if s == name {
			*l = levelValue(4*i - 4)
			return nil
		}
	}
	return fmt.Errorf("want debug, info, warn or error")
}
