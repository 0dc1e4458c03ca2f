package cli

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kz/cmd/kz/config"
	"kz/resolver"
)

// backendsOf is a configuration with one backend of each type, and secrets that an env backend keeps in the variables.
func backendsOf(types []string, variables ...string) *config.Config {
	cfg := &config.Config{Backends: map[string]config.Backend{}}
	for _, t := range types {
		cfg.Backends[t] = config.Backend{Name: t, Type: t}
	}
	for _, v := range variables {
		cfg.Secrets = append(cfg.Secrets, config.Secret{Name: "S_" + v, Backend: config.Env, Ref: resolver.Ref{ID: v}})
	}
	return cfg
}

func written(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o400); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAVariableMayComeFromAFile(t *testing.T) {
	t.Parallel()
	all := backendsOf([]string{config.HashicorpVault, config.OnePassword, config.Age, config.Env}, "APP_KEY")
	for name, c := range map[string]struct{ text, want string }{
		"without the line break at its end":      {"canary-value\n", "canary-value"},
		"without one of another system":          {"canary-value\r\n", "canary-value"},
		"with any more of them":                  {"canary-value\n\n", "canary-value\n"},
		"with those inside it":                   {"canary\nvalue", "canary\nvalue"},
		"as long as a secret may be":             {strings.Repeat("k", maxVariableFile) + "\n", strings.Repeat("k", maxVariableFile)},
		"with spaces, which are not kz's to cut": {" canary value ", " canary value "},
	} {
		for _, variable := range []string{"VAULT_TOKEN", "OP_CONNECT_TOKEN", "SOPS_AGE_KEY", "APP_KEY"} {
			a, _, stderr := testApp("KZ_" + variable + "_FILE=" + written(t, c.text))
			if err := a.openFileVariables(all, true); err != nil || stderr.String() != "" {
				t.Fatalf("%s: %v %s", variable, err, stderr)
			}
			if got, ok := a.lookupForStore(variable); got != c.want || !ok {
				t.Errorf("%s, %s: %.40q", variable, name, got)
			}
			if v, there := a.lookupEnv(variable); there {
				t.Errorf("%s stands in the environment of kz's children: %q", variable, v)
			}
			if v := os.Getenv(variable); v != "" {
				t.Errorf("%s stands in kz's own environment: %q", variable, v)
			}
		}
	}
}

func TestAVariableOfALibraryIsSetForIt(t *testing.T) {
	t.Parallel()
	// No other test has to do with this one; no library reads it.
	const name = "AWS_KZ_TEST_ONLY"
	variable := "KZ_" + name + "_FILE=" + written(t, "canary-value\n")
	a, _, _ := testApp(variable)
	if err := a.openFileVariables(backendsOf([]string{config.HashicorpVault}), true); err != nil || os.Getenv(name) != "" {
		t.Errorf("without a backend that needs it: %q, %v", os.Getenv(name), err)
	}
	if err := a.openFileVariables(backendsOf([]string{config.AWSSecretsManager}), true); err != nil || os.Getenv(name) != "canary-value" {
		t.Errorf("with one: %q, %v", os.Getenv(name), err)
	}
	_ = os.Unsetenv(name)
}

