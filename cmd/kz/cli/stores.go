package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"kz/cmd/kz/config"
	"kz/resolver"
	"kz/resolver/awssm"
	"kz/resolver/env"
	"kz/resolver/envfile"
	"kz/resolver/vault"
)

// storeMaker makes the store of one backend. It does no I/O. token is the value of a chained `token`; zero without one.
type storeMaker func(a *app, b config.Backend, token resolver.Secret) (resolver.Resolver, error)

// storeMakers is every type of backend that this build has.
var storeMakers = map[string]storeMaker{
	config.EnvFile: func(_ *app, b config.Backend, _ resolver.Secret) (resolver.Resolver, error) {
		return envfile.New(envfile.Options{Path: b.Text("path")})
	},
	config.Env: func(a *app, _ config.Backend, _ resolver.Secret) (resolver.Resolver, error) {
		return env.New(env.Options{Lookup: a.lookupEnv})
	},
	config.AWSSecretsManager: func(_ *app, b config.Backend, _ resolver.Secret) (resolver.Resolver, error) {
		return awssm.New(awssm.Options{Region: b.Text("region"), Endpoint: b.Text("endpoint")})
	},
	config.HashicorpVault: func(_ *app, b config.Backend, token resolver.Secret) (resolver.Resolver, error) {
		return vault.New(vault.Options{Address: b.Text("address"), Namespace: b.Text("namespace"), Mount: b.Text("mount"),
			CACert: b.Text("ca_cert"), Token: token})
	},
}

// stores makes the store of every backend. A backend whose token is another secret gets it from get, at its first use.
func (a *app) stores(cfg *config.Config, get func(context.Context, string) (resolver.Secret, error)) (map[string]resolver.Resolver, error) {
	stores := make(map[string]resolver.Resolver, len(cfg.Backends))
	var errs []error
	for name, b := range cfg.Backends {
		newStore, ok := storeMakers[b.Type]
		if !ok {
			errs = append(errs, fmt.Errorf("the backend %q has the type %q, which is not in this version", name, b.Type))
			continue
		}
		if chained := b.Settings["token"].Secret; chained != "" {
			stores[name] = &chainedStore{secret: chained, get: get, make: func(token resolver.Secret) (resolver.Resolver, error) { return newStore(a, b, token) }}
			continue
		}
		store, err := newStore(a, b, resolver.Secret{})
		if err != nil {
			errs = append(errs, fmt.Errorf("the backend %q: %w", name, err))
			continue
		}
		stores[name] = store
	}
	return stores, errors.Join(errs...)
}

// chainedStore is a store whose credential is a secret of another one. It follows that secret when it changes.
type chainedStore struct {
	secret string
	get    func(context.Context, string) (resolver.Secret, error)
	make   func(token resolver.Secret) (resolver.Resolver, error)

	mu    sync.Mutex
	token resolver.Secret
	store resolver.Resolver
}

// Resolve implements resolver.Resolver.
func (c *chainedStore) Resolve(ctx context.Context, ref resolver.Ref) (resolver.Result, error) {
	token, err := c.get(ctx, c.secret)
	if err != nil {
		return resolver.Result{}, err
	}
	store, err := c.with(token)
	if err != nil {
		return resolver.Result{}, err
	}
	return store.Resolve(ctx, ref)
}

func (c *chainedStore) with(token resolver.Secret) (resolver.Resolver, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store != nil && c.token.Equal(token) {
		return c.store, nil
	}
	store, err := c.make(token)
	if err != nil {
		return nil, err
	}
	c.store, c.token = store, token
	return store, nil
}
