package cli

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kz/cmd/kz/config"
)

// commandGroup is one section of `kz help`.
type commandGroup struct {
	id, title string
	commands  []*cobra.Command
}

// commandGroups is the whole command line. A command is added here and nowhere else.
func commandGroups(a *app) []commandGroup {
	return []commandGroup{
		{"run", "Run a program:", []*cobra.Command{newRunCmd(a), newProxyCmd(a), newExportCmd(a), newHookCmd(a), newReloadCmd(a), newDemoCmd(a)}},
		{"config", "Say which secrets, and where they may go:", []*cobra.Command{newInitCmd(a), newAddCmd(a), newBackendsCmd(a), newPutCmd(a), newValidateCmd(a), newTrustCmd(a)}},
		{"trust", "Certificates:", []*cobra.Command{newCACmd(a)}},
		{"inspect", "See what happens:", []*cobra.Command{newDoctorCmd(a), newStatusCmd(a), newAuditCmd(a), newExplainCmd(a)}},
		{"more", "More:", []*cobra.Command{newCompletionCmd(a), newVersionCmd(a), newDemoAgentCmd(a)}},
	}
}

const rootLong = `kz runs a program blind: its environment holds masks in place of secrets, and a
local proxy puts each real secret into the requests it is bound to, at the edge of
the machine.`

const rootExample = `  kz run --blind -- claude
  kz run -- ./deploy.sh
  kz proxy --env-file kz.env`

// newRootCmd assembles the commands.
func newRootCmd(a *app) *cobra.Command {
	root := group(&cobra.Command{
		Use:               "kz",
		Short:             "Run programs that never see your secrets",
		Long:              rootLong,
		Example:           rootExample,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Version:           version(), // kz --version is what `kz version` prints
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	})
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.ui.w)
	root.SetVersionTemplate(versionLine())
	for _, g := range commandGroups(a) {
		if len(g.commands) == 0 {
			continue
		}
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.SetHelpCommand(newHelpCmd())
	root.SetHelpCommandGroupID("more")
	root.SetHelpFunc(showHelp)
	root.SetUsageFunc(showUsage)
	return root
}

// execute runs one command line. An error from before the command's own code began is
// one in what was typed, so it counts as misuse.
func execute(ctx context.Context, root *cobra.Command, args []string) error {
	started := false
	markStart(root, &started)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	var c coder
	if err == nil || started || errors.As(err, &c) {
		return err
	}
	return &cliError{err: err, hint: seeHelp(cmd), code: exitMisuse}
}

// markStart notes in every command below c that its own code was reached.
func markStart(c *cobra.Command, started *bool) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			*started = true
			return run(c, args)
		}
	}
	for _, sub := range c.Commands() {
		markStart(sub, started)
	}
}

// group makes a command that only holds others: alone it shows its help, and a word that
// is none of its commands is an error with a suggestion.
func group(c *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	c.AddCommand(commands...)
	c.Args = cobra.ArbitraryArgs
	c.DisableFlagsInUseLine = true
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return unknownCommand(c, args[0])
	}
	c.SetFlagErrorFunc(func(at *cobra.Command, err error) error {
		if at.HasSubCommands() && at.Flags().NArg() > 0 { // the flags of a command that is none
			return unknownCommand(at, at.Flags().Arg(0))
		}
		if !at.HasParent() { // most likely one of kz run
			return misuse(startsPrograms, "%v", err)
		}
		if near := nearFlag(at, err); near != "" {
			return misuse("did you mean "+near+"? "+seeHelp(at), "%v", err)
		}
		return err
	})
	return c
}

// nearFlag is the flag of a command that an unknown one was probably meant to be; "" when none is near.
func nearFlag(c *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	word := cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName()) // -blind is five short ones
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := config.Nearest(word, names); near != "" {
		return "--" + near
	}
	return ""
}

const startsPrograms = "a program is started with `kz run --blind -- PROGRAM`"

func unknownCommand(parent *cobra.Command, word string) error {
	hint := seeHelp(parent)
	if near := parent.SuggestionsFor(word); len(near) > 0 {
		if nearest := config.Nearest(word, near); nearest != "" {
			near = []string{nearest}
		}
		path := parent.CommandPath() + " "
		hint = "did you mean `" + path + strings.Join(near, "` or `"+path) + "`?"
	} else if !parent.HasParent() {
		hint = "`kz help` lists the commands; " + startsPrograms
	}
	return misuse(hint, "unknown command %q", word)
}

// arguments accepts exactly the named arguments. Unlike cobra's own checks, its error does
// not repeat what was typed: it may be a value, put where a name belongs.
func arguments(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return misuse(usage(c), "%s needs %s", c.CommandPath(), strings.Join(names[len(args):], " and "))
		case len(args) > len(names) && len(names) == 0:
			return misuse(usage(c), "%s takes no arguments, %d given", c.CommandPath(), len(args))
		case len(args) > len(names):
			return misuse(usage(c), "%s takes only %s, %d arguments given", c.CommandPath(), strings.Join(names, " and "), len(args))
		}
		return nil
	}
}

func usage(c *cobra.Command) string { return "usage: " + c.UseLine() }

func seeHelp(c *cobra.Command) string { return "see `" + c.CommandPath() + " --help`" }
