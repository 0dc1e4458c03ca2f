package cli

import (
	"slices"
	"strings"
	"testing"

	"kz/cmd/kz/config"
)

func TestTheTopicServicesHasEachOfThem(t *testing.T) {
	t.Parallel()
	text := strings.Join(strings.Fields(textOf(t, "services")), " ")
	for _, s := range config.Services() {
		for _, want := range slices.Concat([]string{s.Name + " " + s.Variables[0]}, s.Variables, s.Hosts, s.Places, s.Keys, []string{s.Own, s.Mask}) {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %s", s.Name, want)
			}
		}
	}
}

// TestWhatServicesCallKeysIsACredential: what the list says of keys and what a blind child may not keep are one.
func TestWhatServicesCallKeysIsACredential(t *testing.T) {
	t.Parallel()
	for _, s := range config.Services() {
		for _, k := range s.Keys {
			if !credentialShape(k + strings.Repeat("a1", 20)) {
				t.Errorf("%s: a variable that holds %s… would stay in a blind child", s.Name, k)
			}
		}
	}
}
