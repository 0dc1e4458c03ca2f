package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
	"kz/masking"
)

const addLong = `Write a secret into the configuration: the file that is found here, or that of
--config, or a new .keyzero.toml. On a terminal, and without flags that say it,
kz add asks step by step. What is in the file stays as it is. The result is
checked before it is written, is shown, and has to be approved with kz trust.

It takes names, never a value: kz put stores that.`

// addFlags are those of kz add.
type addFlags struct {
	file, env, backend   string
	secretID, path, name string
	field, mask, expose  string
	hosts, swap          []string
	variable             string // the NAME
	interactive          bool   // a person is asked for the rest
}

func newAddCmd(a *app) *cobra.Command {
	var f addFlags
	c := &cobra.Command{
		Use:   "add [NAME]",
		Short: "Add a secret to the configuration",
		Long:  addLong,
		Example: `  kz add
  kz add GITHUB_TOKEN --backend local
  kz add STRIPE_KEY --backend vault --path secret/stripe --field key \
      --hosts api.stripe.com --mask sk_live_{mask}`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return misuse("kz put NAME asks for the value; what was typed may be in the shell's history, so use another value", "kz add takes only the NAME of a secret, %d arguments given", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completeServiceVariables(c, args, word)
		},
		RunE: a.outsideOnly(func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.variable = args[0]
			}
			said := slices.ContainsFunc([]string{"backend", "secret-id", "path", "name", "field", "hosts", "swap", "mask", "expose"}, c.Flags().Changed)
			f.interactive = !said && a.isTerminal(a.stdin)
			return a.addSecret(c.Context(), f)
		}),
	}
	flags := c.Flags()
	flags.StringVar(&f.file, "config", "", "write to `FILE` in place of the discovered one")
	_ = c.MarkFlagFilename("config", "toml", "yaml", "yml")
	flags.StringVar(&f.env, "env", "", "write into the environment section `NAME`")
	flags.StringVar(&f.backend, "backend", "", "where it is kept: a backend, or a `TYPE` for a new one")
	flags.StringVar(&f.secretID, "secret-id", "", "what it is called there, a name or an `ID`")
	flags.StringVar(&f.path, "path", "", "what it is called there, a `PATH`")
	flags.StringVar(&f.name, "name", "", "what it is called there, a `NAME`")
	flags.StringVar(&f.field, "field", "", "the `FIELD` of a JSON value that is taken")
	flags.StringSliceVar(&f.hosts, "hosts", nil, "`HOSTS` that it may go to")
	flags.StringSliceVar(&f.swap, "swap", nil, "`PLACES` of a request where it is put: header, basic, body, …")
	flags.StringVar(&f.mask, "mask", "", "the `SHAPE` of its mask, as in sk_live_{mask}")
	flags.StringVar(&f.expose, "expose", "", "what a blind program gets, a `WORD`: masked, omit or plain")
	_ = c.RegisterFlagCompletionFunc("backend", func(c *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		none := ""
		names, _ := a.completeBackends(&f.file, &none)(c, args, word)
		return append(names, typeCompletions()...), cobra.ShellCompDirectiveNoFileComp
	})
	for flag, words := range map[string][]string{"expose": {config.ExposeMasked, config.ExposeOmit, config.ExposePlain}, "swap": {"header", "basic", "body", "frame", "path"}} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
	return c
}

