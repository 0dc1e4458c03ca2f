package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
)

const hookLong = `Print what a shell runs at its start to have the real values of a directory's
secrets while it is there, and no longer: they are set when you enter a directory
with an approved configuration, or approve it, and taken away when you leave.
Where it is not approved nothing is set, and kz says so once.

The values are then in the shell and in every program that it starts: for a
program that you do not trust, use kz run --blind. Inside a blind session the
hook does nothing.`

// hookVariable tells the next step what the one before did: a stamp of the files, a colon, and the names of the variables
// that were set. It holds no value, and is exported so that a shell inside this one knows what is not its own.
const hookVariable = "KZ_HOOK"

// newHookCmd makes `kz hook`. It is open inside a session, for a shell's start-up file runs there too; a step does nothing there.
func newHookCmd(a *app) *cobra.Command {
	var shellName, state string
	c := &cobra.Command{
		Use:   "hook --shell bash|zsh|fish",
		Short: "Load a directory's secrets into the shell, for plain mode",
		Long:  hookLong,
		Example: `  echo 'eval "$(kz hook --shell bash)"' >> ~/.bashrc
  echo 'eval "$(kz hook --shell zsh)"' >> ~/.zshrc
  echo 'kz hook --shell fish | source' >> ~/.config/fish/config.fish`,
		DisableFlagsInUseLine: true,
		Args:                  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("step") {
				return a.hookStep(c.Context(), shellName, state)
			}
			return a.hook(shellName)
		},
	}
	shellFlag(c, &shellName, "the `SHELL` to print for: bash, zsh or fish")
	c.Flags().StringVar(&state, "step", "", "what the hook itself calls, with what the step before left")
	_ = c.Flags().MarkHidden("step")
	return c
}

func (a *app) hook(name string) error {
	if name == "" {
		return misuse("--shell bash, --shell zsh or --shell fish", "kz hook needs --shell")
	}
	sh, err := a.shell(name)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	_, err = fmt.Fprint(a.stdout, strings.ReplaceAll(sh.hook, "@KZ@", sh.quote(self)))
	return err
}

// hookStep is what the hook evaluates before each prompt. Whatever goes wrong is said once, and leaves nothing set.
func (a *app) hookStep(ctx context.Context, name, state string) error {
	sh, err := a.shell(name)
	if err != nil {
		return err
	}
	before, loaded := hookState(state)
	stamp, err := a.hookStamp()
	if stamp == before || a.isTerminal(a.stdout) || a.outsideSession("kz hook") != nil {
		return nil
	}
	var vars []variable
	if stamp != "" && err == nil {
		vars, err = a.hookValues(ctx)
	}
	var names []string
	for _, v := range vars {
		names = append(names, v.name)
	}
	var script strings.Builder
	for _, n := range loaded {
		if !slices.Contains(names, n) {
			fmt.Fprintln(&script, sh.drop(n))
		}
	}
	for _, v := range vars {
		if slices.Contains(loaded, v.name) { // what was there before waits still
			fmt.Fprintln(&script, sh.set(v.name, v.value))
			continue
		}
		_, exported := a.lookupEnv(v.name)
		fmt.Fprintln(&script, sh.load(v.name, v.value, exported))
	}
	fmt.Fprintln(&script, sh.set(hookVariable, stamp+":"+strings.Join(names, ",")))
	if _, werr := fmt.Fprint(a.stdout, script.String()); werr != nil {
		return werr
	}
	switch {
	case err != nil:
		a.ui.Error(err)
	case len(names) > 0:
		a.ui.Notef("loaded %s", strings.Join(names, ", "))
	case len(loaded) > 0:
		a.ui.Notef("unloaded %s", strings.Join(loaded, ", "))
	}
	return nil
}

func (a *app) hookValues(ctx context.Context) ([]variable, error) {
	cfg, err := a.load("", "")
	if err != nil {
		return nil, err
	}
	return a.plainValues(ctx, cfg, nil)
}

// plainValues resolves secrets for a shell. What a store lent for them is not taken back at the end of kz.
func (a *app) plainValues(ctx context.Context, cfg *config.Config, only []string) ([]variable, error) {
	secrets, err := choose(cfg.Secrets, only)
	if err != nil {
		return nil, err
	}
	cache, err := a.newCache(cfg, nil)
	if err != nil {
		return nil, err
	}
	names := secretNames(secrets)
	watched := a.watch(cache, names, runPatience)
	err = grouped(cache.ResolveAll(ctx, names))
	watched()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	var lent []string
	for _, s := range cache.Report() {
		if s.Leased {
			lent = append(lent, s.Backend)
		}
	}
	var report envReport
	vars, err := secretVariables(envSpec{Secrets: envSecrets(ctx, secrets, cache, func(string) string { return "" })}, &report)
	if err != nil {
		return nil, err
	}
	a.held.leave(lent)
	return vars, nil
}

// variableName is what every shell takes as the name of a variable (POSIX.1-2024, XBD 3.216).
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// hookState takes a state apart. It comes out of the environment: a name that is none is not passed on to the shell.
func hookState(state string) (stamp string, loaded []string) {
	stamp, names, _ := strings.Cut(state, ":")
	return stamp, variableNames(names)
}

// variableNames are the names in a list with commas, without what is none.
func variableNames(list string) (names []string) {
	for n := range strings.SplitSeq(list, ",") {
		if variableName.MatchString(n) {
			names = append(names, n)
		}
	}
	return names
}

// hookStamp changes with the files of this directory's configuration, with their approval, and with what chooses a section.
// It is "" where there is none. No file is read for it: this is done before every prompt.
func (a *app) hookStamp() (string, error) {
	o, err := a.configOptions("", "")
	if err != nil {
		return "", err
	}
	paths, workspace, err := config.Discover(o)
	if err == nil && !workspace {
		return "", nil
	}
	h := sha256.New()
	approvals, _ := config.TrustPath(a.getenv)
	for _, p := range append(slices.Clone(paths), approvals) {
		info, statErr := os.Stat(p)
		if statErr != nil {
			fmt.Fprintf(h, "%q gone\n", p)
			continue
		}
		fmt.Fprintf(h, "%q %d %d\n", p, info.Size(), info.ModTime().UnixNano())
	}
	for _, name := range []string{"KEYZERO_ENV", "NODE_ENV", "RAILS_ENV"} {
		fmt.Fprintf(h, "%q\n", a.getenv(name))
	}
	if err != nil {
		fmt.Fprintln(h, err)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}
