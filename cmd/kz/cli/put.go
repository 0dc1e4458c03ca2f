package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"kz/cmd/kz/config"
	"kz/masking"
	"kz/resolver"
)

const putLong = `Store a new value of a secret, where the configuration says that it lives. The value is
asked for on the terminal, without echo, or is all of standard input, of which one line end
at the end is dropped. It is never an argument: those stand in the shell's history and in
the list of processes.

A secret with a field is stored in that field; the others stay. Running sessions use the
new value at their next refresh, or at once with kz reload; their masks stay as they are.

With --missing each secret that its store does not have is asked for. With --from the
values are taken out of a dotenv file, which stays as it is, in place of asking.`

func newPutCmd(a *app) *cobra.Command {
	var file, env, from string
	var missing bool
	c := &cobra.Command{
		Use:   "put [NAME]",
		Short: "Store the value of a secret in its backend",
		Long:  putLong,
		Example: `  kz put STRIPE_KEY
  kz put TLS_KEY < key.pem
  kz put --missing
  kz put --missing --from .env`,
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case missing && len(args) > 0:
				return misuse("leave --missing out to store one secret", "--missing asks for all that are missing, and takes no name")
			case !missing && len(args) > 1:
				return misuse("the value is asked for, or read from standard input: kz put NAME < FILE; what was typed may be in the shell's history, so use another value",
					"kz put takes only the NAME of a secret, %d arguments given", len(args))
			case !missing && len(args) == 1 && strings.Contains(args[0], "="):
				return misuse("the value is asked for, or read from standard input: kz put NAME < FILE; what was typed may be in the shell's history, so use another value",
					"kz put takes the NAME of a secret, and no value beside it")
			case !missing && len(args) == 0:
				return misuse(usage(c)+", or kz put --missing", "kz put needs the NAME of a secret")
			}
			return nil
		},
		RunE: a.outsideOnly(func(c *cobra.Command, args []string) error {
			if missing {
				return a.putMissing(c.Context(), file, env, from)
			}
			return a.put(c.Context(), file, env, from, args[0])
		}),
	}
	c.ValidArgsFunction = a.completeSecrets(&file, &env)
	configFlags(c, &file, &env)
	c.Flags().BoolVar(&missing, "missing", false, "ask for each secret that its store does not have")
	c.Flags().StringVar(&from, "from", "", "take values from the dotenv `FILE`")
	_ = c.MarkFlagFilename("from")
	return c
}

// put stores one value.
func (a *app) put(ctx context.Context, file, env, from, name string) error {
	cfg, err := a.load(file, env)
	if err != nil {
		return err
	}
	if err := noConfiguration(cfg); err != nil {
		return err
	}
	sec, err := secretNamed(cfg, name)
	if err != nil {
		return err
	}
	stores, _, err := a.openStores(neededFor(cfg, sec), nil)
	if err != nil {
		return err
	}
	store, err := putter(ctx, cfg, sec, stores[sec.Backend]) // before a person types what cannot be stored
	if err != nil {
		return err
	}
	given, err := a.readFrom(ctx, from, []config.Secret{sec})
	if err != nil {
		return err
	}
	value, ok := given.take(sec.Name)
	switch {
	case ok:
	case from != "":
		err = withHint(fmt.Errorf("storing %s: %s has no value of that name", sec.Name, from), "leave --from out to be asked for it")
	case a.isTerminal(a.stdin):
		value, err = a.askValue(ctx, "the value of "+sec.Name)
	default:
		value, err = a.readValue(ctx)
	}
	if err != nil {
		return err
	}
	if err := a.keep(ctx, sec, store, value); err != nil {
		return err
	}
	given.done(sec.Name)
	given.say(a.ui)
	return nil
}

