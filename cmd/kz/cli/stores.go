package cli

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"kz/cmd/kz/config"
	"kz/resolver"
	"kz/resolver/env"
	"kz/resolver/envfile"
)

// storeMaker makes the store of one backend. It does no I/O.
type storeMaker func(a *app, b backend) (resolver.Resolver, error)

// storeMakers is every type of backend. A nil one is left out of this build; see storeTags.
var storeMakers = map[string]storeMaker{
	config.EnvFile: func(_ *app, b backend) (resolver.Resolver, error) {
		return envfile.New(envfile.Options{Path: b.Text("path")})
	},
	config.Env: func(a *app, _ backend) (resolver.Resolver, error) {
		return env.New(env.Options{Lookup: a.lookupForStore})
	},
	config.Age:               newAgeStore,
	config.AWSSecretsManager: awsSecretsManager,
	config.AWSSSM:            awsSSM,
	config.AWSSTS:            awsSTS,
	config.AzureKeyVault:     azureKeyVault,
	config.Exec:              newExecStore,
	config.GCPSecretManager:  gcpSecretManager,
	config.HashicorpVault:    hashicorpVault,
	config.Keychain:          newKeychain,
	config.Local:             newLocalStore,
	config.OnePassword:       newOnePassword,
}

// backend is a backend of the configuration with the values of its chained settings.
type backend struct {
	config.Backend
	chained map[string]resolver.Secret
}

// Secret is the value of a chained setting; zero when it was not given.
func (b backend) Secret(key string) resolver.Secret { return b.chained[key] }

// Text is a setting as text, a chained one too; "" when it was not given.
func (b backend) Text(key string) string {
	if s, ok := b.chained[key]; ok {
		return s.Reveal()
	}
	return b.Backend.Text(key)
}

// stores makes the store of every backend. One whose settings are secrets of another gets them from the cache, which is there
// by the time of its first use.
func (a *app) stores(cfg *config.Config, cache func() *resolver.Cache) (map[string]resolver.Resolver, error) {
	stores := make(map[string]resolver.Resolver, len(cfg.Backends))
	errs := []error{a.openFileVariables(cfg, true)}
	for _, name := range slices.Sorted(maps.Keys(cfg.Backends)) {
		b := cfg.Backends[name]
		store, err := a.store(b, cache)
		if err != nil {
			errs = append(errs, wrongSettings(b, err))
			continue
		}
		stores[name] = store
	}
	a.held.keep(stores)
	return stores, errors.Join(errs...)
}

// packageNames begin the text of a store about its options, and say nothing to who reads it.
var packageNames = regexp.MustCompile(`(^|; )([a-z]+: )+`)

// aboutSettings is what a store says of its settings, and what to do.
func aboutSettings(err error) (text, hint string) {
	text, hint = err.Error(), "correct the settings of the backend"
	var typed *resolver.Error
	if errors.As(err, &typed) {
		text = typed.Message
	}
	var h hinter
	if errors.As(err, &h) && h.Hint() != "" {
		hint = h.Hint()
	}
	return packageNames.ReplaceAllString(strings.ReplaceAll(text, "\n", "; "), "$1"), hint
}

// wrongSettings is of a backend whose store cannot be made.
func wrongSettings(b config.Backend, err error) error {
	text, hint := aboutSettings(err)
	text = fmt.Sprintf("the backend %q: %s", b.Name, text)
	if at := b.Pos.String(); at != "" {
		text = at + ": " + text
	}
	return &cliError{err: errors.New(text), hint: hint, code: exitFailure}
}

func (a *app) store(b config.Backend, cache func() *resolver.Cache) (resolver.Resolver, error) {
	newStore := storeMakers[b.Type]
	if newStore == nil {
		return nil, notInBuild(b.Type)
	}
	names := map[string]string{}
	for key, s := range b.Settings {
		if s.Secret != "" {
			names[key] = s.Secret
		}
	}
	if len(names) == 0 {
		return newStore(a, backend{Backend: b})
	}
	return &chainedStore{names: names, cache: cache, make: func(chained map[string]resolver.Secret) (resolver.Resolver, error) {
		store, err := newStore(a, backend{Backend: b, chained: chained})
		if err != nil { // not the network's, which it would be taken for
			text, hint := aboutSettings(err)
			return nil, &resolver.Error{Kind: resolver.InvalidReference, Message: text, Advice: hint}
		}
		return store, nil
	}}, nil
}
