package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExplainSaysWhereNothingGoes: a binding alone does not let a value go anywhere.
func TestExplainSaysWhereNothingGoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "kz.toml")
	if err := os.WriteFile(file, []byte(`[backends.own]
type = "env_file"
path = "secrets.env"
[secrets.KEY]
backend = "own"
hosts = ["api.test", "*.in.test", "*.half.test", "api.test:8443"]
[secrets.OMITTED]
backend = "own"
hosts = ["open.test"]
expose = "omit"
[egress]
deny = ["api.test", "*.in.test", "one.half.test"]
[production.secrets.OTHER]
backend = "own"
hosts = ["open.test"]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	explain := func(name string) (stdout, stderr string) {
		a, out, said := testApp("HOME=" + dir)
		a.ui.Error(execute(background(), newRootCmd(a), []string{"explain", "--config", file, name}))
		return out.String(), said.String()
	}
	for name, c := range map[string]struct{ secret, want string }{
		"which of its hosts are denied":          {"KEY", "           but not to api.test, *.in.test, which deny in [egress] refuses\n"},
		"that a secret without a mask goes none": {"OMITTED", "           but nothing is swapped: there is no mask of it\n"},
		"that another environment has others":    {"OTHER", "--env chooses others: production"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if stdout, stderr := explain(c.secret); !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("there is no %q in\n%s%s", c.want, stdout, stderr)
			}
		})
	}
}
