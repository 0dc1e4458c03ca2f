package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// helpWidth is how wide help is on every terminal and in every pipe.
const helpWidth = 80

// newHelpCmd replaces cobra's own, which answers an unknown word with success.
func newHelpCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | TOPIC]",
		Short: "Show the help of a command, or a topic",
		Long:  "Show the help of a command, or a topic. `kz help topics` lists the topics.",
		Example: `  kz help run
  kz help topics
  kz help errors`,
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			at, _, err := c.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []cobra.Completion
			for _, sub := range at.Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
				}
			}
			if len(args) == 0 {
				for _, t := range topics() {
					names = append(names, cobra.CompletionWithDesc(t.name, t.summary()))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error { return help(c.Root(), args) },
	}
}

// help shows what the words name: a command, a topic, or both under one another when they have one name.
func help(root *cobra.Command, args []string) error {
	at, rest, err := root.Find(args)
	isCommand := err == nil && len(rest) == 0
	text := ""
	if len(args) == 1 {
		if args[0] == "topics" {
			text = topicList()
		} else if t, ok := topicByName(args[0]); ok {
			text = t.text
		}
	}
	switch {
	case isCommand:
		at.InitDefaultHelpFlag()
		at.InitDefaultVersionFlag()
		if err := at.Help(); err != nil {
			return err
		}
		if text != "" {
			text = "\n" + text
		}
	case text != "":
	case err != nil:
		return err
	case at == root:
		return unknownWord(root, rest[0])
	default:
		return unknownCommand(at, rest[0])
	}
	_, err = io.WriteString(root.OutOrStdout(), text)
	return err
}

// unknownWord is the error for what is neither a command nor a topic.
func unknownWord(root *cobra.Command, word string) error {
	near := append(root.SuggestionsFor(word), nearTopics(word)...)
	slices.Sort(near)
	near = slices.Compact(near)
	if len(near) == 0 {
		return misuse("`kz help` lists both", "no command or topic is called %q", word)
	}
	return misuse("did you mean `kz help "+strings.Join(near, "` or `kz help ")+"`?", "no command or topic is called %q", word)
}

// showHelp is the help of a command, in place of cobra's: nothing is wider than helpWidth.
func showHelp(c *cobra.Command, _ []string) {
	text := c.Long
	if text == "" {
		text = c.Short
	}
	fmt.Fprintf(c.OutOrStdout(), "%s\n\n", laidOut(strings.TrimSpace(text), helpWidth))
	_ = showUsage(c)
}

// showUsage is how a command is called.
func showUsage(c *cobra.Command) error {
	var b strings.Builder
	line := c.UseLine()
	if c.HasAvailableSubCommands() {
		line = c.CommandPath() + " COMMAND"
	}
	b.WriteString("Usage:\n  " + line + "\n")
	if c.HasExample() {
		b.WriteString("\nExamples:\n" + strings.TrimRight(c.Example, "\n") + "\n")
	}
	for _, g := range sections(c) {
		b.WriteString("\n" + g.Title + "\n")
		for _, sub := range c.Commands() {
			if sub.GroupID == g.ID && (sub.IsAvailableCommand() || sub.Name() == "help") {
				b.WriteString(listed(sub.Name(), sub.Short))
			}
		}
	}
	if !c.HasParent() {
		b.WriteString("\n" + topicList())
	}
	if c.HasAvailableLocalFlags() {
		b.WriteString("\nFlags:\n" + strings.TrimRight(c.LocalFlags().FlagUsagesWrapped(helpWidth), "\n ") + "\n")
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\n`" + c.CommandPath() + " COMMAND --help` shows what a command does.\n")
	}
	_, err := io.WriteString(c.OutOrStdout(), b.String())
	return err
}

// listed is one line of a list of commands or topics.
func listed(name, about string) string { return fmt.Sprintf("  %-14s %s\n", name, about) }

// sections are the titles under which a command lists its commands.
func sections(c *cobra.Command) []*cobra.Group {
	switch {
	case !c.HasAvailableSubCommands():
		return nil
	case len(c.Groups()) == 0:
		return []*cobra.Group{{Title: "Commands:"}}
	}
	return c.Groups()
}

// laidOut breaks paragraphs anew at width. An indented paragraph, an example or a list, stays as it is written.
func laidOut(text string, width int) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if strings.HasPrefix(p, " ") || strings.Contains(p, "\n ") {
			continue
		}
		paragraphs[i] = strings.Join(broken(p, width), "\n")
	}
	return strings.Join(paragraphs, "\n\n")
}

// broken is text in lines of at most width columns, where its words allow that.
func broken(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range words(strings.ReplaceAll(text, "\n", " ")) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// words splits text at its white space, but for that between backquotes: what stands there is to be copied, and stays whole.
func words(text string) []string {
	quoted := false
	return strings.FieldsFunc(text, func(r rune) bool {
		if r == '`' {
			quoted = !quoted
		}
		return unicode.IsSpace(r) && !quoted
	})
}
