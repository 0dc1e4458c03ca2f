//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kz/cmd/kz/config"
)

func settings(pairs ...any) map[string]config.Setting {
	all := map[string]config.Setting{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i].(string)] = config.Setting{Value: pairs[i+1]}
	}
	return all
}

func TestWhereTheLocalStoreIs(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for name, c := range map[string]struct {
		env  []string
		path string
		want string
	}{
		"by HOME":                              {[]string{"HOME=" + home}, "", home + "/.config/kz/local.age"},
		"by XDG":                               {[]string{"HOME=" + home, "XDG_CONFIG_HOME=/x"}, "", "/x/kz/local.age"},
		"a relative XDG directory is ignored":  {[]string{"HOME=" + home, "XDG_CONFIG_HOME=x"}, "", home + "/.config/kz/local.age"},
		"by its path":                          {nil, "/y/s.age", "/y/s.age"},
		"nowhere":                              {nil, "", ""},
		"a relative home is none, as XDG says": {[]string{"HOME=x"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, _ := testApp(c.env...)
			got, err := a.localPath(config.Backend{Settings: settings("path", c.path)})
			if got != c.want || (err != nil) != (c.want == "") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestVariablesThatACommandIsGivenAreNotTheChilds(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{Backends: map[string]config.Backend{
		"pass": {Type: config.Exec, Settings: settings("keep_env", []string{"GNUPGHOME", "DISPLAY", "XDG_RUNTIME_DIR", "LC_TIME", "TOOL_LOGIN"})},
		"more": {Type: config.Exec, Settings: settings("keep_env", []string{"TOOL_LOGIN", "PATH"})},
	}}
	if got := backendVariables(cfg); !slices.Equal(got, []string{"GNUPGHOME", "TOOL_LOGIN"}) {
		t.Errorf("%q", got)
	}
	if got := cfg.Backends["pass"].List("keep_env"); len(got) != 5 || got[0] != "GNUPGHOME" || got[4] != "TOOL_LOGIN" {
		t.Errorf("the configuration was changed: %q", got)
	}
}

func TestAVariableThatIsAStoreIsNotTheChilds(t *testing.T) {
	t.Parallel()
	spec := envSpec{
		Parent:  []string{"PATH=/bin", "SRC=value", "ONLY=x", "SAME=y", "KEPT=z"},
		Secrets: []envSecret{{Name: "KEY", Reveal: func() string { return "value" }}, {Name: "SAME", Reveal: func() string { return "y" }}},
		Keep:    []string{"KEPT"}, Sources: []string{"SRC", "ONLY", "SAME", "KEPT"},
	}
	env, _, err := childEnv(spec)
	if err != nil || !slices.Equal(env, []string{"PATH=/bin", "KEPT=z", "KEY=value", "SAME=y", "KZ_VALUES=KEY,SAME"}) {
		t.Errorf("%q, %v", env, err)
	}
}

func TestWhatOpensLocalStoresIsToldToBeExposed(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, name := range []string{".config/kz/local.age.key", ".config/sops/age/keys.txt", "mine.txt", "ring.age"} {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		b    config.Backend
		env  string
		want string
	}{
		"the key of the local store":            {config.Backend{Type: config.Local}, "", "~/.config/kz/local.age.key"},
		"the keychain that has its key":         {config.Backend{Type: config.Local, Settings: settings("path", home+"/ring.age")}, "", "the keychain (key of backend b)"},
		"the identities of sops":                {config.Backend{Type: config.Age}, "", "~/.config/sops/age/keys.txt"},
		"an identity file":                      {config.Backend{Type: config.Age, Settings: settings("identity_file", home+"/mine.txt")}, "SOPS_AGE_KEY=x", "~/mine.txt"},
		"none where the identity is a secret's": {config.Backend{Type: config.Age, Settings: map[string]config.Setting{"identity": {Secret: "A"}}}, "", ""},
		"none where it is in a variable":        {config.Backend{Type: config.Age}, "SOPS_AGE_KEY=x", ""},
		"a command":                             {config.Backend{Type: config.Exec, Settings: settings("command", "/usr/bin/pass")}, "", "what /usr/bin/pass prints (backend b)"},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, _ := testApp("HOME="+home, "XDG_STATE_HOME="+t.TempDir(), c.env)
			found := a.exposure(&config.Config{Backends: map[string]config.Backend{"b": c.b}})
			if c.want != "" && !slices.Contains(found, c.want) || c.want == "" && strings.Contains(strings.Join(found, " "), "~/") {
				t.Errorf("%q", found)
			}
		})
	}
}
