package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

var completionExamples = map[string]string{
	"bash": `  kz completion bash > ~/.local/share/bash-completion/completions/kz`,
	"zsh":  `  kz completion zsh > "${fpath[1]}/_kz"`,
	"fish": `  kz completion fish > ~/.config/fish/completions/kz.fish`,
}

func newCompletionCmd(a *app) *cobra.Command {
	return group(
		&cobra.Command{
			Use:     "completion",
			Short:   "Print a completion script for bash, zsh or fish",
			Example: strings.Join([]string{completionExamples["bash"], completionExamples["zsh"], completionExamples["fish"]}, "\n"),
		},
		completionCmd("bash", func(root *cobra.Command) error { return root.GenBashCompletionV2(a.stdout, true) }),
		completionCmd("zsh", func(root *cobra.Command) error { return root.GenZshCompletion(a.stdout) }),
		completionCmd("fish", func(root *cobra.Command) error { return root.GenFishCompletion(a.stdout, true) }),
	)
}

func completionCmd(shell string, print func(root *cobra.Command) error) *cobra.Command {
	return &cobra.Command{
		Use:     shell,
		Short:   "Print the completion script for " + shell,
		Example: completionExamples[shell],
		Args:    arguments(),
		RunE:    func(c *cobra.Command, _ []string) error { return print(c.Root()) },
	}
}

// completeSecrets completes the names of the configured secrets, also in a list with commas.
func (a *app) completeSecrets(file, env *string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndexByte(typed, ',')+1]
		cfg, err := a.read(*file, *env)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, s := range cfg.Secrets {
			names = append(names, cobra.CompletionWithDesc(before+s.Name, "in "+s.Backend))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
