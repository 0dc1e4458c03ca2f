package vault_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"kz/resolver"
	"kz/resolver/resolvertest"
	"kz/resolver/vault"
)

// login sets a Store up to log in with a policy; credentials are what no error may show.
type login func(t *testing.T, s *server, policy string) (set func(*vault.Options), credentials []string)

func byToken(t *testing.T, s *server, policy string) (func(*vault.Options), []string) {
	token := s.do(t, "POST", "auth/token/create", map[string]any{"policies": []string{policy}})["auth"].(map[string]any)["client_token"].(string)
	return func(o *vault.Options) { o.Token = resolver.NewSecret(token) }, []string{token}
}

func byAppRole(t *testing.T, s *server, policy string) (func(*vault.Options), []string) {
	r := s.appRole(t, policy, nil)
	return r.set, []string{r.secretID}
}

func byWrapping(t *testing.T, s *server, policy string) (func(*vault.Options), []string) {
	r := s.appRole(t, policy, nil)
	wrapped := r.wrapped(t)
	return func(o *vault.Options) {
		r.set(o)
		o.SecretID, o.WrappedSecretID = resolver.Secret{}, resolver.NewSecret(wrapped)
	}, []string{wrapped}
}

func byKubernetes(t *testing.T, s *server, policy string) (func(*vault.Options), []string) {
	k := s.kubernetes(t, policy, nil)
	return k.set, []string{k.jwt}
}

func conformance(t *testing.T, version string, log login) {
	resolvertest.Run(t, func(t *testing.T) resolvertest.Harness {
		s := real(t)
		mount := s.mount(t, "kv", version)
		data, wrap := mount+"/", func(object string) string { return object }
		if version == "2" {
			data = mount + "/data/"
			wrap = func(object string) string { return `{"data":` + object + `}` }
			waitForKV2(t, s, mount)
		}
		policy := fmt.Sprintf(`path "%s/*" { capabilities = ["read", "create", "update"] }`, mount)
		name := fmt.Sprintf("policy%d", s.serial.Add(1))
		s.writePolicy(t, name, policy)
		set, credentials := log(t, s, name)
		return resolvertest.Harness{
			Resolver:    open(t, s.addr, set),
			Credentials: append(credentials, rootToken, fakeToken),
			Ref:         func(id, field string) resolver.Ref { return resolver.Ref{ID: mount + "/" + id, Field: field} },
			Put: func(t *testing.T, id, value string) {
				var object map[string]json.RawMessage
				if json.Unmarshal([]byte(value), &object) != nil {
					text, _ := json.Marshal(map[string]string{"value": value})
					value = string(text)
				}
				s.do(t, "POST", data+id, wrap(value))
			},
			Down: func(t *testing.T) resolver.Resolver { return open(t, nobody(t), set) },
			Silent: func(t *testing.T, limit time.Duration) resolver.Resolver {
				return open(t, serve(t, mute), func(o *vault.Options) { set(o); o.Timeout = limit })
			},
			Deny: func(t *testing.T, id string) {
				s.writePolicy(t, name, policy+fmt.Sprintf(` path "%s" { capabilities = ["deny"] }`, data+id))
			},
		}
	})
}

func TestConformanceKV1(t *testing.T) {
	t.Parallel()
	resolvertest.Shown(t, "hashicorp_vault", "token", "the real core (HashiCorp Vault 1.21), KV v1")
	conformance(t, "1", byToken)
}

func TestConformanceKV2(t *testing.T) {
	t.Parallel()
	resolvertest.Shown(t, "hashicorp_vault", "token", "the real core (HashiCorp Vault 1.21), KV v2")
	conformance(t, "2", byToken)
}

func TestConformanceAppRole(t *testing.T) {
	t.Parallel()
	resolvertest.Shown(t, "hashicorp_vault", "approle", "the real core (HashiCorp Vault 1.21)")
	conformance(t, "2", byAppRole)
}

func TestConformanceAppRoleWrapped(t *testing.T) {
	t.Parallel()
	resolvertest.Shown(t, "hashicorp_vault", "approle", "the real core (HashiCorp Vault 1.21), the secret ID wrapped")
	conformance(t, "1", byWrapping)
}

func TestConformanceKubernetes(t *testing.T) {
	t.Parallel()
	resolvertest.Shown(t, "hashicorp_vault", "kubernetes", "the real core (HashiCorp Vault 1.21), a fake TokenReview that checks signatures and audiences")
	conformance(t, "2", byKubernetes)
}
