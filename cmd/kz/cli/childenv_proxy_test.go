package cli

import "testing"

// TestNoWayRoundTheProxyIsInherited has parents whose variables blind mode does not set itself, and so does not replace.
func TestNoWayRoundTheProxyIsInherited(t *testing.T) {
	t.Parallel()
	env, _ := blindChild(t, func(s *envSpec) {
		s.Blind.BoundHosts = []string{"localhost", "127.0.0.1", "[::1]"} // no host is reached directly: NO_PROXY is not set
	}, "NO_PROXY=api.test", "no_proxy=*", "FTP_PROXY=http://corp", "NPM_CONFIG_HTTPS_PROXY=http://corp", "yarn_https_proxy=http://corp", "npm_config_noproxy=api.test")
	for _, name := range []string{"NO_PROXY", "no_proxy", "FTP_PROXY", "NPM_CONFIG_HTTPS_PROXY", "yarn_https_proxy", "npm_config_noproxy"} {
		if value, ok := env[name]; ok {
			t.Errorf("%s = %q", name, value)
		}
	}
}
