package cli

import (
	"testing"

	"kz/cmd/kz/config"
	"kz/proxy/policy"
)

func TestAnyHostIsForEachSecretToWhichTheFileGivesNoHosts(t *testing.T) {
	t.Parallel()
	parse := func(host string) policy.Authority {
		a, err := policy.ParseAuthority(host, 443)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	host, err := policy.ParseHostPattern("api.openai.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name             string
		service          string
		anyHost          bool
		known, elsewhere bool
	}{
		{"a service's host", "OpenAI", false, true, false},
		{"a service's host, with --any-host", "OpenAI", true, true, true},
		{"a host of the file", "", false, true, false},
		{"a host of the file, with --any-host", "", true, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &blind{options: blindOptions{AnyHost: tt.anyHost}}
			p := s.policyOf(&config.Config{}, []config.Secret{{Name: "OPENAI_API_KEY", Hosts: []policy.HostPattern{host}, Service: tt.service,
				Places: policy.DefaultPlaces(), Expose: config.ExposeMasked}})
			if got := p.Scope(parse("api.openai.com")).Bound; got != tt.known {
				t.Errorf("bound to the service's host: %t", got)
			}
			if got := p.Scope(parse("other.example.com")).Bound; got != tt.elsewhere {
				t.Errorf("bound to another: %t", got)
			}
		})
	}
}

func TestReloadTakesOverWhereHostsAreFrom(t *testing.T) {
	t.Parallel()
	old := config.Secret{Name: "OPENAI_API_KEY", Service: "OpenAI"}
	s := &blind{cfg: &config.Config{}, secrets: []config.Secret{old}}
	now := old
	now.Service = ""
	next, notes := s.merge(&config.Config{}, []config.Secret{now})
	if next[0].Service != "" || len(notes) > 0 {
		t.Errorf("it is %+v, and told is %q", next[0], notes)
	}
	if next, _ = s.merge(&config.Config{}, nil); next[0].Service != "" {
		t.Errorf("what is gone is %+v", next[0])
	}
}
