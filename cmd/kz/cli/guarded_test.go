package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// guardedCommands would give a blind child values, or change what it may reach, each with what it needs to get as far.
var guardedCommands = map[string]string{
	"kz run": "-- true", "kz proxy": "", "kz reload": "", "kz demo": "", "kz doctor": "", "kz trust": "", "kz status": "",
	"kz put": "KEY", "kz init": "", "kz add": "KEY", "kz backends add": "vault --type env", "kz backends rm": "vault", "kz backends check": "",
	"kz export": "", "kz ca install": "", "kz ca uninstall": "",
}

// openCommands only look, at what the child may see.
var openCommands = []string{"kz", "kz validate", "kz backends", "kz ca", "kz ca export", "kz ca status", "kz audit", "kz explain", "kz hook", "kz completion", "kz completion bash",
	"kz completion zsh", "kz completion fish", "kz version", "kz help", "kz demo-agent"}

func TestEveryCommandIsGuardedOrOpen(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		_, guarded := guardedCommands[c.CommandPath()]
		if open := slices.Contains(openCommands, c.CommandPath()); guarded == open {
			t.Errorf("%s: guarded %v, open %v", c.CommandPath(), guarded, open)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCmd(a))
	for path, args := range guardedCommands {
		for by, prepare := range map[string]func(a *app){
			"the mark": func(a *app) { a.environ = append(a.environ, "KZ_SESSION=s1") },
			"ancestry": func(a *app) { a.inSession = func() bool { return true } },
		} {
			a, stdout, stderr := testApp("HOME=" + t.TempDir())
			prepare(a)
			dir := t.TempDir() // where it does what it may, should it not be refused
			a.cwd = func() (string, error) { return dir, nil }
			err := execute(background(), newRootCmd(a), strings.Fields(strings.TrimPrefix(path, "kz ")+" "+args))
			a.ui.Error(err)
			if exitCode(err) != exitFailure || stdout.String() != "" || !strings.Contains(stderr.String(), "kz: error: `"+path+"` is refused inside a blind session\nkz: hint: ") {
				t.Errorf("%s, by %s: %v, it says %s", path, by, err, stderr)
			}
		}
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Runnable() && !c.HasSubCommands() && !c.Hidden && c.Example == "" && !strings.HasPrefix(c.CommandPath(), "kz completion") &&
			!slices.Contains([]string{"kz version", "kz help"}, c.CommandPath()) {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCmd(a))
}

func TestCompletionKnowsNames(t *testing.T) {
	t.Parallel()
	w := newAWSWorld(t, putConfig)
	for line, want := range map[string]string{
		"export --only ":                        "KEY\tin aws\n",
		"run --only KEY,":                       "KEY,PART\tin aws\n",
		"explain ":                              "PART\tin aws\n",
		"put ":                                  "KEY\tin aws\nPART\tin aws\nPINNED\tin aws\n",
		"backends rm ":                          "aws\taws_secrets_manager\n",
		"backends check ":                       "aws\taws_secrets_manager\n",
		"backends add x --type env_":            "env_file\tkeys of a dotenv file\n",
		"backends add x --type env_file --set ": "path=\trelative to the file that says it\n",
		"status --me":                           "--metrics\tprint the counters",
		"proxy --me":                            "--metrics\tserve counters",
	} {
		a, stdout, _ := testApp(w.env...)
		args := strings.Split(line, " ")
		if slices.Contains([]string{"put", "explain", "backends", "export", "run"}, args[0]) && (args[0] != "backends" || args[1] != "add") {
			at := len(args) - 1
			if args[0] == "export" || args[0] == "run" {
				at = 1
			}
			args = slices.Insert(args, at, "--config", w.file)
		}
		err := execute(background(), newRootCmd(a), append([]string{"__complete"}, args...))
		if err != nil || !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is completed with %q, %v", line, stdout, err)
		}
	}
}
