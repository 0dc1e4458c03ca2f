package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kz/cmd/kz/config"
	"kz/resolver"
	"kz/resolver/envfile"
)

// dotenvValues are values that kz put takes out of a dotenv file, by the variables of their secrets, in place of asking.
type dotenvValues struct {
	file   string // "" when none was given
	values map[string]resolver.Secret
	stored []string        // the variables whose values are stored, of now or of before
	others []config.Secret // those that their stores have other values of
}

// readFrom takes the values of secrets out of a dotenv file; "" is no file. It reads the file once: it may be a pipe.
func (a *app) readFrom(ctx context.Context, file string, secrets []config.Secret) (*dotenvValues, error) {
	from := &dotenvValues{file: file, values: map[string]resolver.Secret{}}
	if file == "" {
		return from, nil
	}
	dir, err := a.cwd()
	if err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	path := file
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, withHint(fmt.Errorf("reading %s: %w", file, errors.Unwrap(err)), "--from takes a dotenv file, with lines NAME=value")
	}
	store, err := envfile.New(envfile.Options{Path: path})
	if err != nil {
		return nil, err
	}
	refs := make([]resolver.Ref, len(secrets))
	for i, s := range secrets {
		refs[i].ID = s.Name
	}
	for i, out := range store.ResolveBatch(ctx, refs) {
		switch {
		case out.Err == nil && out.Result.Secret.Reveal() != "":
			from.values[secrets[i].Name] = out.Result.Secret
		case out.Err != nil && !errors.Is(out.Err, resolver.NotFound) && !errors.Is(out.Err, resolver.FieldMissing):
			return nil, out.Err
		}
	}
	return from, nil
}

// take is the value of a variable.
func (d *dotenvValues) take(name string) (value string, ok bool) {
	secret, ok := d.values[name]
	if !ok {
		return "", false
	}
	return secret.Reveal(), true
}

// done notes that the value of a variable was stored.
func (d *dotenvValues) done(name string) {
	if _, ok := d.values[name]; ok {
		d.stored = append(d.stored, name)
	}
}

// compare notes whether the store of a secret that is not missing has the value of the file.
func (d *dotenvValues) compare(ctx context.Context, cache *resolver.Cache, sec config.Secret) {
	value, ok := d.values[sec.Name]
	if !ok {
		return
	}
	kept, err := cache.Get(ctx, sec.Name)
	switch {
	case err != nil:
	case kept.Reveal() == value.Reveal():
		d.done(sec.Name)
	default:
		d.others = append(d.others, sec)
	}
}

// say says of which lines the file can be rid: of those that are stored elsewhere.
func (d *dotenvValues) say(u *ui) {
	for _, sec := range d.others {
		u.Warnf("%s: %s has another value than %s, and keeps it", sec.Name, sec.Backend, d.file)
		u.Hintf("`kz put %s --from %s` replaces it, wherever that is used; for a value of this project alone write a name under [secrets.%s]: name = \"…\"", sec.Name, d.file, sec.Label)
	}
	if len(d.stored) > 0 {
		u.Hintf("take these out of %s, where a blind program can read them: %s", d.file, strings.Join(few(d.stored), ", "))
	}
}
