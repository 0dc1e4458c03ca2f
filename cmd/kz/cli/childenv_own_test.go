package cli

import "testing"

// TestAProxyInAClientsOwnSettingsIsSetAside: npm and cargo have variables that stand over their files.
func TestAProxyInAClientsOwnSettingsIsSetAside(t *testing.T) {
	t.Parallel()
	env, _ := blindChild(t, nil, "npm_config_proxy=http://corp", "CARGO_HTTP_PROXY=http://corp")
	for _, name := range []string{"npm_config_proxy", "npm_config_https_proxy", "CARGO_HTTP_PROXY"} {
		if env[name] != testProxy {
			t.Errorf("%s = %q", name, env[name])
		}
	}
	if env["npm_config_noproxy"] != "localhost,127.0.0.1,::1" {
		t.Errorf("npm_config_noproxy = %q", env["npm_config_noproxy"])
	}
	env, _ = blindChild(t, func(s *envSpec) { s.KeepProxy = true }, "npm_config_proxy=http://corp")
	if env["npm_config_proxy"] != "http://corp" || env["CARGO_HTTP_PROXY"] != "" {
		t.Error("--no-force-proxy leaves them alone")
	}
}
