package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

const (
	canary    = "hunter2-canary-value"
	maskOf    = "kz_masked_00112233445566778899aabbccddeeff"
	testProxy = "http://kz:credential@127.0.0.1:4711"
)

func testBlind() *blindEnv {
	return &blindEnv{
		Session:  "s1",
		ProxyURL: testProxy,
		CA:       caFiles{CA: "/run/ca.pem", Bundle: "/run/bundle.pem"},
	}
}

func holdsCanary(value string) (string, bool) { return "API_KEY", strings.Contains(value, canary) }

func secret(name string, expose exposure) envSecret {
	return envSecret{Name: name, Token: maskOf, Reveal: func() string { return canary }, Expose: expose}
}

// blindChild is the environment of a blind child of a parent's, as a map.
func blindChild(t *testing.T, change func(*envSpec), parent ...string) (map[string]string, envReport) {
	t.Helper()
	spec := envSpec{Parent: parent, Blind: testBlind(), Contains: holdsCanary}
	if change != nil {
		change(&spec)
	}
	env, report, err := childEnv(spec)
	if err != nil {
		t.Fatal(err)
	}
	return asMap(t, env), report
}

func asMap(t *testing.T, env []string) map[string]string {
	t.Helper()
	m := make(map[string]string)
	for _, e := range env {
		name, value, ok := splitVar(e)
		if !ok {
			t.Errorf("not a variable: %q", e)
		}
		if _, twice := m[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		m[name] = value
	}
	return m
}

func TestPlainChild(t *testing.T) {
	t.Parallel()
	parent := []string{"PATH=/bin", "AWS_PROFILE=dev", "GITHUB_TOKEN=ghp_x", "API_KEY=old", "HTTPS_PROXY=http://corp", "SSL_CERT_FILE=mine", "A=1", "A=2", "=x", "noequals"}
	secrets := []envSecret{secret("API_KEY", ""), secret("OMITTED", exposeOmit), secret("OPEN", exposePlain)}
	env, report, err := childEnv(envSpec{Parent: parent, Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"PATH=/bin", "AWS_PROFILE=dev", "GITHUB_TOKEN=ghp_x", "HTTPS_PROXY=http://corp", "SSL_CERT_FILE=mine", "A=2",
		"API_KEY=" + canary, "OMITTED=" + canary, "OPEN=" + canary, "KZ_VALUES=API_KEY,OMITTED,OPEN"}
	if !slices.Equal(env, want) {
		t.Errorf("got %q\nwant %q", env, want)
	}
	if len(report.Dropped)+len(report.Held)+len(report.Plain)+len(report.Credentials) > 0 {
		t.Errorf("report %+v", report)
	}
}

func TestCleanEnv(t *testing.T) {
	t.Parallel()
	parent := []string{"PATH=/bin", "HOME=/h", "USER=u", "SHELL=/bin/sh", "TERM=xterm", "LANG=C", "LC_ALL=C", "TMPDIR=/t", "TZ=UTC", "EDITOR=vi", "MY_TOKEN=x", "OTHER=y"}
	clean := parent[:9]
	env, _, err := childEnv(envSpec{Parent: parent, Secrets: []envSecret{secret("S", "")}, Clean: true, Keep: []string{"OTHER"}})
	if want := append(slices.Clone(clean), "OTHER=y", "S="+canary, "KZ_VALUES=S"); err != nil || !slices.Equal(env, want) {
		t.Errorf("plain: got %q, %v", env, err)
	}
	got, report := blindChild(t, func(s *envSpec) { s.Clean, s.Keep = true, []string{"MY_TOKEN"} }, parent...)
	for _, name := range []string{"PATH", "TZ", "LC_ALL", "MY_TOKEN", "HTTPS_PROXY", "KZ_SESSION", "SSL_CERT_FILE"} {
		if _, ok := got[name]; !ok {
			t.Errorf("blind: %s is missing", name)
		}
	}
	for _, name := range []string{"EDITOR", "OTHER"} {
		if _, ok := got[name]; ok {
			t.Errorf("blind: %s is there", name)
		}
	}
	if len(report.Dropped) > 0 {
		t.Errorf("what --clean-env leaves out is not reported: %q", report.Dropped)
	}
}

func TestMasksStandForValues(t *testing.T) {
	t.Parallel()
	got, report := blindChild(t, func(s *envSpec) {
		s.Secrets = []envSecret{
			secret("MASKED", exposeMasked), secret("DEFAULT", ""), secret("GONE", exposeOmit), secret("OPEN", exposePlain),
			{Name: "SITE", Reveal: func() string { return "example.org" }, Expose: exposePlain, Field: true},
		}
	}, "DEFAULT=the parent's", "GONE=the parent's")
	for name, want := range map[string]string{"MASKED": maskOf, "DEFAULT": maskOf, "OPEN": canary, "SITE": "example.org", "KZ_SESSION": "s1"} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	if v, ok := got["GONE"]; ok {
		t.Errorf("an omitted secret is there: %q", v)
	}
	if !slices.Equal(report.Plain, []string{"OPEN"}) {
		t.Errorf("warned about %q", report.Plain)
	}
}

func TestVariablesOfTheParentInBlindMode(t *testing.T) {
	t.Parallel()
	const gone, kept = false, true
	for _, tt := range []struct {
		name  string
		entry string
		keep  bool // also by --keep-env
		want  bool
	}{
		{"an ordinary one", "EDITOR=vi", false, kept},
		{"an empty one", "EMPTY=", false, kept},
		{"an empty look-alike holds nothing", "MY_TOKEN=", false, kept},
		{"a shell function", "BASH_FUNC_f%%=() {  :\n}", false, kept},
		{"NODE_OPTIONS", "NODE_OPTIONS=--require x", false, kept},

		{"one that holds a managed value", "NOTE=say " + canary + " twice", false, gone},
		{"one that holds a managed value, by --keep-env", "NOTE=" + canary, true, gone},
		{"a proxy variable that holds a managed value", "FTP_PROXY=http://x:" + canary + "@h", false, gone},
		{"the mark of another session", "KZ_SESSION=other", true, kept}, // replaced by ours, below

		{"an AWS key", "AWS_SECRET_ACCESS_KEY=x", false, gone},
		{"an AWS profile", "AWS_PROFILE=x", false, gone},
		{"the Vault token", "VAULT_TOKEN=x", false, gone},
		{"the Vault address is no credential", "VAULT_ADDR=https://v", false, kept},
		{"1Password", "OP_SESSION_my=x", false, gone},
		{"Bitwarden", "BW_SESSION=x", false, gone},
		{"Google", "GOOGLE_APPLICATION_CREDENTIALS=/f", false, gone},
		{"Azure", "AZURE_CLIENT_SECRET=x", false, gone},
		{"an AWS key by --keep-env", "AWS_SECRET_ACCESS_KEY=x", true, kept},
		{"one that a configured backend reads", "SOURCE_OF_API=x", false, gone},
		{"one that a configured backend reads, by pattern", "CORP_STORE_URL=x", false, gone},

		{"*_TOKEN", "GITHUB_TOKEN=x", false, gone},
		{"*_KEY in lower case", "stripe_key=x", false, gone},
		{"*_SECRET", "App_Secret=x", false, gone},
		{"*_PASSWORD", "DB_PASSWORD=x", false, gone},
		{"TOKEN alone", "TOKEN=x", false, gone},
		{"PGPASSWORD", "PGPASSWORD=x", false, gone},
		{"a look-alike by --keep-env", "GITHUB_TOKEN=x", true, kept},
		{"a name that only begins so", "TOKENIZERS_PARALLELISM=1", false, kept},
		{"a name that only ends so", "MONKEY=1", false, kept},
		{"a key by its shape", "WHATEVER=ghp_0123456789abcdefghij", false, gone},
		{"a key by its shape, by --keep-env", "WHATEVER=ghp_0123456789abcdefghij", true, kept},

		{"a proxy of the parent's", "ftp_proxy=http://corp", true, gone},
		{"a proxy of one tool", "yarn_https_proxy=http://corp", true, gone},
		{"npm's exceptions in capitals", "NPM_CONFIG_NOPROXY=evil.test", true, gone},
		{"a check switched off", "NODE_TLS_REJECT_UNAUTHORIZED=0", false, gone},
		{"another check switched off", "GIT_SSL_NO_VERIFY=1", false, gone},
		{"a third check switched off", "PYTHONHTTPSVERIFY=0", false, gone},
		{"npm's check, in capitals", "NPM_CONFIG_STRICT_SSL=false", false, gone},
		{"a directory of roots", "SSL_CERT_DIR=/etc/certs", false, gone},
		{"hosts that pip does not check", "PIP_TRUSTED_HOST=evil.test", false, gone},
		{"npm's roots in capitals", "NPM_CONFIG_CAFILE=/f", false, gone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name, value, _ := splitVar(tt.entry)
			env, _ := blindChild(t, func(s *envSpec) {
				s.Credentials = []string{"SOURCE_OF_API", "CORP_STORE_*"}
				if tt.keep {
					s.Keep = []string{name}
				}
			}, tt.entry)
			got, there := env[name]
			if there != tt.want {
				t.Errorf("there: %v, want %v", there, tt.want)
			}
			if there && got != value && name != "KZ_SESSION" {
				t.Errorf("value %q", got)
			}
			for _, v := range env {
				if strings.Contains(v, canary) {
					t.Error("a managed value reached the child")
				}
			}
		})
	}
}

func TestTheLastOfSeveralEntriesCounts(t *testing.T) {
	t.Parallel()
	env, report := blindChild(t, nil, "A="+canary, "A=harmless", "B=harmless", "B="+canary)
	if env["A"] != "harmless" {
		t.Errorf("A = %q", env["A"])
	}
	if _, ok := env["B"]; ok {
		t.Error("B is there")
	}
	if len(report.Held) != 1 || report.Held[0] != (heldVar{"B", "API_KEY"}) {
		t.Errorf("held %v", report.Held)
	}
}

func TestProxyVariables(t *testing.T) {
	t.Parallel()
	parent := []string{"HTTPS_PROXY=http://corp", "https_proxy=http://corp", "NO_PROXY=evil.test", "no_proxy=*", "FTP_PROXY=http://corp", "NODE_USE_ENV_PROXY=0"}
	env, _ := blindChild(t, nil, parent...)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "WS_PROXY", "ws_proxy", "WSS_PROXY", "wss_proxy"} {
		if env[name] != testProxy {
			t.Errorf("%s = %q", name, env[name])
		}
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if env[name] != "localhost,127.0.0.1,::1" {
			t.Errorf("%s = %q", name, env[name])
		}
	}
	if env["NODE_USE_ENV_PROXY"] != "1" {
		t.Errorf("NODE_USE_ENV_PROXY = %q", env["NODE_USE_ENV_PROXY"])
	}

	env, _ = blindChild(t, func(s *envSpec) { s.KeepProxy = true }, parent...)
	for _, entry := range parent {
		if name, value, _ := splitVar(entry); env[name] != value {
			t.Errorf("--no-force-proxy: %s = %q", name, env[name])
		}
	}
	if _, ok := env["HTTP_PROXY"]; ok || env["SSL_CERT_FILE"] != "/run/bundle.pem" {
		t.Error("--no-force-proxy leaves the proxy variables alone, and only those")
	}
}

