package cli

import (
	_ "embed" // the hooks
	"strings"
)

// shell is how one family of shells spells what kz has it do. Every value is quoted whole.
type shell struct {
	set   func(name, value string) string // and export
	load  func(name, value string) string // set, and remember what was there before
	drop  func(name string) string        // what was there before load; else nothing
	reads func(command string) string     // has the shell evaluate what a command prints
	hook  string                          // see hook.go; @KZ@ stands for this program, quoted
	quote func(string) string
}

var (
	//go:embed hooks/hook.bash
	hookBash string
	//go:embed hooks/hook.zsh
	hookZsh string
	//go:embed hooks/hook.fish
	hookFish string
)

var shells = map[string]shell{"bash": posixShell(hookBash), "zsh": posixShell(hookZsh), "fish": fishShell(hookFish)}

// was is the variable of the shell, never exported, in which the value waits that a variable had before.
const was = "__kz_was_"

func posixShell(hook string) shell {
	set := func(name, value string) string { return "export " + name + "=" + quotePOSIX(value) }
	return shell{
		set: set,
		load: func(name, value string) string {
			return `if [ -n "${` + name + `+x}" ]; then ` + was + name + `="$` + name + `"; fi; ` + set(name, value)
		},
		drop: func(name string) string {
			return `if [ -n "${` + was + name + `+x}" ]; then export ` + name + `="$` + was + name + `"; unset ` + was + name + `; else unset ` + name + `; fi`
		},
		reads: func(command string) string { return `eval "$(` + command + `)"` },
		hook:  hook,
		quote: quotePOSIX,
	}
}

func fishShell(hook string) shell {
	set := func(name, value string) string { return "set -gx " + name + " " + quoteFish(value) }
	return shell{
		set: set,
		load: func(name, value string) string {
			return `if set -q ` + name + `; set -g ` + was + name + ` $` + name + `; end; ` + set(name, value)
		},
		drop: func(name string) string {
			return `if set -q ` + was + name + `; set -gx ` + name + ` $` + was + name + `; set -e ` + was + name + `; else; set -eg ` + name + `; end`
		},
		reads: func(command string) string { return command + " --shell fish | source" },
		hook:  hook,
		quote: quoteFish,
	}
}

// quotePOSIX: inside single quotes nothing is special but the quote itself (POSIX.1-2024, XCU 2.2.2).
func quotePOSIX(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// quoteFish: inside single quotes \' and \\ are the only escapes (fish's "Quotes").
func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
