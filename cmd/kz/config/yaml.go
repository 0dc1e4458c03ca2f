package config

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxTokens bounds a YAML file: the parser's time grows with the square of the keys in one mapping (22,000 tokens of
// them take it 0.2 s, 300,000 half a minute).
const maxTokens = 20_000

// maxBlank bounds its empty lines: in a text of several lines the lexer's time grows with the square of them (2,000 take
// it 0.03 s, 32,000 ten seconds, and what maxFile lets in hours).
const maxBlank = 2_000

type yamlReader struct {
	file    string
	anchors map[string]*node
	nodes   int
}

// parseYAML reads one document. Aliases and merge keys work, within maxNodes; tags, directives, complex keys, duplicate
// keys and further documents are refused. The problem, if there is one, quotes nothing of the document but keys.
func parseYAML(file string, data []byte) (root *node, problem *Problem) {
	r := &yamlReader{file: file, anchors: make(map[string]*node)}
	// The parser's input may be hostile and its code is not ours: a fault of it must be a refusal, not a crash.
	defer func() {
		if recover() != nil {
			root, problem = nil, &Problem{Pos: Pos{File: file}, Message: "reading YAML: the file cannot be parsed"}
		}
	}()
	if blankLines(data) > maxBlank {
		return nil, &Problem{Pos: Pos{File: file}, Message: "the file holds too many empty lines"}
	}
	tokens := lexer.Tokenize(string(data))
	if p := r.bounded(tokens); p != nil {
		return nil, p
	}
	f, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, r.syntax(err)
	}
	for _, doc := range f.Docs {
		if doc == nil || doc.Body == nil || doc.Body.Type() == ast.NullType {
			continue
		}
		if root != nil {
			return nil, r.problem(doc.Body, "a second document starts here, and only one is read")
		}
		n, p := r.value(doc.Body, 1)
		if p != nil {
			return nil, p
		}
		root = n
	}
	if root == nil {
		return newTable(Pos{file, 1, 1}), nil
	}
	if root.kind != tableKind {
		return nil, &Problem{Pos: root.pos, Message: "the file must hold a table of keys and values"}
	}
	return root, nil
}

// blankLines counts the lines with nothing but blanks. To the lexer CR, LF and both together end one.
func blankLines(data []byte) (n int) {
	blank := false
	for i, c := range data {
		switch {
		case c == '\n' && i > 0 && data[i-1] == '\r':
		case c == '\n', c == '\r':
			if blank {
				n++
			}
			blank = true
		case c != ' ' && c != '\t':
			blank = false
		}
	}
	return n
}

// bounded refuses, before the recursive parser sees it, what would cost it too much.
func (r *yamlReader) bounded(tokens token.Tokens) *Problem {
	if len(tokens) > maxTokens {
		return &Problem{Pos: Pos{File: r.file}, Message: "the file holds too many values"}
	}
	flow, line, inLine := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			if t.Position.Line != line {
				line, inLine = t.Position.Line, 0
			}
			inLine++
		}
		if flow > maxDepth || inLine > maxDepth {
			return &Problem{Pos: r.at(t), Message: "tables and lists are nested too deep"}
		}
	}
	return nil
}

// value turns one value into a node, and counts it.
func (r *yamlReader) value(n ast.Node, depth int) (*node, *Problem) {
	if r.nodes++; r.nodes > maxNodes {
		return nil, r.problem(n, "the file holds too many values")
	}
	if depth > maxDepth {
		return nil, r.problem(n, "tables and lists are nested too deep")
	}
	before := r.nodes
	v, p := r.convert(n, depth)
	if p == nil && v.size == 0 {
		v.size = r.nodes - before + 1
	}
	return v, p
}

