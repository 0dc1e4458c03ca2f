package cli

import (
	"context"
	"io/fs"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// withRoot is a command line of one command.
func withRoot(c *cobra.Command) *cobra.Command {
	return group(&cobra.Command{Use: "kz", SilenceErrors: true, SilenceUsage: true}, c)
}

// parseRun runs `kz run` up to the point where it would act.
func parseRun(t *testing.T, args ...string) (f runFlags, argv []string, code int, stderr string) {
	t.Helper()
	a, _, errs := testApp()
	root := withRoot(runCommand(a, func(_ context.Context, got runFlags, rest []string) error {
		f, argv = got, rest
		return nil
	}))
	root.SetOut(errs)
	root.SetErr(errs)
	err := execute(background(), root, append([]string{"run"}, args...))
	a.ui.Error(err)
	return f, argv, exitCode(err), errs.String()
}

func TestRunFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, line string
		want       runFlags
		argv       string
	}{
		{"everything after -- is the program's", "--blind -- claude --print -p hi", runFlags{Blind: true, LogLevel: slog.LevelWarn}, "claude --print -p hi"},
		{"the program's flags are not ours without -- either", "--quiet claude --blind --config x", runFlags{Quiet: true, LogLevel: slog.LevelWarn}, "claude --blind --config x"},
		{"a -- of the program's reaches it", "git log -- file", runFlags{LogLevel: slog.LevelWarn}, "git log -- file"},
		{"a second -- reaches it", "-- git log -- file", runFlags{LogLevel: slog.LevelWarn}, "git log -- file"},
		{"the program may be called run", "-- run run", runFlags{LogLevel: slog.LevelWarn}, "run run"},
		{"help of the program is the program's", "claude --help", runFlags{LogLevel: slog.LevelWarn}, "claude --help"},
		{"lists", "--only A,B --only C --keep-env X -- p", runFlags{Only: []string{"A", "B", "C"}, KeepEnv: []string{"X"}, LogLevel: slog.LevelWarn}, "p"},
		{"all the rest", "--blind --config c.toml --env production --clean-env --no-force-proxy --any-host --audit a.log --log-level debug p",
			runFlags{Blind: true, Config: "c.toml", Env: "production", CleanEnv: true, NoForceProxy: true, AnyHost: true, Audit: "a.log", LogLevel: slog.LevelDebug}, "p"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, argv, code, stderr := parseRun(t, strings.Fields(tt.line)...)
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			if !reflect.DeepEqual(f, tt.want) {
				t.Errorf("flags %+v, want %+v", f, tt.want)
			}
			if got := strings.Join(argv, " "); got != tt.argv {
				t.Errorf("command %q, want %q", got, tt.argv)
			}
		})
	}
}

func TestRunMisuse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, line, want string }{
		{"no command", "--blind", "kz: error: no command to run\nkz: hint: for example: kz run --blind -- claude\n"},
		{"nothing after --", "--blind --", "kz: error: no command to run\n"},
		{"an unknown flag", "--blnd -- p", "kz: error: unknown flag: --blnd\nkz: hint: did you mean --blind? see `kz run --help`\n"},
		{"a flag with one hyphen", "-blind -- p", "kz: hint: did you mean --blind? see `kz run --help`\n"},
		{"a flag like no other", "--sandbox -- p", "kz: error: unknown flag: --sandbox\nkz: hint: see `kz run --help`\n"},
		{"a level that is none", "--log-level loud -- p", "want debug, info, warn or error"},
		{"a flag of the proxy in plain mode", "--audit a.log -- p", "kz: error: --audit is about the proxy, which only --blind has\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, argv, code, stderr := parseRun(t, strings.Fields(tt.line)...)
			if code != exitMisuse || argv != nil {
				t.Errorf("exit code %d, command %q", code, argv)
			}
			if !strings.Contains(stderr, tt.want) {
				t.Errorf("stderr %q lacks %q", stderr, tt.want)
			}
		})
	}
}

func TestAnErrorOfTheCommandItselfIsNotMisuse(t *testing.T) {
	t.Parallel()
	root := withRoot(&cobra.Command{Use: "fall", RunE: func(*cobra.Command, []string) error { return context.DeadlineExceeded }})
	err := execute(background(), root, []string{"fall"})
	if got := exitCode(err); got != exitFailure {
		t.Errorf("exit code %d, want %d", got, exitFailure)
	}
}

func TestProxyFlags(t *testing.T) {
	t.Parallel()
	a, _, errs := testApp()
	var got proxyFlags
	root := withRoot(proxyCommand(func(_ context.Context, f proxyFlags) error { got = f; return nil }))
	err := execute(background(), root, strings.Fields("proxy --listen 0.0.0.0:8080 --advertise gw --authority installed"))
	want := proxyFlags{Listen: "0.0.0.0:8080", Advertise: "gw", Authority: "installed", LogLevel: slog.LevelInfo, EnvFileMode: 0o600}
	if err != nil || got != want {
		t.Errorf("flags %+v, error %v", got, err)
	}
	for mode, want := range map[string]fs.FileMode{"0600": 0o600, "640": 0o640} {
		if err := execute(background(), root, []string{"proxy", "--env-file-mode", mode}); err != nil || got.EnvFileMode != want {
			t.Errorf("mode %s: %v, %v", mode, got.EnvFileMode, err)
		}
	}
	for _, mode := range []string{"0644", "0660", "0604", "04640", "u=rw", "", "0x1a0"} {
		if err := execute(background(), root, []string{"proxy", "--env-file-mode", mode}); exitCode(err) != exitMisuse {
			t.Errorf("mode %q: %v, %v", mode, got.EnvFileMode, err)
		}
	}
	a.ui.Error(execute(background(), root, strings.Fields("proxy --authority borrowed")))
	if !strings.Contains(errs.String(), `unknown authority "borrowed"`) {
		t.Errorf("stderr %q", errs)
	}
}

func TestTheVersionIsAFlagToo(t *testing.T) {
	t.Parallel()
	var said [3]string
	for i, word := range []string{"version", "--version", "-v"} {
		a, stdout, stderr := testApp()
		if err := execute(background(), newRootCmd(a), []string{word}); err != nil || stderr.Len() > 0 {
			t.Errorf("kz %s: %v\n%s", word, err, stderr)
		}
		said[i] = stdout.String()
	}
	if !strings.HasPrefix(said[0], "kz ") || said[1] != said[0] || said[2] != said[0] {
		t.Errorf("%q", said)
	}
}

func TestOneNearCommandIsMeant(t *testing.T) {
	t.Parallel()
	a, _, stderr := testApp()
	a.ui.Error(execute(background(), newRootCmd(a), []string{"trus"})) // two slips from run, too
	if !strings.HasSuffix(stderr.String(), "kz: hint: did you mean `kz trust`?\n") {
		t.Error(stderr)
	}
}
