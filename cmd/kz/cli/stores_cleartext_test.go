package cli

import (
	"strings"
	"testing"

	"kz/cmd/kz/config"
	"kz/resolver"
)

func TestAStoreThatIsReachedInCleartextIsWarnedOf(t *testing.T) {
	t.Parallel()
	text := func(s string) config.Setting { return config.Setting{Value: s} }
	secret := config.Setting{Secret: "TOKEN"}
	for name, settings := range map[string]map[string]config.Setting{
		config.HashicorpVault + " with a chained token": {"address": text("http://vault.internal:8200"), "token": secret},
		config.HashicorpVault + " by AppRole":           {"address": text("http://vault.internal:8200"), "auth": text("approle"), "role_id": text("r"), "secret_id": secret},
		config.OnePassword + " at a Connect server":     {"auth": text("connect"), "connect_host": text("http://connect.internal"), "token": secret},
		config.AWSSecretsManager + " as the machine":    {"endpoint": text("http://aws.internal:4566")},
		config.AWSSecretsManager + " with a static key": {"endpoint": text("http://aws.internal:4566"), "auth": text("static"), "access_key_id": text("AKIA"), "secret_access_key": secret},
		config.AWSSSM + " as the machine":               {"endpoint": text("http://aws.internal:4566")},
		config.AWSSTS + " as the machine":               {"endpoint": text("http://aws.internal:4566")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _, _ := testApp()
			typ, _, _ := strings.Cut(name, " ")
			if storeMakers[typ] == nil {
				return // this build has no such store
			}
			warned := func(settings map[string]config.Setting) []string {
				store, err := a.store(config.Backend{Type: typ, Settings: settings}, func() *resolver.Cache { t.Error("a credential is fetched"); return nil })
				if err != nil {
					t.Fatal(err)
				}
				return store.(resolver.Warner).Warnings()
			}
			if w := warned(settings); len(w) != 1 || !strings.Contains(w[0], "not https") || !strings.Contains(w[0], ".internal") {
				t.Errorf("it warns: %q", w)
			}
			for key, s := range settings {
				if v, ok := s.Value.(string); ok && strings.HasPrefix(v, "http://") {
					settings[key] = text("https" + strings.TrimPrefix(v, "http"))
				}
			}
			if w := warned(settings); w != nil {
				t.Errorf("of https it warns: %q", w)
			}
		})
	}
}