// neededFor is the configuration with no other backends than those that storing one secret takes: nothing is said of the others.
func neededFor(cfg *config.Config, sec config.Secret) *config.Config {
	needed := map[string]config.Backend{}
	var add func(name string)
	add = func(name string) {
		if _, ok := needed[name]; ok {
			return
		}
		needed[name] = cfg.Backends[name]
		for _, set := range needed[name].Settings {
			for _, s := range cfg.Secrets {
				if s.Name == set.Secret {
					add(s.Backend)
				}
			}
		}
	}
	add(sec.Backend)
	narrow := *cfg
	narrow.Backends, narrow.Secrets = needed, nil
	for _, s := range cfg.Secrets {
		if _, ok := needed[s.Backend]; ok {
			narrow.Secrets = append(narrow.Secrets, s)
		}
	}
	return &narrow
}

// putMissing asks for what the stores do not have.
func (a *app) putMissing(ctx context.Context, file, env, from string) error {
	cfg, err := a.load(file, env)
	if err != nil {
		return err
	}
	if err := noConfiguration(cfg); err != nil {
		return err
	}
	given, err := a.readFrom(ctx, from, cfg.Secrets)
	if err != nil {
		return err
	}
	if from == "" && !a.isTerminal(a.stdin) {
		return misuse("in a script: kz put NAME < FILE, for each, or --from a dotenv file", "--missing asks on the terminal, and there is none")
	}
	stores, cache, err := a.openStores(cfg, nil)
	if err != nil {
		return err
	}
	stop := a.watch(cache, cache.Names(), statusPatience)
	_ = cache.ResolveAll(ctx, nil) // the report has each failure
	stop()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var errs []error
	type place struct {
		backend string
		ref     resolver.Ref
	}
	asked := map[place]bool{}
	missing := 0
	for i, s := range cache.Report() {
		sec := cfg.Secrets[i]
		at := place{sec.Backend, sec.Ref}
		if s.Err == nil {
			given.compare(ctx, cache, sec)
			continue
		}
		if asked[at] {
			continue
		}
		if !errors.Is(s.Err, resolver.NotFound) {
			errs = append(errs, s.Err)
			continue
		}
		asked[at] = true
		missing++
		errs = append(errs, a.putOneMissing(ctx, cfg, sec, stores[sec.Backend], given))
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
	}
	given.say(a.ui)
	if missing == 0 && len(errs) == 0 {
		a.ui.Notef("no secret is missing")
	}
	return errors.Join(errs...)
}

func (a *app) putOneMissing(ctx context.Context, cfg *config.Config, sec config.Secret, store resolver.Resolver, given *dotenvValues) error {
	p, err := putter(ctx, cfg, sec, store)
	if err != nil {
		return err
	}
	value, ok := given.take(sec.Name)
	if !ok && a.isTerminal(a.stdin) {
		if value, err = a.askValue(ctx, "the value of "+sec.Name+", for "+sec.Backend+"; nothing leaves it out"); err != nil {
			return err
		}
	}
	if value == "" {
		a.ui.Notef("left out %s", sec.Name)
		return nil
	}
	if err := a.keep(ctx, sec, p, value); err != nil {
		return err
	}
	given.done(sec.Name)
	return nil
}

