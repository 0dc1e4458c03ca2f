package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
)

const backendsAddLong = `Write a backend into the configuration: the file that is found here, or that of --config,
or a new .keyzero.toml. What is in the file stays as it is. The result is checked before
it is written, and has to be approved again with kz trust.

A setting is KEY=VALUE; one that takes a list is given once for each item. What is
sensitive is never written: its value is kept in another backend, and the setting names
that secret, as in --set token=secret:VAULT_TOKEN. kz backends --json lists the types.`

func newBackendsAddCmd(a *app) *cobra.Command {
	var file, typ string
	var settings []string
	c := &cobra.Command{
		Use:   "add NAME --type TYPE [--set KEY=VALUE ...]",
		Short: "Add a backend to the configuration",
		Long:  backendsAddLong,
		Example: `  kz backends add local --type env_file --set path=secrets.env
  kz backends add vault --type hashicorp_vault \
      --set address=https://vault.internal:8200
  kz backends add aws --type aws_secrets_manager --set auth=static \
      --set access_key_id=AKIA… --set secret_access_key=secret:AWS_BOOT_KEY`,
		DisableFlagsInUseLine: true,
		Args:                  arguments("NAME"),
		ValidArgsFunction:     cobra.NoFileCompletions,
		RunE: a.outsideOnly(func(c *cobra.Command, args []string) error {
			return a.addBackend(c.Context(), file, args[0], typ, settings)
		}),
	}
	c.Flags().StringVar(&file, "config", "", "write to `FILE` in place of the discovered one")
	_ = c.MarkFlagFilename("config", "toml", "yaml", "yml")
	c.Flags().StringVar(&typ, "type", "", "the `TYPE` of the backend")
	c.Flags().StringArrayVar(&settings, "set", nil, "a setting, `KEY=VALUE`, or KEY=secret:NAME")
	_ = c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(typeCompletions(), cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("set", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		t, ok := backendType(typ)
		if !ok {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []cobra.Completion
		for _, s := range t.Settings {
			out = append(out, cobra.CompletionWithDesc(s.Key+"=", s.Help))
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
	return c
}

func newBackendsRmCmd(a *app) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove a backend that nothing uses from the configuration",
		Long: `Remove a backend from the file of the configuration that holds it. One that secrets are
kept in, in any environment section, stays, and they are named. The file has to be
approved again with kz trust.`,
		Example: "  kz backends rm vault",
		Args:    arguments("NAME"),
		RunE:    a.outsideOnly(func(c *cobra.Command, args []string) error { return a.removeBackend(c.Context(), file, args[0]) }),
	}
	none := ""
	c.ValidArgsFunction = a.completeBackends(&file, &none)
	c.Flags().StringVar(&file, "config", "", "change `FILE` in place of the discovered ones")
	_ = c.MarkFlagFilename("config", "toml", "yaml", "yml")
	return c
}

func backendType(name string) (config.Type, bool) {
	types := config.Types()
	i := slices.IndexFunc(types, func(t config.Type) bool { return t.Name == name })
	if i < 0 {
		return config.Type{}, false
	}
	return types[i], true
}

func typeCompletions() (out []cobra.Completion) {
	for _, t := range config.Types() {
		out = append(out, cobra.CompletionWithDesc(t.Name, t.Help))
	}
	return out
}

func typeNames() string {
	var names []string
	for _, t := range config.Types() {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

// addBackend writes a backend into the configuration.
func (a *app) addBackend(ctx context.Context, file, name, typ string, settings []string) error {
	o, err := a.configOptions(file, "")
	if err != nil {
		return err
	}
	done, err := a.editing(ctx)
	if err != nil {
		return err
	}
	defer done()
	path, exists, err := config.Place(o)
	if err != nil {
		return err
	}
	kind, ok := backendType(typ)
	switch {
	case typ == "":
		return misuse("the types are "+typeNames(), "kz backends add needs --type")
	case !ok:
		return misuse("the types are "+typeNames(), "--type names no type of backend")
	}
	if name == "" || strings.Trim(name, backendNameAlphabet) != "" {
		return misuse("as in: kz backends add vault --type hashicorp_vault", "the name of a backend is made of letters, digits, -, _ and .")
	}
	here, err := filepath.EvalSymlinks(o.Dir) // as path is
	if err != nil {
		return fmt.Errorf("finding the working directory: %w", err)
	}
	given, err := parseSettings(kind, settings, here, filepath.Dir(path))
	if err != nil {
		return err
	}
	var before []byte
	if exists {
		if before, err = readEditable(path); err != nil {
			return err
		}
	}
	after, err := config.AddBackend(path, before, name, typ, given)
	if errors.Is(err, config.ErrByHand) {
		return withHint(fmt.Errorf("adding to %s: %w", path, err), "if the backend is not there already, write:\n%s", config.BackendText(path, name, typ, given))
	}
	if err != nil {
		return err
	}
	return a.writeConfig(o, path, exists, before, after, "added the backend "+name+" to ")
}

const backendNameAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

// removeBackend takes a backend that nothing uses out of the configuration.
func (a *app) removeBackend(ctx context.Context, file, name string) error {
	o, err := a.configOptions(file, "")
	if err != nil {
		return err
	}
	done, err := a.editing(ctx)
	if err != nil {
		return err
	}
	defer done()
	cfg, err := config.Load(o)
	if err != nil {
		return err
	}
	places := cfg.BackendPlaces(name)
	if _, known := cfg.Backends[name]; !known && len(places) == 0 {
		return withHint(errors.New("no backend of that name is configured"), "`kz backends` lists them")
	}
	if err := refuseUsed(o, cfg, name); err != nil {
		return err
	}
	if len(places) != 1 || places[0].Env != "" {
		var at []string
		for _, p := range places {
			at = append(at, p.Pos.String())
		}
		return withHint(fmt.Errorf("the backend %s stands in more than one place: %s", name, strings.Join(at, ", ")), "remove it there by hand")
	}
	path := places[0].Source.Path
	before, err := readEditable(path)
	if err != nil {
		return err
	}
	after, err := config.RemoveBackend(path, before, name)
	if errors.Is(err, config.ErrByHand) {
		return withHint(fmt.Errorf("removing from %s: %w", path, err), "remove what stands at %s", places[0].Pos)
	}
	if err != nil {
		return err
	}
	return a.writeConfig(o, path, true, before, after, "removed the backend "+name+" from ")
}

// refuseUsed is an error that names what needs a backend, in whatever environment.
func refuseUsed(o config.Options, cfg *config.Config, name string) error {
	uses := usersOf(cfg, name)
	in := ""
	for _, env := range cfg.Environments {
		if len(uses.secrets) > 0 {
			break
		}
		o.Env = env
		other, err := config.Load(o)
		if err != nil {
			return err
		}
		uses, in = usersOf(other, name), " in the environment "+env
	}
	if len(uses.secrets) == 0 {
		return nil
	}
	return withHint(fmt.Errorf("the backend %s is used%s by %s", name, in, uses), "let them name another backend, or remove them, first")
}

// parseSettings reads what --set says. Nothing of a value is in an error: it may be one that should not have been typed.
func parseSettings(t config.Type, settings []string, here, there string) (out []config.Given, err error) {
	for _, s := range settings {
		key, value, ok := strings.Cut(s, "=")
		i := slices.IndexFunc(t.Settings, func(s config.SettingType) bool { return s.Key == key })
		switch {
		case !ok:
			return nil, misuse("as in --set address=https://vault.internal:8200", "--set takes KEY=VALUE")
		case i < 0:
			var keys []string
			for _, s := range t.Settings {
				keys = append(keys, s.Key)
			}
			return nil, misuse(orNone(strings.Join(keys, ", ")), "--set names no setting of %s; it has these", t.Name)
		}
		kind := t.Settings[i]
		if !kind.Sensitive && key != "access_key_id" { // which is a name, of the form that keys have
			if err := noValue("--set "+key, value); err != nil {
				return nil, err
			}
		}
		old := slices.IndexFunc(out, func(g config.Given) bool { return g.Key == key })
		if kind.Type == "list" && old >= 0 {
			list, _ := out[old].Value.([]string)
			out[old].Value = append(list, value)
			continue
		}
		if old >= 0 {
			return nil, misuse("leave one of them out", "--set gives %s twice", key)
		}
		g := config.Given{Key: key}
		if g.Setting, err = parseSetting(kind, value, here, there); err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

func parseSetting(kind config.SettingType, value, here, there string) (config.Setting, error) {
	if secret, ok := strings.CutPrefix(value, "secret:"); ok && (kind.Sensitive || kind.Type == "string") {
		return config.Setting{Secret: secret}, nil
	}
	switch {
	case kind.Sensitive:
		return config.Setting{}, misuse("keep the value in another backend, and name that secret: --set "+kind.Key+"=secret:NAME; what was typed may be in the shell's history",
			"%s is sensitive and never stands in the file", kind.Key)
	case kind.Type == "number":
		n, err := strconv.Atoi(value)
		if err != nil {
			return config.Setting{}, misuse("as in --set "+kind.Key+"=900", "%s takes a number", kind.Key)
		}
		return config.Setting{Value: n}, nil
	case kind.Type == "list":
		return config.Setting{Value: []string{value}}, nil
	case kind.Type == "path" && here != there && !filepath.IsAbs(value) && !strings.HasPrefix(value, "~"):
		// Typed for where the person is, read for where the file is.
		if rel, err := filepath.Rel(there, filepath.Join(here, value)); err == nil {
			value = rel
		}
	}
	return config.Setting{Value: value}, nil
}

// readEditable reads a file of the configuration that is about to be changed.
func readEditable(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(fmt.Errorf("there is no file %s", path), "make it first, or leave --config out for the file that is found here, or a new one")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if info.Mode().Type() == fs.ModeSymlink {
		return nil, withHint(fmt.Errorf("%s is a link", path), "name the file itself with --config, or change it by hand")
	}
	return os.ReadFile(path)
}

// writeConfig puts a file of the configuration in place once it is known to be good, in every environment.
func (a *app) writeConfig(o config.Options, path string, exists bool, before, after []byte, did string) error {
	o.Draft = &config.Draft{Path: path, Data: after}
	cfg, err := config.Load(o)
	if err != nil {
		return fmt.Errorf("with that change the configuration is not valid: %w", err)
	}
	for _, env := range cfg.Environments {
		o.Env = env
		if _, err := config.Load(o); err != nil {
			return fmt.Errorf("with that change the configuration is not valid in the environment %s: %w", env, err)
		}
	}
	if !exists {
		err = createFile(path, after)
	} else {
		err = replaceFile(path, before, after)
	}
	if err != nil {
		return err
	}
	a.ui.Notef("%s%s", did, path)
	for _, s := range cfg.Sources {
		if s.Path == path && s.Discovered {
			a.ui.Hintf("the file must be approved again: kz trust")
		}
	}
	return nil
}

// replaceFile puts another content into a file that has not changed meanwhile, and keeps its mode.
func replaceFile(path string, before, after []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, before) {
		return withHint(fmt.Errorf("%s has changed meanwhile", path), "try again")
	}
	return writeFileMode(path, after, info.Mode().Perm())
}
