package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
)

// hidden stands for a setting that must not be shown, or that another secret supplies.
const hidden = "••••••••"

const backendsLong = `A backend is a connection to a store. Without another word this lists those of the
configuration: the type, the settings, and which secrets are kept there. With --json it
prints every type there is, with its settings.`

const backendsExample = `  kz backends
  kz backends --json
  kz backends add local --type env_file --set path=secrets.env
  kz backends check`

func newBackendsCmd(a *app) *cobra.Command {
	var file, env string
	var asJSON bool
	c := group(&cobra.Command{
		Use:     "backends",
		Short:   "List the backends, add and remove one, check that each answers",
		Long:    backendsLong,
		Example: backendsExample,
	}, newBackendsAddCmd(a), newBackendsRmCmd(a), newBackendsCheckCmd(a))
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return unknownCommand(c, args[0])
		case asJSON:
			return printJSON(a.stdout, config.Types())
		}
		return a.listBackends(file, env)
	}
	configFlags(c, &file, &env)
	c.Flags().BoolVar(&asJSON, "json", false, "print the types of backends with their settings, as JSON")
	return c
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (a *app) listBackends(file, env string) error {
	cfg, err := a.read(file, env)
	if err != nil {
		return err
	}
	if err := noBackends(cfg); err != nil {
		return err
	}
	for i, name := range slices.Sorted(maps.Keys(cfg.Backends)) {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		b := cfg.Backends[name]
		fmt.Fprintf(a.stdout, "%s: %s\n", oneLine(name), b.Type)
		for _, s := range settingsOf(b) {
			fmt.Fprintf(a.stdout, "  %s = %s\n", s.key, oneLine(s.shown))
		}
		used := usersOf(cfg, name)
		fmt.Fprintf(a.stdout, "  used by: %s\n", oneLine(used.String()))
	}
	return nil
}

func noBackends(cfg *config.Config) error {
	if len(cfg.Backends) > 0 {
		return nil
	}
	return withHint(fmt.Errorf("no backends are configured here"), "add one, for example: kz backends add local --type env_file --set path=secrets.env")
}

type shownSetting struct{ key, shown string }

// settingsOf is what a backend says, in the order of its type, without what is sensitive.
func settingsOf(b config.Backend) (out []shownSetting) {
	for _, t := range config.Types() {
		if t.Name != b.Type {
			continue
		}
		for _, s := range t.Settings {
			v, given := b.Settings[s.Key]
			switch {
			case !given:
			case v.Secret != "":
				out = append(out, shownSetting{s.Key, hidden + " (the secret " + v.Secret + ")"})
			case s.Sensitive:
				out = append(out, shownSetting{s.Key, hidden})
			default:
				out = append(out, shownSetting{s.Key, settingText(v.Value)})
			}
		}
	}
	return out
}

func settingText(v any) string {
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v)
	case []string:
		return strings.Join(v, ", ")
	}
	s, _ := v.(string)
	return s
}

// users are what needs a backend.
type users struct {
	secrets  []string
	backends map[string][]string // those that log in with a secret of it, and these secrets
}

func usersOf(cfg *config.Config, name string) users {
	u := users{backends: map[string][]string{}}
	for _, s := range cfg.Secrets {
		if s.Backend == name {
			u.secrets = append(u.secrets, s.Name)
		}
	}
	for other, b := range cfg.Backends {
		for _, s := range b.Settings {
			if s.Secret != "" && slices.Contains(u.secrets, s.Secret) {
				u.backends[other] = append(u.backends[other], s.Secret)
			}
		}
		slices.Sort(u.backends[other])
	}
	return u
}

// String names them, for a person.
func (u users) String() string {
	if len(u.secrets) == 0 {
		return "nothing"
	}
	parts := []string{strings.Join(u.secrets, ", ")}
	for _, other := range slices.Sorted(maps.Keys(u.backends)) {
		if by := slices.Compact(u.backends[other]); len(by) > 0 {
			parts = append(parts, "the backend "+other+" logs in with "+strings.Join(by, " and "))
		}
	}
	return strings.Join(parts, "; ")
}

// completeBackends completes the names of the configured backends.
func (a *app) completeBackends(file, env *string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		cfg, err := a.read(*file, *env)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, name := range slices.Sorted(maps.Keys(cfg.Backends)) {
			names = append(names, cobra.CompletionWithDesc(name, cfg.Backends[name].Type))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
