package cli

import (
	"regexp"
	"testing"
)

// TestTheTopicOfRuntimesNamesWhatIsSet: every variable that a blind child gets beside its masks, and no other.
func TestTheTopicOfRuntimesNamesWhatIsSet(t *testing.T) {
	t.Parallel()
	runtimes, ok := topicByName("runtimes")
	if !ok {
		t.Fatal("there is no such topic")
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`\b([A-Z][A-Z0-9]*|npm_config)_[A-Za-z0-9_]+\b|\bno_proxy\b|\bWGETRC\b`).FindAllString(runtimes.text, -1) {
		named[name] = true
	}
	env, _ := blindChild(t, func(s *envSpec) {
		s.Blind.CA = caFiles{CA: "/run/ca.pem", Bundle: "/run/bundle.pem", Wgetrc: "/run/wgetrc", PHP: "/run/php.ini", NodeProxy: "/run/node.cjs", TrustStore: "/run/p12"}
	}, "HOME=/h")
	for name := range env {
		small := regexp.MustCompile(`^(https?|all|wss?)_proxy$`).MatchString(name) // "the same in small letters"
		if !named[name] && !small && name != "KZ_SESSION" && name != "HOME" {
			t.Errorf("%s is not there", name)
		}
	}
	for name := range named {
		if _, set := env[name]; !set && name != "ALL_PROXY" {
			t.Errorf("%s is there and not set", name)
		}
	}
}