func (r *yamlReader) convert(n ast.Node, depth int) (*node, *Problem) {
	out := &node{pos: r.start(n), kind: otherKind}
	switch n := n.(type) {
	case *ast.MappingNode:
		return r.table(out.pos, n.Values, depth)
	case *ast.MappingValueNode:
		return r.table(out.pos, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out.kind = listKind
		for _, item := range n.Values {
			v, p := r.value(item, depth+1)
			if p != nil {
				return nil, p
			}
			out.items = append(out.items, v)
		}
	case *ast.StringNode:
		out.kind, out.text = textKind, n.Value
	case *ast.LiteralNode:
		out.kind = textKind
		if n.Value != nil {
			out.text = n.Value.Value
		}
	case *ast.BoolNode:
		out.kind, out.yes = boolKind, n.Value
	case *ast.NullNode:
		out.kind = nullKind
	case *ast.IntegerNode:
		switch i := n.Value.(type) {
		case int64:
			out.kind, out.number = intKind, i
		case uint64:
			if i < 1<<63 {
				out.kind, out.number = intKind, int64(i)
			}
		}
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
	case *ast.AnchorNode:
		if n.Name == nil || n.Value == nil {
			return nil, r.problem(n, "the anchor stands for nothing")
		}
		v, p := r.value(n.Value, depth)
		if p == nil {
			r.anchors[n.Name.GetToken().Value] = v
		}
		return v, p
	case *ast.AliasNode:
		return r.alias(n)
	default:
		return nil, r.problem(n, "this kind of value (%s) has no place here", strings.ToLower(n.Type().String()))
	}
	return out, nil
}

// alias is the value of an anchor that stands before it. Nothing is copied, but everything is counted.
func (r *yamlReader) alias(n *ast.AliasNode) (*node, *Problem) {
	if n.Value == nil {
		return nil, r.problem(n, "the alias names nothing")
	}
	v := r.anchors[n.Value.GetToken().Value]
	if v == nil {
		return nil, r.problem(n, "the alias names no anchor before it")
	}
	if r.nodes += v.size; r.nodes > maxNodes {
		return nil, r.problem(n, "the aliases stand for too many values")
	}
	return v, nil
}

func (r *yamlReader) table(pos Pos, values []*ast.MappingValueNode, depth int) (*node, *Problem) {
	t := newTable(pos)
	t.size = 0
	var merged []*node
	for _, kv := range values {
		if kv.Value == nil {
			return nil, r.problem(kv, "the key has no value")
		}
		v, p := r.value(kv.Value, depth+1)
		if p != nil {
			return nil, p
		}
		if kv.Key.IsMergeKey() {
			from := []*node{v}
			if v.kind == listKind {
				from = v.items
			}
			for _, m := range from {
				if m.kind != tableKind {
					return nil, r.problem(kv.Key, "a merge key takes tables")
				}
			}
			merged = append(merged, from...)
			continue
		}
		k, ok := kv.Key.(*ast.StringNode)
		if !ok {
			return nil, r.problem(kv.Key, "a key must be text")
		}
		if t.has(k.Value) { // the parser has refused those that it sees
			return nil, r.problem(k, "the key %s is already defined", shown(k.Value))
		}
		t.set(k.Value, r.at(k.Token), v)
	}
	for _, m := range merged {
		for _, f := range m.fields {
			if !t.has(f.key) {
				t.set(f.key, f.pos, f.value)
			}
		}
	}
	return t, nil
}

// start is the place of a value's first character. The token of a mapping in block style is its first colon.
func (r *yamlReader) start(n ast.Node) Pos {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return r.start(n.Values[0])
		}
	case *ast.MappingValueNode:
		return r.at(n.Key.GetToken())
	}
	return r.at(n.GetToken())
}

func (r *yamlReader) at(t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return Pos{File: r.file}
	}
	return Pos{r.file, t.Position.Line, t.Position.Column}
}

func (r *yamlReader) problem(n ast.Node, format string, args ...any) *Problem {
	var ps problems
	ps.add(r.start(n), format, args...)
	return &ps.list[0]
}

// syntax is the parser's own error, with its place. Only texts known to quote nothing of the file are passed on.
func (r *yamlReader) syntax(err error) *Problem {
	at, msg := Pos{File: r.file}, "this is not valid here"
	var se interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if errors.As(err, &se) {
		at = r.at(se.GetToken())
		switch m := se.GetMessage(); {
		case strings.HasPrefix(m, "mapping key "):
			msg = "the key is already defined"
		case yamlMessages[m]:
			msg = m
		}
	}
	return &Problem{Pos: at, Message: "reading YAML: " + msg}
}

var yamlMessages = map[string]bool{
	"',' or ']' must be specified":                                       true,
	"',' or '}' must be specified":                                       true,
	"block sequence entries are not allowed in this context":             true,
	"could not find '[' character corresponding to ']'":                  true,
	"could not find '{' character corresponding to '}'":                  true,
	"could not find flow mapping end token '}'":                          true,
	"could not find value for mapping key":                               true,
	"expected map key-value delimiter ':'":                               true,
	"found an invalid key for this map":                                  true,
	"mapping value is not allowed in this context":                       true,
	"non-map value is specified":                                         true,
	"sequence end token ']' not found":                                   true,
	"unexpected key name":                                                true,
	"value is not allowed in this context":                               true,
	"value is not allowed in this context. map key-value is pre-defined": true,
}
