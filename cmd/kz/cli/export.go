package cli

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// exportFlags are the flags of `kz export`.
type exportFlags struct {
	Config, Env string
	Only        []string
	Shell       string // "": that of SHELL
}

const exportLong = `Print the commands that set each secret to its real value, for a shell to
evaluate. The values are then in that shell and in every program it starts: for
a program that you do not trust, use kz run --blind.

A lease that a store granted lasts as long as the store said: nothing renews or
revokes it, as kz run does.`

func newExportCmd(a *app) *cobra.Command {
	var f exportFlags
	c := &cobra.Command{
		Use:   "export",
		Short: "Print the real values as shell commands, for eval",
		Long:  exportLong,
		Example: `  eval "$(kz export)"
  eval "$(kz export --only STRIPE_KEY)"
  kz export --shell fish | source`,
		Args: arguments(),
		RunE: a.outsideOnly(func(c *cobra.Command, _ []string) error { return a.export(c.Context(), f) }),
	}
	configFlags(c, &f.Config, &f.Env)
	c.Flags().StringSliceVar(&f.Only, "only", nil, "print just these secrets (`NAME,NAME`)")
	shellFlag(c, &f.Shell, "print the commands of this `SHELL`: bash, zsh or fish (default: that of $SHELL)")
	_ = c.RegisterFlagCompletionFunc("only", a.completeSecrets(&f.Config, &f.Env))
	return c
}

func (a *app) export(ctx context.Context, f exportFlags) error {
	sh, err := a.shell(f.Shell)
	if err != nil {
		return err
	}
	if a.isTerminal(a.stdout) {
		return withHint(errors.New("the values would stand on the terminal"), `have the shell read them: %s`, sh.reads("kz export"))
	}
	cfg, err := a.load(f.Config, f.Env)
	if err != nil {
		return err
	}
	if err := noConfiguration(cfg); err != nil {
		return err
	}
	vars, err := a.plainValues(ctx, cfg, f.Only)
	if err != nil {
		return err
	}
	var script []byte
	for _, v := range vars {
		script = append(script, sh.set(v.name, v.value)+"\n"...)
	}
	spec := envSpec{Parent: a.environ}
	script = append(script, sh.set(valuesVariable, strings.Join(spec.given(vars), ","))+"\n"...)
	_, err = a.stdout.Write(script)
	return err
}

// shellFlag chooses a shell.
func shellFlag(c *cobra.Command, name *string, usage string) {
	c.Flags().StringVar(name, "shell", "", usage)
	_ = c.RegisterFlagCompletionFunc("shell", cobra.FixedCompletions([]cobra.Completion{"bash", "zsh", "fish"}, cobra.ShellCompDirectiveNoFileComp))
}

// shell is the one of that name, or the person's own.
func (a *app) shell(name string) (shell, error) {
	own := filepath.Base(a.getenv("SHELL"))
	switch {
	case name == "" && slices.Contains([]string{"bash", "zsh", "fish"}, own):
		name = own
	case name == "": // sh, dash, ksh: what kz prints for bash is POSIX's
		name = "bash"
	}
	sh, ok := shells[name]
	if !ok {
		return shell{}, misuse("--shell bash, --shell zsh or --shell fish", "this shell is not known")
	}
	return sh, nil
}
