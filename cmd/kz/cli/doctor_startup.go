package cli

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"kz/masking"
)

// startupFiles are those of shells, and what shells remember, below the home directory.
var startupFiles = []string{".profile", ".bash_profile", ".bashrc", ".zshenv", ".zprofile", ".zshrc", ".config/fish/config.fish", ".bash_history", ".zsh_history"}

// assignment is a line that sets a variable, in sh or in fish. In the history of zsh the time is before it.
var assignment = regexp.MustCompile(`^\s*(?:: \d+:\d+;)?\s*(?:(?:export\s+)?(\w+)=|set\s+-[gUx]+\s+(\w+)\s+)(\S.*)`)

// startupCredentials are the credentials that the startup files of shells set, by name. What a command or another variable
// gives is none.
func (a *app) startupCredentials() []string {
	var found []string
	for _, name := range startupFiles {
		for line := range strings.Lines(readSome(filepath.Join(a.getenv("HOME"), name))) {
			m := assignment.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			variable, value := m[1]+m[2], strings.Trim(strings.TrimSpace(m[3]), `"'`)
			if value == "" || strings.ContainsAny(value[:1], "$`(") || strings.Contains(value, masking.Prefix) || !credentialName(variable) && !credentialShape(value) {
				continue
			}
			if !isSecretName(variable) { // it may be within a value of several lines
				variable = "a line"
			}
			if what := oneLine(variable + " in ~/" + name); !slices.Contains(found, what) {
				found = append(found, what)
			}
		}
	}
	return found
}
