package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
	"kz/masking"
)

const initLong = `Write a new .keyzero.toml into this directory, with comments, from what is found
here: the names in .env, .env.local and .env.example, the variables of known
services that are set in the environment, and the names that are given. It never
holds a value, and a file that is there stays as it is.

The secrets are kept in Vault where VAULT_ADDR is set, in AWS Secrets Manager
where AWS_PROFILE, AWS_REGION or AWS_ACCESS_KEY_ID is, else in the local store:
a file of kz's own, encrypted, outside of the project. A backend of your own file
is used if it is the only one there. --backend says otherwise.`

// initFlags are those of kz init.
type initFlags struct {
	backend  string
	settings []string
	print    bool
}

func newInitCmd(a *app) *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use:   "init [NAME ...]",
		Short: "Write a first configuration from what is found here",
		Long:  initLong,
		Example: `  kz init
  kz init OPENAI_API_KEY GITHUB_TOKEN
  kz init --print
  kz init --backend hashicorp_vault --set address=https://vault.internal:8200`,
		ValidArgsFunction: completeServiceVariables,
		RunE:              a.outsideOnly(func(c *cobra.Command, args []string) error { return a.initialise(c.Context(), f, args) }),
	}
	c.Flags().StringVar(&f.backend, "backend", "", "keep the secrets in a backend of this `TYPE`")
	c.Flags().StringArrayVar(&f.settings, "set", nil, "a setting of the backend, `KEY=VALUE`")
	c.Flags().BoolVar(&f.print, "print", false, "print the file, and write nothing")
	_ = c.RegisterFlagCompletionFunc("backend", cobra.FixedCompletions(typeCompletions(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// completeServiceVariables completes the variables of known services.
func completeServiceVariables(*cobra.Command, []string, string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
	for _, s := range config.Services() {
		for _, v := range s.Variables {
			out = append(out, cobra.CompletionWithDesc(v, s.Name))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// initialise is kz init.
func (a *app) initialise(ctx context.Context, f initFlags, names []string) error {
	for _, name := range names {
		if err := secretName(name); err != nil {
			return err
		}
	}
	o, err := a.configOptions("", "")
	if err != nil {
		return err
	}
	if !f.print {
		done, err := a.editing(ctx)
		if err != nil {
			return err
		}
		defer done()
	}
	path, exists, err := config.Place(o)
	if err != nil {
		return err
	}
	if exists {
		return withHint(fmt.Errorf("there is a configuration already: %s", path), "`kz add` adds a secret to it, `kz validate` checks it")
	}
	dir := filepath.Dir(path)
	found := a.lookAround(dir, names)
	if len(found.secrets) == 0 && len(found.unread) > 0 { // with a file that is empty, a second kz init would be refused
		first := found.unread[0]
		return withHint(fmt.Errorf("reading %s: %w", first.file, first.err), "mend that, or give the names: kz init NAME …")
	}
	for _, u := range found.unread {
		a.ui.Warnf("%s was left out: %v", u.file, u.err)
		a.ui.Hintf("`kz add NAME` takes each of its names over")
	}
	mine, err := config.Load(o) // what the user's own file says
	if err != nil {
		return err
	}
	store, err := a.chooseStore(f, dir, mine.Backends)
	if err != nil {
		return err
	}
	text := initialText(store, found.secrets, filepath.Base(dir))
	o.Draft = &config.Draft{Path: path, Data: []byte(text)}
	cfg, err := config.Load(o)
	if err != nil {
		return withHint(fmt.Errorf("what was found does not make a configuration: %w", err), "give the settings of the backend with --set, or another --backend")
	}
	if store.typ == config.Local {
		at, err := a.localPath(cfg.Backends[store.name])
		if err != nil {
			return err
		}
		if err := a.notInWorkspace("the local store", at); err != nil {
			return err
		}
	}
	if f.print {
		_, err := fmt.Fprint(a.stdout, text)
		return err
	}
	if err := createFile(path, []byte(text)); err != nil {
		return err
	}
	a.sayInitial(path, store, found)
	return nil
}

// createFile makes a file that is not there. What is there, a link that leads nowhere too, stays as it is.
func createFile(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return withHint(fmt.Errorf("%s is there already", path), "`kz add` adds a secret to it")
	case err != nil:
		return withHint(fmt.Errorf("writing the configuration: %w", err), "`kz init --print` only prints it")
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

// sayInitial says what was found and written, and what to type next.
func (a *app) sayInitial(path string, store initialStore, found surroundings) {
	var open, steps []string
	from := map[string][]string{}
	for _, s := range found.secrets {
		from[s.from] = append(from[s.from], s.name)
		if s.needsHosts() {
			open = append(open, s.name)
		}
	}
	for _, where := range append(slices.Clone(dotenvFiles), inEnvironment) {
		if names := from[where]; len(names) > 0 {
			a.ui.Notef("found in %s: %s", where, strings.Join(few(names), ", "))
		}
	}
	if store.because != "" {
		a.ui.Notef("found %s in the environment; --backend local keeps secrets on this machine", store.because)
	}
	a.ui.Notef("wrote %s: %s, kept in %s", path, plural(len(found.secrets), "secret"), store.name)
	if len(found.unmanaged) > 0 {
		a.ui.Notef("also set, and kept from blind programs: %s; `kz add NAME` if one is needed", strings.Join(few(found.unmanaged), ", "))
	}
	if root := a.repository(); root != "" && root != filepath.Dir(path) {
		a.ui.Notef("it holds in this directory and below, not in all of %s", root)
	}
	if len(found.secrets) == 0 {
		steps = append(steps, "kz add NAME")
	}
	if len(open) > 0 {
		steps = append(steps, "write in the file where these may go: "+strings.Join(few(open), ", "))
	}
	steps = append(steps, "kz trust")
	if kind, ok := backendType(store.typ); ok && len(found.secrets) > 0 && slices.Contains(writableTypes(), kind.Name) {
		for _, file := range found.withValues {
			steps = append(steps, "kz put --missing --from "+file)
		}
		switch {
		case len(found.withValues) > 0:
		case len(found.secrets) == 1:
			steps = append(steps, "kz put "+found.secrets[0].name)
		default:
			steps = append(steps, "kz put --missing")
		}
	}
	steps = append(steps, "kz run --blind -- PROGRAM")
	for _, file := range found.withValues {
		a.ui.Warnf("%s holds values, and a blind program can read that file", file)
		if store.typ == config.EnvFile {
			a.ui.Hintf("keep it outside of the project, or use --backend local, which is encrypted")
		} else {
			a.ui.Hintf("once they are stored, take them out of it")
		}
	}
	a.ui.Notef("next:\n  %s", strings.Join(steps, "\n  "))
}

// repository is the root of the repository that kz is run in; "" when there is none.
func (a *app) repository() string {
	dir, err := a.cwd()
	if err != nil {
		return ""
	}
	root := config.Workspace(dir, a.getenv)
	if _, err := os.Lstat(filepath.Join(root, ".git")); root == "" || err != nil {
		return ""
	}
	return root
}

// secretName refuses what is no variable of a secret. Nothing of it is in the error: it may be a value, put where a name belongs.
func secretName(name string) error {
	const again = "; what was typed may be in the shell's history"
	switch {
	case strings.Contains(name, masking.Prefix):
		return misuse("give the variable that the program reads, as in OPENAI_API_KEY", "what was given is a mask, not a name")
	case credentialShape(name):
		return misuse("give the variable that the program reads, as in OPENAI_API_KEY"+again, "what was given looks like a key, not like a name")
	case !isSecretName(name):
		return misuse("as in OPENAI_API_KEY"+again, "the name of a secret is a variable: capital letters, digits and _")
	}
	return nil
}

// isSecretName: a variable as credentials have them. Small letters are left to files that are written by hand: a pasted value has them.
func isSecretName(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" &&
		(name[0] < '0' || name[0] > '9') && !credentialShape(name)
}