func TestWrongFilesOfVariables(t *testing.T) {
	t.Parallel()
	long, null, none := written(t, strings.Repeat("canary", maxVariableFile)), written(t, "canary\x00value"), filepath.Join(t.TempDir(), "none")
	closed := written(t, "canary")
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	vault := backendsOf([]string{config.HashicorpVault})
	cases := map[string]struct {
		environ []string
		want    string
	}{
		"that is not there": {[]string{"KZ_VAULT_TOKEN_FILE=" + none},
			"kz: error: reading the file that KZ_VAULT_TOKEN_FILE names: open " + none + ": no such file or directory\nkz: hint: check the path, and that the secret is mounted there\n"},
		"with a relative path": {[]string{"KZ_VAULT_TOKEN_FILE=token"},
			"kz: error: reading the file that KZ_VAULT_TOKEN_FILE names: the path is not absolute\nkz: hint: write the whole path, as in /run/secrets/vault_token\n"},
		"that is a directory": {[]string{"KZ_VAULT_TOKEN_FILE=" + filepath.Dir(none)},
			"kz: error: reading the file that KZ_VAULT_TOKEN_FILE names: it is not a regular file\nkz: hint: it should hold the value as text, and nothing else\n"},
		"that does not end": {[]string{"KZ_VAULT_TOKEN_FILE=/dev/zero"}, "it is not a regular file"},
		"that is empty": {[]string{"KZ_VAULT_TOKEN_FILE=" + written(t, "\n")},
			"kz: error: reading the file that KZ_VAULT_TOKEN_FILE names: it is empty\nkz: hint: check what is stored there\n"},
		"that is too long": {[]string{"KZ_VAULT_TOKEN_FILE=" + long}, "names: it is longer than 64 KiB\nkz: hint: it should hold"},
		"with a NUL byte":  {[]string{"KZ_VAULT_TOKEN_FILE=" + null}, "names: it holds a NUL byte\nkz: hint: it should hold"},
		"beside the variable itself": {[]string{"VAULT_TOKEN=canary", "KZ_VAULT_TOKEN_FILE=" + written(t, "canary")},
			"kz: error: VAULT_TOKEN and KZ_VAULT_TOKEN_FILE are both set\nkz: hint: leave one of them out\n"},
		"for a variable that names a file": {[]string{"KZ_GOOGLE_APPLICATION_CREDENTIALS_FILE=/run/secrets/sa.json"},
			"kz: error: KZ_GOOGLE_APPLICATION_CREDENTIALS_FILE is set, but GOOGLE_APPLICATION_CREDENTIALS names a file itself\nkz: hint: set GOOGLE_APPLICATION_CREDENTIALS to the path\n"},
		"for one that has KZ_ too many": {[]string{"KZ_AWS_WEB_IDENTITY_TOKEN_FILE=/run/secrets/jwt"},
			"AWS_WEB_IDENTITY_TOKEN_FILE names a file itself\nkz: hint: set AWS_WEB_IDENTITY_TOKEN_FILE to the path\n"},
		"several": {[]string{"KZ_VAULT_TOKEN_FILE=token", "KZ_AZURE_FEDERATED_TOKEN_FILE=/x"}, "AZURE_FEDERATED_TOKEN_FILE names a file itself"},
		"of a variable that nothing reads": {[]string{"KZ_VAULT_TOKN_FILE=" + none},
			"kz: warning: KZ_VAULT_TOKN_FILE is not used: no backend reads VAULT_TOKN\n"},
		"of a store that is not configured": {[]string{"KZ_OP_CONNECT_TOKEN_FILE=" + none}, ""},
		"that is not named":                 {[]string{"KZ_VAULT_TOKEN_FILE="}, ""},
		"beside an empty variable":          {[]string{"VAULT_TOKEN=", "KZ_VAULT_TOKEN_FILE=" + written(t, "canary")}, ""},
	}
	if os.Geteuid() != 0 && runtime.GOOS != "windows" {
		cases["that kz may not read"] = struct {
			environ []string
			want    string
		}{[]string{"KZ_VAULT_TOKEN_FILE=" + closed}, "permission denied\nkz: hint: let user "}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _, stderr := testApp(c.environ...)
			err := a.openFileVariables(vault, true)
			a.ui.Error(err)
			said := stderr.String()
			if (c.want == "") != (said == "") || !strings.Contains(said, c.want) || strings.Contains(strings.ReplaceAll(said, t.TempDir(), ""), "canary") {
				t.Errorf("it says %q", said)
			}
			if (err == nil) != (c.want == "" || strings.Contains(c.want, "warning")) {
				t.Errorf("err: %v", err)
			}
		})
	}
}

func TestAStoreReadsARotatedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "token") // as Kubernetes mounts secrets: a link, changed at once
	point := func(value string) {
		target := written(t, value)
		if err := os.Symlink(target, link+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".new", link); err != nil {
			t.Fatal(err)
		}
	}
	point("canary-one\n")
	a, _, _ := testApp("KZ_APP_KEY_FILE=" + link)
	cfg := backendsOf([]string{config.Env}, "APP_KEY")
	stores, err := a.stores(cfg, func() *resolver.Cache { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"canary-one", "canary-two"} {
		got, err := stores[config.Env].Resolve(context.Background(), resolver.Ref{ID: "APP_KEY"})
		if err != nil || got.Secret.Reveal() != want {
			t.Errorf("want %s: %v", want, err)
		}
		point("canary-two\n")
	}
}

func TestAProgramOfAStoreGetsOnlyItsOwnFiles(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp("PATH=/bin", "KZ_OP_CONNECT_TOKEN_FILE="+written(t, "canary-op\n"), "KZ_VAULT_TOKEN_FILE="+written(t, "canary-vault\n"))
	if err := a.openFileVariables(backendsOf([]string{config.OnePassword, config.HashicorpVault}), true); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(a.environForStore("OP_*"), " ")
	if !strings.Contains(got, " OP_CONNECT_TOKEN=canary-op") || strings.Contains(got, "canary-vault") || strings.Contains(strings.Join(a.environ, " "), "canary") {
		t.Errorf("op's environment is chosen from %s", got)
	}
}

func TestNoChildGetsTheFilesOfVariables(t *testing.T) {
	t.Parallel()
	parent := []string{"KZ_VAULT_TOKEN_FILE=/run/secrets/vault", "KZ_APP_KEY_FILE=/run/secrets/app", "OTHER_FILE=/x"}
	spec := envSpec{Parent: parent, Sources: []string{"APP_KEY"}, Contains: func(string) (string, bool) { return "", false }}
	plain, _, err := childEnv(spec)
	if err != nil || strings.Join(plain, " ") != "KZ_VAULT_TOKEN_FILE=/run/secrets/vault OTHER_FILE=/x" {
		t.Errorf("in plain mode: %s, %v", plain, err)
	}
	spec.Blind = &blindEnv{Session: "s", ProxyURL: "http://127.0.0.1:1"}
	blind, report, err := childEnv(spec)
	if text := strings.Join(blind, " "); err != nil || strings.Contains(text, "/run/secrets") || !strings.Contains(text, "OTHER_FILE=/x") || len(report.Credentials) != 2 {
		t.Errorf("blind: %s, %v", text, err)
	}
}
