package envfile

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SyntaxError says on which line of a dotenv file something is wrong. It holds
// nothing of the line.
type SyntaxError struct {
	Line    int // from 1
	Problem string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Problem) }

// Parse reads the text of a dotenv file. Of a key that stands twice the last
// value counts. No variable is expanded: $ stands for itself. Line ends may be
// LF or CRLF, and are LF in a value of several lines; a byte order mark is
// skipped. The error is a *SyntaxError.
func Parse(text []byte) (map[string]string, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	p := &parser{rest: strings.ReplaceAll(string(text), "\r\n", "\n"), line: 1}
	values := map[string]string{}
	for p.rest != "" {
		key, value, ok, err := p.entry()
		if err != nil {
			return nil, err
		}
		if ok {
			values[key] = value
		}
	}
	return values, nil
}

func sortedKeys(values map[string]string) []string { return slices.Sorted(maps.Keys(values)) }

type parser struct {
	rest string
	line int
}

func (p *parser) errorf(line int, format string, args ...any) error {
	return &SyntaxError{line, fmt.Sprintf(format, args...)}
}

// take removes n bytes, counting lines.
func (p *parser) take(n int) string {
	s := p.rest[:n]
	p.line += strings.Count(s, "\n")
	p.rest = p.rest[n:]
	return s
}

// lineEnd is how far the current line goes, without its end.
func (p *parser) lineEnd() int {
	if i := strings.IndexByte(p.rest, '\n'); i >= 0 {
		return i
	}
	return len(p.rest)
}

// skipLine removes the rest of the current line and its end.
func (p *parser) skipLine() { p.take(min(p.lineEnd()+1, len(p.rest))) }

func (p *parser) skipBlanks() { p.take(len(p.rest) - len(strings.TrimLeft(p.rest, " \t\v\f\r"))) }

// entry reads one line, or several where a quoted value has them. ok is unset
// for a blank line and a comment.
func (p *parser) entry() (key, value string, ok bool, err error) {
	p.skipBlanks()
	if p.rest == "" || p.rest[0] == '\n' || p.rest[0] == '#' {
		p.skipLine()
		return "", "", false, nil
	}
	key = p.key()
	if key == "export" && (strings.HasPrefix(p.rest, " ") || strings.HasPrefix(p.rest, "\t")) {
		p.skipBlanks()
		if k := p.key(); k != "" { // else a key whose name is export
			key = k
		}
	}
	if key == "" {
		return "", "", false, p.errorf(p.line, "a name of letters, digits and _ is expected")
	}
	p.skipBlanks()
	if !strings.HasPrefix(p.rest, "=") {
		return "", "", false, p.errorf(p.line, "= is expected after the name")
	}
	p.take(1)
	tight := len(p.rest)
	p.skipBlanks()
	line := p.line
	switch {
	case strings.HasPrefix(p.rest, "#") && len(p.rest) < tight:
		p.skipLine() // no value, and a comment
	case strings.HasPrefix(p.rest, "'"):
		value, err = p.quoted('\'')
	case strings.HasPrefix(p.rest, `"`):
		value, err = p.quoted('"')
	default:
		value = p.unquoted()
	}
	if err == nil && strings.IndexByte(value, 0) >= 0 {
		err = p.errorf(line, "the value has a NUL byte")
	}
	return key, value, err == nil, err
}

func (p *parser) key() string {
	n := 0
	for n < len(p.rest) {
		c := p.rest[n]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (n == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			break
		}
		n++
	}
	return p.take(n)
}

// unquoted reads to the line's end, or to a # after a blank.
func (p *parser) unquoted() string {
	v := p.rest[:p.lineEnd()]
	for i := 0; i < len(v); i++ {
		if v[i] == '#' && i > 0 && (v[i-1] == ' ' || v[i-1] == '\t') {
			v = v[:i]
			break
		}
	}
	p.skipLine()
	return strings.TrimSpace(v)
}

// quoted reads a value in quotes, and the rest of the line after it.
func (p *parser) quoted(quote byte) (string, error) {
	line := p.line
	p.take(1)
	var b strings.Builder
	for i := 0; i < len(p.rest); i++ {
		c := p.rest[i]
		switch {
		case c == quote:
			p.take(i + 1)
			return b.String(), p.afterQuote()
		case c == '\\' && quote == '"' && i+1 < len(p.rest):
			i++
			b.WriteString(escape(p.rest[i]))
		default:
			b.WriteByte(c)
		}
	}
	return "", p.errorf(line, "the quote that begins on this line has no end")
}

// escape is what \c stands for in double quotes; what is no escape stays as it is.
func escape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '"', '\\', '$':
		return string(rune(c))
	}
	return `\` + string([]byte{c})
}

func (p *parser) afterQuote() error {
	p.skipBlanks()
	if p.rest != "" && p.rest[0] != '\n' && p.rest[0] != '#' {
		return p.errorf(p.line, "there is text after the closing quote")
	}
	p.skipLine()
	return nil
}
