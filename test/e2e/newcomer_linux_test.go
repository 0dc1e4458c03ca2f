package e2e_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestWhatANewcomerIsToldFitsATerminal makes each wrong step on a terminal of 80 columns: lines of kz's own are broken
// between words, nothing that is to be copied is broken, and with NO_COLOR there is no escape code.
func TestWhatANewcomerIsToldFitsATerminal(t *testing.T) {
	t.Parallel()
	for _, m := range allMissteps() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			n := newNewcomer(t)
			if m.lay != nil {
				m.lay(n)
			}
			if m.typed == "" {
				m.typed = calls
			}
			env := n.environment("TERM=xterm", "NO_COLOR=1")
			_, text := typed(t, n.Path("project"), env, m.typed, nil)
			text = strings.ReplaceAll(text, "\r\n", "\n")
			if i := strings.LastIndex(text, "\r"); i >= 0 {
				text = text[i+1:] // what came before was a line of progress
			}
			if strings.Contains(regexp.MustCompile(`\x1b\[K`).ReplaceAllString(text, ""), "\x1b") {
				t.Errorf("an escape code in %q", text)
			}
			if !strings.Contains(text, "kz: error: ") {
				t.Errorf("it says\n%s", text)
			}
			for line := range strings.Lines(text) {
				line = strings.TrimRight(line, "\n")
				whole := regexp.MustCompile("`[^`]*`").ReplaceAllString(strings.TrimSpace(line), "x")
				if utf8.RuneCountInString(line) > 80 && strings.Contains(whole, " ") {
					t.Errorf("wider than 80 columns: %s", line)
				}
			}
		})
	}
}
