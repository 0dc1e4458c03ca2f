package cli

import (
	_ "embed" // the hooks
	"strings"
)

// shell is how one family of shells spells what kz has it do. Every value is quoted whole.
type shell struct {
	set   func(name, value string) string                // and export
	load  func(name, value string, exported bool) string // set, and remember what was there before, and whether it was exported
	drop  func(name string) string                       // what was there before load; else nothing
	reads func(command string) string                    // has the shell evaluate what a command prints
	hook  string                                         // see hook.go; @KZ@ stands for this program, quoted
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

// The variables of the shell, never exported, in which the value waits that a variable had before: one that was exported, and
// one that was the shell's alone.
const (
	wasExported = "__kz_was_"
	wasOwn      = "__kz_own_"
)

func kept(exported bool) string {
	if exported {
		return wasExported
	}
	return wasOwn
}

func posixShell(hook string) shell {
	set := func(name, value string) string { return "export " + name + "=" + quotePOSIX(value) }
	return shell{
		set: set,
		load: func(name, value string, exported bool) string {
			return `if [ -n "${` + name + `+x}" ]; then ` + kept(exported) + name + `="$` + name + `"; fi; ` + set(name, value)
		},
		drop: func(name string) string {
			was, own := wasExported+name, wasOwn+name
			return `if [ -n "${` + was + `+x}" ]; then export ` + name + `="$` + was + `"; unset ` + was +
				`; elif [ -n "${` + own + `+x}" ]; then unset ` + name + `; ` + name + `="$` + own + `"; unset ` + own + `; else unset ` + name + `; fi`
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
		load: func(name, value string, exported bool) string {
			return `if set -q ` + name + `; set -g ` + kept(exported) + name + ` $` + name + `; end; ` + set(name, value)
		},
		drop: func(name string) string {
			was, own := wasExported+name, wasOwn+name
			return `if set -q ` + was + `; set -gx ` + name + ` $` + was + `; set -e ` + was +
				`; else if set -q ` + own + `; set -gu ` + name + ` $` + own + `; set -e ` + own + `; else; set -eg ` + name + `; end`
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
