package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kz/cmd/kz/config"
)

func TestErrorVoice(t *testing.T) {
	t.Parallel()
	a := withHint(errors.New("a is wrong"), "mend a")
	b := withHint(errors.New("b is wrong"), "mend b")
	plain := errors.New("c is wrong")
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"nothing is said without an error", nil, ""},
		{"nothing is said of a child's exit code", fmt.Errorf("running: %w", exitStatus(3)), ""},
		{"a lone error", plain, "kz: error: c is wrong\n"},
		{"an error with a hint", a, "kz: error: a is wrong\nkz: hint: mend a\n"},
		{"a wrapped error keeps its hint", fmt.Errorf("reading: %w", a), "kz: error: reading: a is wrong\nkz: hint: mend a\n"},
		{"joined errors each with their hint", errors.Join(a, plain, b),
			"kz: error: a is wrong\nkz: hint: mend a\nkz: error: c is wrong\nkz: error: b is wrong\nkz: hint: mend b\n"},
		{"a message before joined errors stands before each", fmt.Errorf("reading: %w", errors.Join(a, plain)),
			"kz: error: reading: a is wrong\nkz: hint: mend a\nkz: error: reading: c is wrong\n"},
		{"joined errors inside joined errors", errors.Join(errors.Join(a, b), plain),
			"kz: error: a is wrong\nkz: hint: mend a\nkz: error: b is wrong\nkz: hint: mend b\nkz: error: c is wrong\n"},
		{"a hint for the whole is given once", withHint(errors.Join(plain, errors.New("d is wrong")), "mend all"),
			"kz: error: c is wrong\nkz: error: d is wrong\nkz: hint: mend all\n"},
		{"an error of two others is one error", fmt.Errorf("both %w and %w", plain, a), "kz: error: both c is wrong and a is wrong\nkz: hint: mend a\n"},
		{"one problem of a configuration with its hint", config.Problems{{Message: "no hosts", Hint: "write hosts"}}, "kz: error: no hosts\nkz: hint: write hosts\n"},
		{"several problems each with their hint", config.Problems{{Message: "no hosts", Hint: "write hosts"}, {Message: "e is wrong"}, {Message: "no path", Hint: "write path"}},
			"kz: error: no hosts\nkz: hint: write hosts\nkz: error: e is wrong\nkz: error: no path\nkz: hint: write path\n"},
		{"further lines are indented", errors.New("one\ntwo\n"), "kz: error: one\n           two\n"},
		{"control characters are shown, not obeyed", errors.New("name \x1b]0;x\a\r\u009b \xff ü"),
			`kz: error: name \x1b]0;x\x07\x0d\u009b \xff ü` + "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			newUI(&out, false).Error(tt.err)
			if out.String() != tt.want {
				t.Errorf("got\n%swant\n%s", out.String(), tt.want)
			}
		})
	}
}

func TestColours(t *testing.T) {
	t.Parallel()
	env := func(vars ...string) func(string) string {
		return func(name string) string { v, _ := lastValue(vars, name); return v }
	}
	if !colourful(env("TERM=xterm"), true) || colourful(env("TERM=xterm"), false) ||
		colourful(env("NO_COLOR=1"), true) || colourful(env("TERM=dumb"), true) {
		t.Error("colours belong to a terminal without NO_COLOR, and only there")
	}
	var out bytes.Buffer
	u := newUI(&out, true)
	u.Warnf("look")
	if out.String() != "kz: \x1b[1;33mwarning:\x1b[0m look\n" {
		t.Errorf("got %q", out.String())
	}
}

func TestEveryLineIsRedacted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	u := newUI(&out, false)
	u.Redact(func(s string) string { return strings.ReplaceAll(s, "hunter22", "kz_masked_") })
	u.Error(withHint(errors.New("bad hunter22"), "not hunter22"))
	u.Warnf("%s", "hunter22")
	u.Hintf("%s", "hunter22")
	u.Notef("%s", "hunter22")
	if strings.Contains(out.String(), "hunter22") {
		t.Errorf("got %s", out.String())
	}
}

func TestAPanicIsReportedByItsPlaceOnly(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	func() {
		u := newUI(&out, false)
		defer func() {
			if recover() != nil {
				u.panicked()
			}
		}()
		panic("hunter22")
	}()
	if s := out.String(); strings.Contains(s, "hunter22") || !strings.Contains(s, "kz: error: internal error in kz/cmd/kz/cli.") {
		t.Errorf("got %s", s)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"success", nil, 0},
		{"kz's own failure", errors.New("x"), 125},
		{"misuse", misuse("", "x"), 2},
		{"a hint does not change the code", withHint(misuse("", "x"), "y"), 2},
		{"a child's code", fmt.Errorf("running: %w", exitStatus(42)), 42},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestLinesAreBrokenForATerminalOnly(t *testing.T) {
	t.Parallel()
	const long = "the store is away: it does not answer, and has not for a while; `kz backends check --config a.toml` says more of it\nsecond"
	for width, want := range map[int]string{
		0: "kz: hint: " + strings.ReplaceAll(long, "\n", "\n          ") + "\n",
		60: "kz: hint: the store is away: it does not answer, and has not\n" +
			"          for a while; `kz backends check --config a.toml`\n" +
			"          says more of it\n          second\n",
		40: "kz: hint: the store is away: it does not\n          answer, and has not for a\n          while;\n" +
			"          `kz backends check --config a.toml`\n          says more of it\n          second\n",
	} {
		var out bytes.Buffer
		u := newUI(&out, false)
		u.width = width
		u.Hintf("%s", long)
		if out.String() != want {
			t.Errorf("at %d columns:\n%s", width, out.String())
		}
	}
}
