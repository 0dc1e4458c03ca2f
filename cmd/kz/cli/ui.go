package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"kz/cmd/kz/config"
)

// ui speaks on standard error. Every line begins with "kz: ", so that it can be told from
// the child's own output. Safe for concurrent use.
type ui struct {
	mu     sync.Mutex
	w      io.Writer
	colour bool
	redact func(string) string
	live   bool   // a terminal that can take back what it shows
	width  int    // columns of the terminal; 0: lines are not broken, so that they can be searched
	shown  string // the line that Progress shows

	warned func(text string) // takes warnings in place of who reads; nil: they are said
}

func newUI(w io.Writer, colour bool) *ui {
	return &ui{w: w, colour: colour, redact: func(s string) string { return s }}
}

// colourful: only a terminal gets colours, and never one whose user asked for none
// (https://no-color.org).
func colourful(getenv func(string) string, terminal bool) bool {
	return terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// Redact passes every later line through f, once values are known that may not be printed.
func (u *ui) Redact(f func(string) string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.redact = f
}

// Error reports an error, and every error it joins, each with its hint. Nil and
// exitStatus are silent.
func (u *ui) Error(err error) {
	var silent exitStatus
	if err == nil || errors.As(err, &silent) {
		return
	}
	failures := flatten(err)
	for i, f := range failures {
		u.say(red, "error: ", f.text)
		last := i+1 == len(failures) || failures[i+1].hint != f.hint
		if f.hint != "" && last {
			u.say(cyan, "hint: ", f.hint)
		}
	}
}

// Warnf says what is less safe, or other, than one might think.
func (u *ui) Warnf(format string, args ...any) {
	u.mu.Lock()
	warned := u.warned
	u.mu.Unlock()
	if warned != nil {
		warned(fmt.Sprintf(format, args...))
		return
	}
	u.say(yellow, "warning: ", fmt.Sprintf(format, args...))
}

// TakeWarnings gives later warnings to f, which may be called at the same time by several, until it is given nil.
func (u *ui) TakeWarnings(f func(text string)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.warned = f
}

// Hintf says what to do about the line before.
func (u *ui) Hintf(format string, args ...any) { u.say(cyan, "hint: ", fmt.Sprintf(format, args...)) }

// Notef says anything else.
func (u *ui) Notef(format string, args ...any) { u.say("", "", fmt.Sprintf(format, args...)) }

const (
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
	cyan   = "\x1b[36m"
	reset  = "\x1b[0m"
)

func (u *ui) say(colour, label, text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	text = printable(u.redact(text))
	indent := "\n" + strings.Repeat(" ", len("kz: ")+len(label))
	text = strings.ReplaceAll(u.fitted(strings.TrimRight(text, "\n"), len(indent)-1), "\n", indent)
	u.wipe()
	if u.colour && label != "" {
		label = colour + strings.TrimSuffix(label, " ") + reset + " "
	}
	fmt.Fprintf(u.w, "kz: %s%s\n", label, text)
}

// fitted breaks long lines between words for a terminal, beside an indent. What stands between backquotes is to be copied
// and stays whole, as does an indented line.
func (u *ui) fitted(text string, indent int) string {
	width := u.width - indent
	if u.width == 0 || width < 20 {
		return text
	}
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if utf8.RuneCountInString(line) <= width || strings.HasPrefix(line, " ") {
			out = append(out, line)
			continue
		}
		out = append(out, broken(line, width)...)
	}
	return strings.Join(out, "\n")
}

// panicked reports a defect of kz by its place only: the value of a panic, and the
// arguments in a trace, may hold anything.
func (u *ui) panicked() {
	var where []string
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "kz/") && len(where) < 6 {
			where = append(where, fmt.Sprintf("%s:%d", f.Function, f.Line))
		}
		if !more {
			break
		}
	}
	u.say(red, "error: ", "internal error in "+strings.Join(where, ", "))
	u.say(cyan, "hint: ", "this is a defect of kz; please report the line above with `kz version`")
}

// failure is one error line with its hint.
type failure struct{ text, hint string }

// flatten takes joined errors apart, also where a message was put before the whole.
func flatten(err error) []failure {
	//nolint:errorlint // each layer is looked at by itself
	if problems, ok := err.(config.Problems); ok { // their hints are fields, and part of the text where they are several
		all := make([]failure, len(problems))
		for i, p := range problems {
			all[i] = failure{p.Error(), p.Hint}
		}
		return all
	}
	if multi, ok := err.(interface{ Unwrap() []error }); ok && isJoin(err, multi.Unwrap()) {
		var all []failure
		for _, e := range multi.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	own := failure{text: err.Error()}
	var h hinter
	if errors.As(err, &h) {
		own.hint = h.Hint()
	}
	inner := errors.Unwrap(err)
	if inner == nil {
		return []failure{own}
	}
	parts := flatten(inner)
	prefix, ok := strings.CutSuffix(own.text, inner.Error())
	if len(parts) < 2 || !ok {
		return []failure{own}
	}
	outer, _ := err.(hinter)
	for i := range parts {
		parts[i].text = prefix + parts[i].text
		if parts[i].hint == "" && outer != nil {
			parts[i].hint = outer.Hint()
		}
	}
	return parts
}

// isJoin tells errors.Join from fmt.Errorf with several %w, whose message is its own.
func isJoin(err error, parts []error) bool {
	texts := make([]string, len(parts))
	for i, e := range parts {
		texts[i] = e.Error()
	}
	return len(parts) > 0 && err.Error() == strings.Join(texts, "\n")
}

// printable makes control characters visible: a name from a file or a server's text
// must not move the cursor, recolour or retitle the terminal.
func printable(s string) string {
	clean := func(r rune) bool {
		return r == '\n' || r == '\t' || (r != utf8.RuneError && unicode.IsPrint(r))
	}
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case clean(r):
			b.WriteString(s[:n])
		case r == utf8.RuneError && n == 1, r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}
