package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlOrigin says how a table came to be, which decides how it may be added to (TOML v1.0, "Table" and "Inline Table").
type tomlOrigin uint8

const (
	implicitTable tomlOrigin = iota // on the way to a deeper header
	headerTable                     // by its own header
	dottedTable                     // by dotted keys
	closedTable                     // inline
)

type tomlReader struct {
	parser  unstable.Parser
	file    string
	data    []byte
	lines   []int                              // offset of each line's first byte
	last    struct{ offset, line, column int } // what at counted last, as lines may be long
	origins map[*node]tomlOrigin
	grown   map[*node]bool // lists made by [[headers]]
	nodes   int
}

// parseTOML reads a whole document. The problem, if there is one, quotes nothing of the document but keys.
func parseTOML(file string, data []byte) (*node, *Problem) {
	r := &tomlReader{file: file, data: data, origins: make(map[*node]tomlOrigin), grown: make(map[*node]bool)}
	r.lines, r.last.column = append(r.lines, 0), 1
	for i, c := range data {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	root := newTable(r.at(0))
	r.origins[root] = headerTable
	current := root
	r.parser.Reset(data)
	for r.parser.NextExpression() {
		var p *Problem
		switch e := r.parser.Expression(); e.Kind {
		case unstable.KeyValue:
			p = r.keyValue(current, e, 1)
		case unstable.Table:
			current, p = r.header(root, e, false)
		case unstable.ArrayTable:
			current, p = r.header(root, e, true)
		}
		if p != nil {
			return nil, p
		}
	}
	if err := r.parser.Error(); err != nil {
		return nil, r.syntax(err)
	}
	return root, nil
}

// header opens the table of a [header] or the next element of a [[header]].
func (r *tomlReader) header(root *node, e *unstable.Node, list bool) (*node, *Problem) {
	keys := r.keys(e)
	if len(keys) > maxDepth {
		return nil, r.problem(keys[0].pos, "the key has too many parts")
	}
	t := root
	for i, k := range keys {
		last := i == len(keys)-1
		f := t.field(k.text)
		if f == nil {
			n := newTable(k.pos)
			if last && list {
				items := &node{kind: listKind, pos: k.pos}
				r.grown[items] = true
				items.items = append(items.items, n)
				t.set(k.text, k.pos, items)
			} else {
				t.set(k.text, k.pos, n)
			}
			if last {
				r.origins[n] = headerTable
			}
			if r.nodes++; r.nodes > maxNodes {
				return nil, r.problem(k.pos, "the file holds too many values")
			}
			t = n
			continue
		}
		v := f.value
		switch {
		case v.kind == listKind && r.grown[v] && last && list:
			t = newTable(k.pos)
			r.origins[t] = headerTable
			if r.nodes++; r.nodes > maxNodes {
				return nil, r.problem(k.pos, "the file holds too many values")
			}
			v.items = append(v.items, t)
		case v.kind == listKind && r.grown[v] && !last:
			t = v.items[len(v.items)-1]
		case v.kind == tableKind && !last && r.origins[v] != closedTable:
			t = v
		case v.kind == tableKind && last && !list && r.origins[v] == implicitTable:
			r.origins[v], v.pos, f.pos = headerTable, k.pos, k.pos
			t = v
		default:
			return nil, r.problem(k.pos, "the key %s is already defined", shown(k.text))
		}
	}
	return t, nil
}

// keyValue puts one, possibly dotted, key into t.
func (r *tomlReader) keyValue(t *node, e *unstable.Node, depth int) *Problem {
	keys := r.keys(e)
	if depth += len(keys); depth > maxDepth {
		return r.problem(keys[0].pos, "tables and lists are nested too deep")
	}
	last := keys[len(keys)-1]
	for _, k := range keys[:len(keys)-1] {
		v := t.get(k.text)
		if v == nil {
			v = newTable(k.pos)
			r.origins[v] = dottedTable
			t.set(k.text, k.pos, v)
		} else if v.kind != tableKind || r.origins[v] != dottedTable {
			return r.problem(k.pos, "the key %s is already defined", shown(k.text))
		}
		t = v
	}
	if t.has(last.text) {
		return r.problem(last.pos, "the key %s is already defined", shown(last.text))
	}
	v, p := r.value(e.Value(), last.pos, depth)
	if p != nil {
		return p
	}
	t.set(last.text, last.pos, v)
	return nil
}

// value turns one value into a node. Values whose place the parser does not give stand at the place of their key.
func (r *tomlReader) value(e *unstable.Node, at Pos, depth int) (*node, *Problem) {
	if r.nodes++; r.nodes > maxNodes {
		return nil, r.problem(at, "the file holds too many values")
	}
	if depth > maxDepth {
		return nil, r.problem(at, "tables and lists are nested too deep")
	}
	if e.Raw.Length > 0 {
		at = r.at(int(e.Raw.Offset))
	}
	n := &node{pos: at, kind: otherKind}
	switch e.Kind {
	case unstable.String:
		n.kind, n.text = textKind, string(e.Data)
	case unstable.Bool:
		n.kind, n.yes = boolKind, e.Data[0] == 't'
	case unstable.Integer:
		if i, err := strconv.ParseInt(strings.ReplaceAll(string(e.Data), "_", ""), 0, 64); err == nil {
			n.kind, n.number = intKind, i
		}
	case unstable.Array:
		n.kind = listKind
		for it := e.Children(); it.Next(); {
			item, p := r.value(it.Node(), at, depth+1)
			if p != nil {
				return nil, p
			}
			n.items = append(n.items, item)
		}
	case unstable.InlineTable:
		n = newTable(at)
		for it := e.Children(); it.Next(); {
			if p := r.keyValue(n, it.Node(), depth); p != nil {
				return nil, p
			}
		}
		r.close(n)
	}
	return n, nil
}

// close makes an inline table, with what its dotted keys made, one that nothing can be added to.
func (r *tomlReader) close(n *node) {
	r.origins[n] = closedTable
	for _, f := range n.fields {
		if f.value.kind == tableKind && r.origins[f.value] != closedTable {
			r.close(f.value)
		}
	}
}

type tomlKey struct {
	text string
	pos  Pos
}

func (r *tomlReader) keys(e *unstable.Node) []tomlKey {
	var ks []tomlKey
	for it := e.Key(); it.Next(); {
		k := it.Node()
		ks = append(ks, tomlKey{string(k.Data), r.at(int(k.Raw.Offset))})
	}
	return ks
}

// at is the place of an offset.
func (r *tomlReader) at(offset int) Pos {
	offset = min(max(offset, 0), len(r.data))
	line, found := slices.BinarySearch(r.lines, offset)
	if !found {
		line--
	}
	from, column := r.lines[line], 1
	if r.last.line == line && r.last.offset >= from && r.last.offset <= offset {
		from, column = r.last.offset, r.last.column
	}
	column += utf8.RuneCount(r.data[from:offset])
	r.last.offset, r.last.line, r.last.column = offset, line, column
	return Pos{r.file, line + 1, column}
}

func (r *tomlReader) problem(at Pos, format string, args ...any) *Problem {
	var ps problems
	ps.add(at, format, args...)
	return &ps.list[0]
}

// syntax is the parser's own error, with its place and without the character that it quotes.
func (r *tomlReader) syntax(err error) *Problem {
	at, msg := Pos{File: r.file}, "the file is not TOML"
	var pe *unstable.ParserError
	if errors.As(err, &pe) {
		at = r.at(len(r.data) - 1)
		if start := cap(r.data) - cap(pe.Highlight); pe.Highlight != nil && start >= 0 && start <= len(r.data) {
			at = r.at(start)
		}
		msg, _, _ = strings.Cut(pe.Message, "U+")
		for _, tail := range []string{": ", " but got ", " "} {
			msg = strings.TrimSuffix(msg, tail)
		}
	}
	p := r.problem(at, "reading TOML: %s", msg)
	if strings.HasSuffix(msg, "value") || strings.HasPrefix(msg, "unexpected character") || strings.HasPrefix(msg, "expected keyword") {
		p.Hint = `text needs quotes: key = "text"`
	}
	return p
}