func TestNoProxy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		bound []string
		want  string
	}{
		{"loopback", nil, "localhost,127.0.0.1,::1"},
		{"other hosts change nothing", []string{"api.example.com", "*.example.com", "10.0.0.1"}, "localhost,127.0.0.1,::1"},
		{"a bound address", []string{"127.0.0.1"}, "localhost,::1"},
		{"a bound name", []string{"LocalHost."}, "127.0.0.1,::1"},
		{"a name below", []string{"api.localhost"}, "127.0.0.1,::1"},
		{"a pattern below", []string{"*.localhost"}, "127.0.0.1,::1"},
		{"a bound IPv6 address", []string{"[0:0::1]"}, "localhost,127.0.0.1"},
		{"all of it", []string{"localhost", "127.0.0.1", "::1"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := noProxy(tt.bound); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			env, _ := blindChild(t, func(s *envSpec) { s.Blind.BoundHosts = tt.bound }, "NO_PROXY=evil.test", "no_proxy=evil.test")
			if _, there := env["NO_PROXY"]; env["NO_PROXY"] != tt.want || env["no_proxy"] != tt.want || there != (tt.want != "") {
				t.Errorf("NO_PROXY = %q", env["NO_PROXY"])
			}
		})
	}
}

func TestTrustVariables(t *testing.T) {
	t.Parallel()
	parent := []string{"NODE_EXTRA_CA_CERTS=mine", "SSL_CERT_FILE=mine", "SSL_CERT_DIR=mine", "npm_config_cafile=mine", "JAVA_TOOL_OPTIONS=-Xmx1g"}
	env, report := blindChild(t, nil, parent...)
	for _, name := range []string{"NODE_EXTRA_CA_CERTS", "DENO_CERT"} {
		if env[name] != "/run/ca.pem" {
			t.Errorf("%s = %q", name, env[name])
		}
	}
	for _, name := range []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT", "AWS_CA_BUNDLE",
		"CARGO_HTTP_CAINFO", "npm_config_cafile", "NIX_SSL_CERT_FILE", "CODEX_CA_CERTIFICATE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "HTTPLIB2_CA_CERTS"} {
		if env[name] != "/run/bundle.pem" {
			t.Errorf("%s = %q", name, env[name])
		}
	}
	if env["JAVA_TOOL_OPTIONS"] != "-Xmx1g" {
		t.Errorf("JAVA_TOOL_OPTIONS = %q without a truststore", env["JAVA_TOOL_OPTIONS"])
	}
	if len(report.Dropped) > 0 {
		t.Errorf("replaced variables are reported: %q", report.Dropped)
	}
}

