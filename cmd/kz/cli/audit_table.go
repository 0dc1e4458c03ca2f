package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"kz/proxy/audit"
)

// auditTable is the audit as a person watches it: one row a request, never wider than the terminal, in the order of what
// is looked for first. What a row has no room for is in the file.
type auditTable struct {
	columns func() int // how wide the terminal is now
	colour  bool
	zone    *time.Location
	seen    map[string]bool // sessions that were announced
	sum     totals
}

// newAuditTable is nil where standard output is no terminal: what a program reads is not cut.
func (a *app) newAuditTable() *auditTable {
	if !a.isTerminal(a.stdout) {
		return nil
	}
	columns := func() int {
		if f, ok := a.stdout.(*os.File); ok {
			if width, _, err := term.GetSize(int(f.Fd())); err == nil && width >= 20 {
				return width
			}
		}
		return 80
	}
	return &auditTable{columns: columns, colour: a.ui.colour, zone: a.now().Location(), seen: map[string]bool{}}
}

// Widths of columns whose content has one, and the least of the others, which share what is left.
const (
	timeWidth   = len(time.TimeOnly)
	statusWidth = len("status")
	leastWidth  = 8
)

// rows are what to print of one line, the heading included where there was none, and a note where a session begins.
func (t *auditTable) rows(path string, l auditLine) string {
	var b strings.Builder
	if len(t.seen) == 0 {
		b.WriteString(t.row("TIME", "STATUS", "HOST", "REQUEST", "SECRETS", ""))
	}
	if !t.seen[l.Session] {
		t.seen[l.Session] = true
		fmt.Fprintf(&b, "%s\n", cut("session "+oneLine(l.Session)+", "+l.Time.In(t.zone).Format(time.DateOnly)+", "+oneLine(path), t.columns()))
	}
	t.sum.add(l.Event)
	colour := ""
	switch {
	case l.Kind == audit.Refusal:
		colour = red
	case len(l.Withheld) > 0 || l.Status >= 400:
		colour = yellow
	}
	b.WriteString(t.row(l.Time.In(t.zone).Format(time.TimeOnly), orNone(status(l.Status)), hostOf(l.Event), what(l.Event), happened(l.Event), colour))
	return b.String()
}

func (t *auditTable) row(at, status, host, request, secrets, colour string) string {
	left := t.columns() - timeWidth - statusWidth - 4*2
	hosts := max(leastWidth, min(left*3/10, 40))
	requests := max(leastWidth, min(left*3/10, 48))
	line := fmt.Sprintf("%-*s  %-*s  %-*s  %-*s  %s", timeWidth, at, statusWidth, status, hosts, cut(oneLine(host), hosts), requests, cut(oneLine(request), requests),
		cut(oneLine(secrets), max(leastWidth, left-hosts-requests)))
	line = strings.TrimRight(line, " ")
	if t.colour && colour != "" {
		line = colour + line + reset
	}
	return line + "\n"
}

// happened puts into words what was done with secrets, or why nothing was.
func happened(e audit.Event) string {
	var parts []string
	if s := swappedOf(e); s != "" {
		parts = append(parts, s)
	}
	if s := withheldOf(e); s != "" {
		parts = append(parts, "withheld "+s)
	}
	if s := codeOf(e); s != "" {
		parts = append(parts, s)
	}
	if e.Kind == audit.Tunnel {
		parts = append(parts, "not looked into")
	}
	return strings.Join(parts, "; ")
}

// cut makes text fit, and shows that it did.
func cut(text string, width int) string {
	r := []rune(text)
	if len(r) <= width {
		return text
	}
	return string(r[:width-1]) + "…"
}