// addSecret is kz add.
func (a *app) addSecret(ctx context.Context, f addFlags) error {
	o, err := a.configOptions(f.file, "")
	if err != nil {
		return err
	}
	if f.interactive {
		cfg, err := config.Load(o)
		if err != nil {
			return err
		}
		if err := a.askSecret(ctx, cfg, &f); err != nil {
			return err
		}
	}
	done, err := a.editing(ctx) // and what is read from here on is what is changed
	if err != nil {
		return err
	}
	defer done()
	path, exists, err := config.Place(o)
	if err != nil {
		return err
	}
	cfg, err := config.Load(o)
	if err != nil {
		return err
	}
	if err := f.check(cfg); err != nil {
		return err
	}
	before := []byte(initialHead)
	if exists {
		if before, err = readEditable(path); err != nil {
			return err
		}
	} else if !strings.HasSuffix(path, ".toml") {
		before = nil
	}
	after, backend, err := f.withBackend(cfg, path, before)
	if err != nil {
		return err
	}
	settings, err := f.settings(cfg, backend)
	if err != nil {
		return err
	}
	after, err = config.AddSecret(path, after, f.env, f.variable, settings)
	if errors.Is(err, config.ErrByHand) {
		return withHint(fmt.Errorf("adding to %s: %w", path, err), "if the secret is not there already, write:\n%s", config.SecretText(path, f.env, f.variable, settings))
	}
	if err != nil {
		return err
	}
	shown := addedLines(before, after)
	if !exists {
		before = nil
	}
	if err := a.writeConfig(o, path, exists, before, after, "added "+f.variable+" to "); err != nil {
		return err
	}
	fmt.Fprint(a.stdout, shown)
	a.sayAdded(f, backend)
	return nil
}

// sayAdded says what is still to do.
func (a *app) sayAdded(f addFlags, backend string) {
	known, _ := config.ServiceOf(f.variable)
	if len(f.hosts) == 0 && len(known.Hosts) == 0 && (f.expose == "" || f.expose == config.ExposeMasked) {
		a.ui.Warnf("%s has no hosts, so it cannot be used blind", f.variable)
		a.ui.Hintf("write in its entry where it may go: hosts = [%q]", config.SuggestedHost(f.variable))
	}
	if cfg, err := a.read(f.file, ""); err == nil && slices.Contains(writableTypes(), cfg.Backends[backend].Type) {
		command := "kz put " + f.variable
		for _, flag := range []struct{ name, value string }{{" --env ", f.env}, {" --config ", f.file}} {
			if flag.value != "" {
				command += flag.name + flag.value
			}
		}
		a.ui.Hintf("if its value is not there yet: %s", command)
	}
}

// check refuses what is no name, and a secret that is there already.
func (f addFlags) check(cfg *config.Config) error {
	if f.variable == "" {
		return misuse("as in: kz add OPENAI_API_KEY --backend local", "kz add needs the NAME of a secret, the variable that the program reads")
	}
	if err := secretName(f.variable); err != nil {
		return err
	}
	for _, given := range []struct {
		what  string
		texts []string
	}{{"--backend", []string{f.backend}}, {"--env", []string{f.env}}, {"--secret-id", []string{f.secretID}}, {"--path", []string{f.path}}, {"--name", []string{f.name}},
		{"--field", []string{f.field}}, {"--hosts", f.hosts}, {"--swap", f.swap}, {"--mask", []string{f.mask}}} {
		for _, text := range given.texts {
			if err := noValue(given.what, text); err != nil {
				return err
			}
		}
	}
	if f.env != "" {
		return nil // the file is looked at when it is changed
	}
	for _, s := range cfg.Secrets {
		if s.Name == f.variable || s.Label == f.variable {
			return withHint(fmt.Errorf("%s is configured already, at %s", f.variable, s.Pos), "change it there, then `kz trust`")
		}
	}
	return nil
}

// noValue refuses what should not stand in a file. Nothing of it is in the error.
func noValue(what, text string) error {
	switch {
	case strings.Contains(text, masking.Prefix):
		return misuse("write what the secret is called in its store; a mask stands for a value in one session only", "%s holds a mask", what)
	case credentialShape(text):
		return misuse("write what the secret is called in its store, and store its value with `kz put NAME`; what was typed may be in the shell's history, so use another value",
			"%s looks like a value, which never stands in the file", what)
	}
	return nil
}