func TestWhatBlindModeSetsWinsOverKeepEnv(t *testing.T) {
	t.Parallel()
	parent := []string{"SSL_CERT_FILE=mine", "HTTPS_PROXY=mine", "NO_PROXY=mine", "KZ_SESSION=mine", "API_KEY=mine", "AWS_CA_BUNDLE=mine"}
	env, _ := blindChild(t, func(s *envSpec) {
		s.Secrets = []envSecret{secret("API_KEY", "")}
		for _, e := range parent {
			name, _, _ := splitVar(e)
			s.Keep = append(s.Keep, name)
		}
	}, parent...)
	for name, value := range env {
		if value == "mine" {
			t.Errorf("%s is the parent's", name)
		}
	}
}

func TestGitKeepsWorkingWhenOneOfItsSettingsIsDropped(t *testing.T) {
	t.Parallel()
	parent := []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader"}
	env, report := blindChild(t, nil, append(parent, "GIT_CONFIG_VALUE_0=Authorization: Bearer 0123456789abcdefghij")...)
	for _, name := range []string{"GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"} {
		if _, ok := env[name]; ok {
			t.Errorf("%s is there", name)
		}
	}
	if !slices.Equal(report.Dropped, []string{"GIT_CONFIG_VALUE_0"}) {
		t.Errorf("dropped %q", report.Dropped)
	}
	if env, _ = blindChild(t, nil, append(parent, "GIT_CONFIG_VALUE_0=x")...); len(env["GIT_CONFIG_COUNT"]) == 0 {
		t.Error("harmless settings are gone")
	}
}

