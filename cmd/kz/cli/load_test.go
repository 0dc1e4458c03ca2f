package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWithoutSecretsTheHintFitsWhatIsThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, hint string }{
		"no file":                   {"", "`kz init` writes a .keyzero.toml"},
		"an empty file":             {"# nothing yet\n", "`kz add` writes one into the file"},
		"only environment sections": {"[staging.secrets]\n[production.secrets.KEY]\nprovider = \"local\"\n", "--env NAME chooses one: production, staging"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _, stderr := testApp("HOME=/nonexistent")
			dir := t.TempDir()
			a.cwd = func() (string, error) { return dir, nil }
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(dir, ".keyzero.toml"), []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cfg, err := a.read("", "")
			if err != nil {
				t.Fatal(err)
			}
			a.ui.Error(noConfiguration(cfg))
			if got := stderr.String(); !strings.HasPrefix(got, "kz: error: no secrets are configured here\nkz: hint: ") || !strings.Contains(got, c.hint) {
				t.Errorf("it says %s", got)
			}
		})
	}
}
