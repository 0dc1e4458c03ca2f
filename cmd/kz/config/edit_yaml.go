package config

import (
	"bytes"
	"slices"
	"strings"
)

// yamlTable is a table below its keys.
func yamlTable(path []string, settings []Given, indent, eol string) string {
	var b strings.Builder
	for _, k := range path {
		b.WriteString(indent + yamlKey(k) + ":" + eol)
		indent += "  "
	}
	for _, s := range settings {
		value := s.literal(": ")
		if typ, ok := s.Value.(string); ok && s.Key == "type" { // a plain word
			value = typ
		}
		b.WriteString(indent + s.Key + ": " + value + eol)
	}
	return b.String()
}

// yamlKey quotes what could be read as something else than text: a number, true.
func yamlKey(name string) string {
	if name == "" || strings.Trim(name[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" ||
		slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(name)) {
		return quoted(name)
	}
	return name
}

// addYAML puts a table behind the others of its kind, or begins their table at the end of the file.
func addYAML(text []byte, root *node, path []string, settings []Given) []byte {
	eol := newline(text)
	out := ended(text, eol)
	var there *field // the deepest table of the path that is there
	at := root
	for len(path) > 1 && at.has(path[0]) {
		there = at.field(path[0])
		at, path = there.value, path[1:]
	}
	if there == nil {
		if len(out) > 0 && lastEmptyLine(out) == 0 {
			out = append(out, eol...)
		}
		return append(out, yamlTable(path, settings, "", eol)...)
	}
	to, indent := lineOf(out, there.pos.Line).to, strings.Repeat(" ", there.pos.Column+1)
	if all := there.value.fields; len(all) > 0 {
		last := all[len(all)-1]
		to, indent = block(out, last.pos).to, strings.Repeat(" ", max(last.pos.Column-1, 0))
	}
	return slices.Concat(out[:to], []byte(yamlTable(path, settings, indent, eol)), out[to:])
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
