package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestNodeOptions(t *testing.T) {
	t.Parallel()
	const own = "--require /run/node-proxy.cjs"
	for _, tt := range []struct {
		name   string
		path   string
		parent []string
		want   string
	}{
		{"alone", "/run/node-proxy.cjs", nil, own},
		{"after the parent's", "/run/node-proxy.cjs", []string{"NODE_OPTIONS=--max-old-space-size=4096 --require ./own.cjs"}, "--max-old-space-size=4096 --require ./own.cjs " + own},
		{"after an empty one", "/run/node-proxy.cjs", []string{"NODE_OPTIONS="}, own},
		{"an option that stays quoted", "/run/node-proxy.cjs", []string{`NODE_OPTIONS=--require "/my  own.cjs" `}, `--require "/my  own.cjs" ` + own},
		{"a path with a space", "/my run/node-proxy.cjs", nil, `--require "/my run/node-proxy.cjs"`},
		{"a path with a quote and a backslash", `/a "b"\c/x`, nil, `--require "/a \"b\"\\c/x"`},
		{"a path of Windows", `C:\Temp\x`, nil, `--require C:\Temp\x`},
		{"the one that leads round the proxy", "/run/node-proxy.cjs", []string{"NODE_OPTIONS=--no-use-env-proxy --no-use-env-proxy --no-warnings"}, "--no-warnings " + own},
		{"no file", "", []string{"NODE_OPTIONS=--no-warnings"}, "--no-warnings"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env, _ := blindChild(t, func(s *envSpec) { s.Blind.CA.NodeProxy = tt.path }, tt.parent...)
			if env["NODE_OPTIONS"] != tt.want {
				t.Errorf("got  %s\nwant %s", env["NODE_OPTIONS"], tt.want)
			}
		})
	}
}

func TestNodeOptionsAreLeftAloneWithTheProxyVariables(t *testing.T) {
	t.Parallel()
	env, _ := blindChild(t, func(s *envSpec) { s.Blind.CA.NodeProxy, s.KeepProxy = "/run/node-proxy.cjs", true }, "NODE_OPTIONS=--no-use-env-proxy")
	if env["NODE_OPTIONS"] != "--no-use-env-proxy" {
		t.Errorf("NODE_OPTIONS = %q", env["NODE_OPTIONS"])
	}
}

func TestNodeOptionsHoldNoCredential(t *testing.T) {
	t.Parallel()
	env, _ := blindChild(t, func(s *envSpec) { s.Blind.CA.NodeProxy = "/run/node-proxy.cjs" })
	if strings.Contains(env["NODE_OPTIONS"], "credential") || strings.Contains(env["NODE_OPTIONS"], "://") {
		t.Errorf("NODE_OPTIONS = %q: it stands in no argv and no list of processes, but is shown by many tools", env["NODE_OPTIONS"])
	}
	if _, _, err := childEnv(envSpec{Secrets: []envSecret{secret("NODE_OPTIONS", "")}, Blind: testBlind(), Contains: holdsCanary}); err == nil {
		t.Error("a secret may take the name")
	}
}

// TestWhatNodeLoadsIsThePublicFile: the same bytes in every run, so that nothing of a session can be in it.
func TestWhatNodeLoadsIsThePublicFile(t *testing.T) {
	t.Parallel()
	id, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	written := map[string][]byte{}
	files, err := (&blind{identity: id}).caFilesIn(func(name string, data []byte) (string, error) {
		written[name] = data
		return "/run/" + name, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files.NodeProxy != "/run/node-proxy.cjs" || !bytes.Equal(written["node-proxy.cjs"], nodeProxy) {
		t.Errorf("NodeProxy = %q, %d bytes", files.NodeProxy, len(written["node-proxy.cjs"]))
	}
	if bytes.Contains(nodeProxy, []byte(id.Credential)) {
		t.Error("the file holds the credential")
	}
}
