package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	log "github.com/hashicorp/go-hclog"
	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/helper/namespace"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// newCore starts an unsealed core in memory with a KV v2 engine at secret/ and
// a root token of the given id, and returns it with its one unseal key.
func newCore(logger log.Logger, token string) (*vault.Core, []byte, error) {
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, nil, fmt.Errorf("making storage: %w", err)
	}
	secrets := map[string]logical.Factory{"kv": kv.Factory, "leased-kv": vault.LeasedPassthroughBackendFactory}
	logins := map[string]logical.Factory{"approle": approle.Factory, "kubernetes": kubeauth.Factory, "userpass": userpass.Factory}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		LogicalBackends:    secrets,
		CredentialBackends: logins,
		BuiltinRegistry:    registry{consts.PluginTypeSecrets: secrets, consts.PluginTypeCredential: logins},
		DisableMlock:       true,
		Logger:             logger,
		DefaultLeaseTTL:    time.Hour,
		MaxLeaseTTL:        24 * time.Hour,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("making core: %w", err)
	}

	ctx := namespace.RootContext(context.Background())
	init, err := core.Initialize(ctx, &vault.InitParams{
		BarrierConfig:  &vault.SealConfig{SecretShares: 1, SecretThreshold: 1, Name: "shamir"},
		RecoveryConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("initializing core: %w", err)
	}
	unseal := append([]byte(nil), init.SecretShares[0]...)
	if ok, err := core.Unseal(append([]byte(nil), unseal...)); err != nil || !ok {
		return nil, nil, errors.Join(fmt.Errorf("unsealing core: unsealed=%v", ok), err)
	}

	write := func(path string, data map[string]any) error {
		resp, err := core.HandleRequest(ctx, &logical.Request{
			Operation: logical.UpdateOperation, ClientToken: init.RootToken, Path: path, Data: data,
		})
		if err = errors.Join(err, resp.Error()); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
		return nil
	}
	if token != "" {
		err := write("auth/token/create", map[string]any{"id": token, "policies": []string{"root"}, "no_parent": true, "no_default_policy": true})
		if err != nil {
			return nil, nil, err
		}
	}
	err = write("sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	return core, unseal, err
}

// registry tells the core which plugins are compiled in: exactly the given ones.
type registry map[consts.PluginType]map[string]logical.Factory

func (r registry) Contains(name string, t consts.PluginType) bool { _, ok := r[t][name]; return ok }

func (r registry) Get(name string, t consts.PluginType) (func() (any, error), bool) {
	f, ok := r[t][name]
	return func() (any, error) { return f, nil }, ok
}

func (r registry) Keys(t consts.PluginType) []string {
	var names []string
	for name := range r[t] {
		names = append(names, name)
	}
	return names
}

func (r registry) DeprecationStatus(name string, t consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, t)
}

func (r registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
