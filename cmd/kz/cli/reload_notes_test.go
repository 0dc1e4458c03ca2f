package cli

import (
	"slices"
	"strings"
	"testing"

	"kz/cmd/kz/config"
	"kz/proxy/policy"
)

func TestReloadTellsWhereASecretMayGoFromNowOn(t *testing.T) {
	t.Parallel()
	secret := func(swap []string, hosts ...string) config.Secret {
		sec := config.Secret{Name: "KEY"}
		for _, h := range hosts {
			p, err := policy.ParseHostPattern(h)
			if err != nil {
				t.Fatal(err)
			}
			sec.Hosts = append(sec.Hosts, p)
		}
		for _, s := range swap {
			p, err := policy.ParsePlace(s)
			if err != nil {
				t.Fatal(err)
			}
			sec.Places = append(sec.Places, p)
		}
		return sec
	}
	s := &blind{cfg: &config.Config{}, secrets: []config.Secret{secret([]string{"header"}, "api.test", "old.test")}}
	for _, tt := range []struct {
		name string
		now  config.Secret
		want []string
	}{
		{"nothing has changed", secret([]string{"header"}, "old.test", "api.test"), nil},
		{"fewer hosts", secret([]string{"header"}, "api.test"), nil},
		{"another host", secret([]string{"header"}, "api.test", "*.evil.test:8443"), []string{"KEY may go to *.evil.test:8443 from now on"}},
		{"another place", secret([]string{"header", "body:*"}, "api.test"), []string{"KEY is swapped at body:* from now on"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, notes := s.merge(&config.Config{}, []config.Secret{tt.now})
			if len(notes) != len(tt.want) || !slices.EqualFunc(notes, tt.want, strings.HasPrefix) {
				t.Errorf("told %q, want %q", notes, tt.want)
			}
		})
	}
}