func TestCredentialShapes(t *testing.T) {
	t.Parallel()
	const digits = "0123456789abcdef" // whole keys would alarm secret scanners
	for value, want := range map[string]bool{
		"sk-ant-" + digits: true, "sk-proj-" + digits: true,
		"ghp_0123456789abcdefghij": true, "github_pat_0123456789abcdefghij": true, "gho_0123456789abcdefghij": true, "ghs_0123456789abcdefghij": true,
		"AKIAIOSFODNN7EXAMPLE": true, "ASIAIOSFODNN7EXAMPLE": true, "xoxb-012345678901": true, "xoxp-012345678901": true,
		"glpat-0123456789abcdefghij": true, "AIzaSyA0123456789abcdefghijklmnopqrstu": true, "npm_0123456789abcdefghijklmnopqrstuvwxyz": true,
		"dop_v1_0123456789abcdef": true, "sk_live_0123456789": true, "rk_live_0123456789": true,
		"-----BEGIN RSA PRIVATE KEY-----\nMII": true, "-----BEGIN PRIVATE KEY-----": true,
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig": true, `{"auth":"Bearer abcdef0123456789x"}`: true,
		"postgres://u:p@h/db": true, "https://u:p@h": true, "see https://a/ and https://u:p@h": true,
		"Server=x;Password=y": true, "AccountKey=abc": true,
		"path/to/key=sk-ant-" + digits: true,

		"task-0123456789abcdefghijkl": false, "sk-short": false, "-----BEGIN CERTIFICATE-----": false,
		"https://h:8443/x@y": false, "https://user@h/": false, "ssh://git@github.com:22/a:b": false, "/usr/bin:/bin": false,
		"eyJ": false, "eyJ.eyJ": false, "basic understanding": false, "": false, "AKIA": false, "xterm-256color": false,
	} {
		if got := credentialShape(value); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestTheReportSaysWhatIsOtherThanExpected(t *testing.T) {
	t.Parallel()
	_, report := blindChild(t, func(s *envSpec) { s.Secrets = []envSecret{secret("DATABASE_URL", exposePlain)} },
		"GITHUB_TOKEN=x", "NOTE="+canary, "npm_token=y", "AWS_PROFILE=p")
	var out bytes.Buffer
	report.tell(newUI(&out, false))
	want := `kz: dropped GITHUB_TOKEN, npm_token: like credentials, but not managed; to keep: --keep-env GITHUB_TOKEN,npm_token
kz: warning: removed the variable NOTE: it contains the value of secret "API_KEY"
kz: warning: the child sees the real value of secret "DATABASE_URL" (expose = "plain")
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if !slices.Equal(report.Credentials, []string{"AWS_PROFILE"}) {
		t.Errorf("credentials %q", report.Credentials)
	}
}

func TestSecretsThatFitNoEnvironment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		secret envSecret
		blind  *blindEnv
		want   string
	}{
		{"a NUL byte", envSecret{Name: "S", Reveal: func() string { return "a\x00b" }}, nil, `the value of secret "S" holds a NUL byte`},
		{"no mask", envSecret{Name: "S", Reveal: func() string { return canary }}, testBlind(), `secret "S" has no mask`},
		{"the name of a trust variable", secret("SSL_CERT_FILE", ""), testBlind(), `secret "SSL_CERT_FILE" has the name of a variable`},
		{"the name of a proxy variable", secret("https_proxy", ""), testBlind(), "has the name of a variable"},
		{"the name of the mark", secret("KZ_SESSION", exposeOmit), testBlind(), "has the name of a variable"},
		{"the name of what Node.js reads", secret("NODE_OPTIONS", ""), testBlind(), "has the name of a variable"},
		{"the name of what a JVM reads", secret("JAVA_TOOL_OPTIONS", ""), testBlind(), "has the name of a variable"},
		{"the name of what PHP reads", secret("PHP_INI_SCAN_DIR", ""), testBlind(), "has the name of a variable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env, _, err := childEnv(envSpec{Secrets: []envSecret{tt.secret}, Blind: tt.blind, Contains: holdsCanary})
			if err == nil || env != nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "a\x00b") {
				t.Errorf("got %q, %v", env, err)
			}
		})
	}
}

func TestEnvFile(t *testing.T) {
	t.Parallel()
	b := testBlind()
	b.CA = caFiles{CA: "/kz/ca.pem", Bundle: "/kz/bundle.pem"}
	file, leftOut, err := b.envFile([]envSecret{
		secret("API_KEY", ""), secret("DATABASE_URL", exposePlain), secret("GONE", exposeOmit),
		{Name: "SITE", Reveal: func() string { return `a "b" #c = d` }, Expose: exposePlain, Field: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(file), "\n"), "\n")
	env := asMap(t, lines)
	for name, want := range map[string]string{
		"API_KEY": maskOf, "SITE": `a "b" #c = d`, "HTTPS_PROXY": testProxy, "KZ_SESSION": "s1", "NO_PROXY": "localhost,127.0.0.1,::1",
		"NODE_EXTRA_CA_CERTS": "/kz/ca.pem", "SSL_CERT_FILE": "/kz/bundle.pem",
	} {
		if env[name] != want {
			t.Errorf("%s = %q, want %q", name, env[name], want)
		}
	}
	if strings.Contains(string(file), canary) || !slices.Equal(leftOut, []string{"DATABASE_URL"}) {
		t.Errorf("a real value belongs in no file; left out %q", leftOut)
	}
	if _, ok := env["GONE"]; ok {
		t.Error("an omitted secret is there")
	}
	for _, bad := range []string{"two\nlines", "cr\r", "not utf8 \xff"} {
		_, _, err := b.envFile([]envSecret{{Name: "SITE", Reveal: func() string { return bad }, Expose: exposePlain, Field: true}})
		if err == nil || strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