// secretNamed is the secret of a variable, or of a name that only one has.
func secretNamed(cfg *config.Config, name string) (config.Secret, error) {
	var found []config.Secret
	for _, s := range cfg.Secrets {
		if s.Name == name {
			return s, nil
		}
		if s.Label == name {
			found = append(found, s)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	hint := "the configured secrets are " + strings.Join(few(secretNames(cfg.Secrets)), ", ")
	if len(cfg.Environments) > 0 {
		hint += "; --env chooses others: " + strings.Join(few(cfg.Environments), ", ")
	}
	return config.Secret{}, misuse(hint, "no secret of that name is configured")
}

// putElsewhere says how a value gets into the stores that kz put does not write.
var putElsewhere = map[string]string{
	config.EnvFile: "write a line NAME=… into the file, with an editor",
	config.Env:     "set the variable before kz is started",
	config.Exec:    "the command decides what it prints",
	config.Age:     "change the file with age, or with `sops edit`",
	config.AWSSTS:  "its credentials are made when they are asked for",
}

// putter is the store of a secret as one that can be written.
func putter(ctx context.Context, cfg *config.Config, sec config.Secret, store resolver.Resolver) (resolver.Putter, error) {
	able, err := opened(ctx, store)
	if err != nil {
		return nil, err
	}
	_, ok := able.(resolver.Putter)
	typ := cfg.Backends[sec.Backend].Type
	switch {
	case !ok:
		hint := "kz put writes " + strings.Join(writableTypes(), ", ")
		if how := putElsewhere[typ]; how != "" {
			hint = how + "; " + hint
		}
		return nil, withHint(fmt.Errorf("storing %s: kz only reads the backend %s, of type %s", sec.Name, sec.Backend, typ), "%s", hint)
	case sec.Ref.Version != 0 || sec.Ref.VersionID != "":
		return nil, withHint(fmt.Errorf("storing %s: the configuration names one version of it, so that a new one would not be read", sec.Name),
			"leave version and version_id out to use the newest")
	}
	return store.(resolver.Putter), nil //nolint:forcetypeassert // what is in front has all abilities
}

// writableTypes are those that this build can write.
func writableTypes() (names []string) {
	for _, t := range config.Types() {
		if putElsewhere[t.Name] == "" && storeMakers[t.Name] != nil {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return names
}

// keep checks a value and stores it.
func (a *app) keep(ctx context.Context, sec config.Secret, store resolver.Putter, value string) error {
	switch {
	case value == "":
		return withHint(fmt.Errorf("storing %s: the value is empty", sec.Name), "a value that should not be there any more is deleted in its store")
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return withHint(fmt.Errorf("storing %s: the value is not text", sec.Name), "the stores, and environment variables, keep UTF-8 without NUL: encode it, with base64 for example")
	}
	if strings.Contains(value, masking.Prefix) {
		return withHint(fmt.Errorf("storing %s: the value is a mask, or holds one", sec.Name), "a mask stands for a value in one session only: store the value itself")
	}
	secret := resolver.NewSecret(value)
	if sec.Masked() && sec.Scrub && len(value) < masking.MinScrub {
		a.ui.Warnf("%s: the value is shorter than %d bytes, too short to be masked in what comes back, so `kz run --blind` will refuse it", sec.Name, masking.MinScrub)
	}
	if err := fits(sec, secret); err != nil {
		a.ui.Warnf("%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, resolver.DefaultTimeout)
	defer cancel()
	done, before := make(chan error, 1), warnings(store)
	go func() { done <- store.Put(ctx, sec.Ref, secret) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done(): // a store that does not heed its context is left behind
		err = resolver.Transport(ctx.Err())
	}
	if err != nil {
		named := *known(err)
		named.Secret, named.Backend = "", sec.Backend
		return fmt.Errorf("storing %s: %w", sec.Name, &named)
	}
	for _, w := range warnings(store) {
		if !slices.Contains(before, w) { // the first value may have made the store
			a.ui.Warnf("backend %s: %s", sec.Backend, w)
		}
	}
	a.ui.Notef("stored %s in %s; running sessions use it at their next refresh, or at once with `kz reload`", sec.Name, sec.Backend)
	return nil
}

// maxPut bounds a value; the stores' own limits are below it (64 KiB in AWS, 1 MiB in Vault).
const maxPut = 1 << 20

// readValue reads all of standard input; one line end at its end is dropped.
func (a *app) readValue(ctx context.Context) (string, error) {
	type input struct {
		data []byte
		err  error
	}
	done := make(chan input, 1)
	go func() { // left behind when interrupted: the process ends then
		data, err := io.ReadAll(io.LimitReader(a.stdin, maxPut+3)) // what may be dropped, and one byte too many
		done <- input{data, err}
	}()
	var in input
	select {
	case in = <-done:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if in.err != nil {
		return "", fmt.Errorf("reading the value from standard input: %w", in.err)
	}
	value := withoutLineEnd(string(in.data))
	if len(value) > maxPut {
		return "", errors.New("reading the value from standard input: it is longer than 1 MiB")
	}
	return value, nil
}

// withoutLineEnd drops one line end at the end of a value, of one byte or two.
func withoutLineEnd(value string) string {
	if line, ok := strings.CutSuffix(value, "\n"); ok {
		return strings.TrimSuffix(line, "\r")
	}
	return value
}
