package config

import (
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlTable is a table with its header.
func tomlTable(path []string, settings []Given, eol string) string {
	keys := make([]string, len(path))
	for i, k := range path {
		keys[i] = k
		if k == "" || strings.Trim(k, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			keys[i] = quoted(k)
		}
	}
	var b strings.Builder
	b.WriteString("[" + strings.Join(keys, ".") + "]" + eol)
	for _, s := range settings {
		b.WriteString(s.Key + " = " + s.literal(" = ") + eol)
	}
	return b.String()
}

// addTOML appends a table.
func addTOML(text []byte, _ *node, path []string, settings []Given) []byte {
	eol := newline(text)
	out := ended(text, eol)
	if len(out) > 0 && lastEmptyLine(out) == 0 {
		out = append(out, eol...)
	}
	return append(out, tomlTable(path, settings, eol)...)
}

// removeTOML takes the lines of a backend's table out, and those of the tables in it, with the comments between them.
func removeTOML(text []byte, _ *node, name string) []byte {
	var parts []span
	var header []string
	inside := false // does the expression before belong to the backend?
	p := unstable.Parser{}
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		var keys []string
		var lines span
		first := true
		for it := e.Key(); it.Next(); {
			k := it.Node()
			keys = append(keys, string(k.Data))
			if first {
				lines.from = lineFrom(text, int(k.Raw.Offset))
				first = false
			}
			lines.to = lineTo(text, int(k.Raw.Offset+k.Raw.Length))
		}
		if e.Kind == unstable.KeyValue {
			keys = slices.Concat(header, keys)
			lines.to = lineTo(text, int(e.Raw.Offset+e.Raw.Length))
		} else {
			header = keys
		}
		belongs := len(keys) > 1 && keys[0] == "backends" && keys[1] == name
		switch {
		case belongs && inside:
			parts[len(parts)-1].to = lines.to
		case belongs:
			parts = append(parts, lines)
		}
		inside = belongs
	}
	return cut(text, parts)
}