// withBackend is the file with the backend that was chosen, which may be a type: then it is added. name is what it is called.
func (f addFlags) withBackend(cfg *config.Config, path string, before []byte) (after []byte, name string, err error) {
	configured := slices.Sorted(maps.Keys(cfg.Backends))
	name = f.backend
	switch {
	case name != "":
	case len(configured) == 1:
		name = configured[0]
	case len(configured) == 0:
		name = config.Local
	default:
		return nil, "", misuse("the backends are "+strings.Join(few(configured), ", "), "kz add needs --backend, as there are several")
	}
	if slices.Contains(configured, name) {
		return before, name, nil
	}
	kind, ok := backendType(name)
	if !ok {
		hint := "the types of a new one are " + typeNames()
		if len(configured) > 0 {
			hint = "the backends are " + strings.Join(few(configured), ", ") + "; " + hint
		}
		return nil, "", misuse(hint, "--backend names neither a backend nor a type")
	}
	for _, s := range kind.Settings {
		if s.Required && len(s.Auth) == 0 {
			return nil, "", misuse(fmt.Sprintf("kz backends add %s --type %s --set %s=…", storeName(kind.Name), kind.Name, s.Key),
				"a backend of type %s needs its %s first", kind.Name, s.Key)
		}
	}
	name = storeName(kind.Name)
	if slices.Contains(configured, name) {
		return nil, "", misuse("name one of the backends "+strings.Join(few(configured), ", "), "a backend %s is configured already, of another type", name)
	}
	after, err = config.AddBackend(path, before, name, kind.Name, nil)
	if errors.Is(err, config.ErrByHand) {
		return nil, "", withHint(fmt.Errorf("adding to %s: %w", path, err), "write:\n%s", config.BackendText(path, name, kind.Name, nil))
	}
	return after, name, err
}

// settings are the keys of the new entry.
func (f addFlags) settings(cfg *config.Config, backend string) (out []config.Given, err error) {
	say := func(key string, value any) {
		out = append(out, config.Given{Key: key, Setting: config.Setting{Value: value}})
	}
	say("backend", backend)
	for _, id := range []struct{ key, text string }{{"secret_id", f.secretID}, {"path", f.path}, {"name", f.name}} {
		if id.text != "" {
			say(id.key, id.text)
		}
	}
	typ := cfg.Backends[backend].Type
	if typ == "" {
		typ = f.backend // a new one
	}
	kind, _ := backendType(typ)
	switch n := len(out) - 1; {
	case n > 1:
		return nil, misuse("they are synonyms", "--secret-id, --path and --name exclude one another")
	case n == 0 && typ != "" && !kind.ByName() && typ != config.AWSSTS:
		return nil, misuse("as in "+referenceExample(typ), "a backend of type %s needs to know what the secret is called there", typ)
	}
	for _, one := range []struct{ key, text string }{{"field", f.field}, {"mask", f.mask}, {"expose", f.expose}} {
		if one.text != "" {
			say(one.key, one.text)
		}
	}
	for _, list := range []struct {
		key   string
		texts []string
	}{{"hosts", f.hosts}, {"swap", f.swap}} {
		if len(list.texts) > 0 {
			say(list.key, list.texts)
		}
	}
	return out, nil
}

// referenceExample is how a secret could be named in a store that does not go by its variable.
func referenceExample(typ string) string {
	switch typ {
	case config.AWSSSM:
		return "--path /prod/openai"
	case config.HashicorpVault:
		return "--path secret/openai --field api_key"
	case config.OnePassword:
		return "--path op://vault/item/field"
	case config.GCPSecretManager, config.AzureKeyVault:
		return "--name prod-openai"
	}
	return "--secret-id prod/openai"
}

// addedLines shows the lines that one text has and the other has not; what is between the two is in one place.
func addedLines(before, after []byte) string {
	old, now := bytes.SplitAfter(before, []byte("\n")), bytes.SplitAfter(after, []byte("\n"))
	for len(old) > 0 && len(now) > 0 && bytes.Equal(old[0], now[0]) {
		old, now = old[1:], now[1:]
	}
	for len(old) > 0 && len(now) > 0 && bytes.Equal(old[len(old)-1], now[len(now)-1]) {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	var b strings.Builder
	for _, line := range now {
		if len(bytes.TrimSpace(line)) > 0 {
			b.WriteString("+ " + oneLine(strings.TrimRight(string(line), "\r\n")) + "\n")
		}
	}
	return b.String()
}
