package config

import (
	"bytes"
	"slices"
	"strings"
)

func yamlBackend(name, typ string, settings []Given, indent, eol string) string {
	var b strings.Builder
	b.WriteString(indent + yamlKey(name) + ":" + eol + indent + "  type: " + typ + eol)
	for _, s := range settings {
		b.WriteString(indent + "  " + s.Key + ": " + s.literal(": ") + eol)
	}
	return b.String()
}

// yamlKey quotes what could be read as something else than text: a number, true.
func yamlKey(name string) string {
	if strings.Trim(name[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" ||
		slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(name)) {
		return quoted(name)
	}
	return name
}

// addYAML puts a backend behind the others, or begins the table of backends at the end of the file.
func addYAML(text []byte, root *node, name, typ string, settings []Given) []byte {
	eol := newline(text)
	out := ended(text, eol)
	f := root.field("backends")
	if f == nil {
		if len(out) > 0 && lastEmptyLine(out) == 0 {
			out = append(out, eol...)
		}
		return append(out, "backends:"+eol+yamlBackend(name, typ, settings, "  ", eol)...)
	}
	at, indent := lineOf(out, f.pos.Line).to, strings.Repeat(" ", f.pos.Column+1)
	if all := f.value.fields; len(all) > 0 {
		last := all[len(all)-1]
		at, indent = block(out, last.pos).to, strings.Repeat(" ", max(last.pos.Column-1, 0))
	}
	return slices.Concat(out[:at], []byte(yamlBackend(name, typ, settings, indent, eol)), out[at:])
}

// removeYAML takes the lines of a backend out.
func removeYAML(text []byte, root *node, name string) []byte {
	f := root.get("backends").field(name)
	if f == nil {
		return text
	}
	return cut(text, []span{block(text, f.pos)})
}

// block is the lines of a key and of all that is indented below it. What follows at the key's own depth, comments too, and
// empty lines at the end are not in it.
func block(text []byte, key Pos) span {
	lines := lineOf(text, key.Line)
	for at := lines.to; at < len(text); {
		next := lineTo(text, at)
		line := bytes.TrimRight(text[at:next], "\r\n")
		body := bytes.TrimLeft(line, " ")
		switch deeper := len(line)-len(body) >= key.Column; {
		case len(body) > 0 && deeper: // a comment too: it may be a line of a text
			lines.to = next
		case len(body) > 0 && body[0] != '#':
			return lines
		}
		at = next
	}
	return lines
}

// lineOf is a line by its number, which counts from 1.
func lineOf(text []byte, number int) span {
	at := 0
	for range number - 1 {
		at = lineTo(text, at)
	}
	return span{at, lineTo(text, at)}
}
