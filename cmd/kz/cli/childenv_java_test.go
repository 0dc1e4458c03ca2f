package cli

import (
	"strings"
	"testing"
)

func TestJavaOptions(t *testing.T) {
	t.Parallel()
	const (
		proxied = "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=4711 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=4711 -Dhttp.nonProxyHosts=localhost|127.*|[::1]"
		trusted = `-Djavax.net.ssl.trustStore="/my run/trust.p12" -Djavax.net.ssl.trustStoreType=PKCS12`
		ours    = proxied + " " + trusted
	)
	store := func(s *envSpec) {
		s.Blind.CA.TrustStore, s.Blind.ProxyURL = "/my run/trust.p12", "http://kz:the-credential@127.0.0.1:4711"
	}
	with := func(change func(*envSpec)) func(*envSpec) { return func(s *envSpec) { store(s); change(s) } }
	for _, tt := range []struct {
		name   string
		change func(*envSpec)
		parent []string
		want   map[string]string
	}{
		{"a JVM is pointed at the proxy and its truststore", store, nil, map[string]string{"JAVA_TOOL_OPTIONS": ours}},
		{"the parent's options stay, and kz's come last", store, []string{"JAVA_TOOL_OPTIONS=-Xmx1g  -Dx='a b' "}, map[string]string{"JAVA_TOOL_OPTIONS": "-Xmx1g  -Dx='a b' " + ours}},
		{"the parent's other ways out and roots go", store, []string{
			`JAVA_TOOL_OPTIONS=-Xmx1g -Dhttps.proxyHost=corp "-Djavax.net.ssl.trustStore=/corp store" -Dhttp.proxyUser=x -ea`,
			"_JAVA_OPTIONS=-DsocksProxyHost=corp -Djavax.net.ssl.trustStorePassword='x y'",
			"MAVEN_OPTS=-Xmx2g -Dhttp.nonProxyHosts=*.corp|localhost\t-Djava.net.useSystemProxies=true",
			"GRADLE_OPTS=-Dorg.gradle.daemon=false  -Dhttps.proxyHosts=mine",
		}, map[string]string{"JAVA_TOOL_OPTIONS": "-Xmx1g -ea " + ours, "_JAVA_OPTIONS": "", "MAVEN_OPTS": "-Xmx2g", "GRADLE_OPTS": "-Dorg.gradle.daemon=false  -Dhttps.proxyHosts=mine"}},
		{"what is kept on purpose is kept", with(func(s *envSpec) { s.Keep = []string{"MAVEN_OPTS", "JAVA_TOOL_OPTIONS"} }),
			[]string{"MAVEN_OPTS=-Dhttps.proxyHost=corp", "JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=corp -ea"},
			map[string]string{"MAVEN_OPTS": "-Dhttps.proxyHost=corp", "JAVA_TOOL_OPTIONS": "-ea " + ours}},
		{"with --no-force-proxy the ways out are left alone", with(func(s *envSpec) { s.KeepProxy = true }),
			[]string{"MAVEN_OPTS=-Dhttps.proxyHost=corp -Djavax.net.ssl.trustStore=/corp"}, map[string]string{"MAVEN_OPTS": "-Dhttps.proxyHost=corp", "JAVA_TOOL_OPTIONS": trusted}},
		{"a bound name of loopback goes by the proxy", with(func(s *envSpec) { s.Blind.BoundHosts = []string{"localhost"} }), nil,
			map[string]string{"JAVA_TOOL_OPTIONS": strings.Replace(ours, "localhost|127.*|[::1]", "", 1)}},
		{"without a truststore nothing is said", nil, []string{"JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=corp"}, map[string]string{"JAVA_TOOL_OPTIONS": "-Dhttps.proxyHost=corp"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env, _ := blindChild(t, tt.change, tt.parent...)
			for name, want := range tt.want {
				if got := env[name]; got != want {
					t.Errorf("%s = %q\nwant %q", name, got, want)
				}
				// A JVM prints its options.
				if strings.Contains(env[name], "the-credential") {
					t.Errorf("the credential is in %s", name)
				}
			}
		})
	}
}

func TestJavaQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"/a": "/a", "/a b": `"/a b"`, "/it's": `"/it's"`, `/a "b"`: `'/a "b"'`} {
		if got := javaQuote(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
		if words := javaWords("-x " + javaQuote(in) + " -y"); len(words) != 3 {
			t.Errorf("%s: %q", in, words)
		}
	}
}
