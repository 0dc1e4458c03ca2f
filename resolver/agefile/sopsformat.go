package agefile

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds the nesting of a file; sops files have two or three levels.
const maxDepth = 64

// maxKeys bounds one object: for each key the others are looked at.
const maxKeys = 5_000

// add puts a value under a new key: a key that stands twice makes a file that two readers understand differently.
func (b *branch) add(key string, value any) error {
	if len(b.items) == maxKeys {
		return tampered
	}
	for _, it := range b.items {
		if it.key == key {
			return tampered
		}
	}
	b.items = append(b.items, item{key, value})
	return nil
}

// parseEnv reads a dotenv file as sops writes it: no quotes, no blanks, \n for a line end. It is not the file that
// envfile reads.
func parseEnv(text []byte) (*branch, error) {
	tree := &branch{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, tampered
		}
		if err := tree.add(key, strings.ReplaceAll(value, `\n`, "\n")); err != nil {
			return nil, err
		}
	}
	return tree, nil
}

// parseJSON reads an object, keeping its order.
func parseJSON(text []byte) (*branch, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	value, err := jsonValue(dec, 0)
	if err != nil {
		return nil, err
	}
	tree, ok := value.(*branch)
	if !ok || dec.More() {
		return nil, tampered
	}
	return tree, nil
}

func jsonValue(dec *json.Decoder, depth int) (any, error) {
	t, err := dec.Token()
	if err != nil || depth > maxDepth {
		return nil, tampered
	}
	switch t := t.(type) {
	case json.Number:
		if i, err := t.Int64(); err == nil {
			return int(i), nil
		}
		f, err := t.Float64()
		if err != nil {
			return nil, tampered
		}
		return f, nil
	case json.Delim:
		if t == '[' {
			list := []any{}
			for dec.More() {
				v, err := jsonValue(dec, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			return list, end(dec)
		}
		b := &branch{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, tampered
			}
			v, err := jsonValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			if err := b.add(key.(string), v); err != nil {
				return nil, err
			}
		}
		return b, end(dec)
	}
	return t, nil // a string, a truth value or null
}

// end takes the closing bracket.
func end(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return tampered
	}
	return nil
}

// maxTokens bounds a YAML file: the parser's time grows with the square of the keys in one mapping.
const maxTokens = 20_000

// maxBlank bounds its empty lines: in a text of several lines the lexer's time grows with the square of them (2,000 take
// it 0.03 s, 32,000 ten seconds, and what maxSize lets in days).
const maxBlank = 2_000

// parseYAML reads one document of mappings, lists and scalars, which is all that sops writes: no anchors, no tags. A
// value that this parser takes for another type than sops does makes the MAC wrong, so that the file is refused.
func parseYAML(text []byte) (tree *branch, err error) {
	defer func() { // the parser is not ours, and the file may be anybody's
		if recover() != nil {
			tree, err = nil, tampered
		}
	}()
	if blankLines(text) > maxBlank {
		return nil, tampered
	}
	tokens := lexer.Tokenize(string(text))
	if len(tokens) > maxTokens || deep(tokens) {
		return nil, tampered
	}
	f, err := parser.Parse(tokens, 0)
	if err != nil || len(f.Docs) != 1 {
		return nil, tampered
	}
	value, err := yamlValue(f.Docs[0].Body, 0)
	if err != nil {
		return nil, err
	}
	tree, ok := value.(*branch)
	if !ok {
		return nil, notSops
	}
	return tree, nil
}

// blankLines counts the lines with nothing but blanks. To the lexer CR, LF and both together end one.
func blankLines(text []byte) (n int) {
	blank := false
	for i, c := range text {
		switch {
		case c == '\n' && i > 0 && text[i-1] == '\r':
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

// deep finds, before the recursive parser does, what is nested too deep.
func deep(tokens token.Tokens) bool {
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
			return true
		}
	}
	return false
}

func yamlValue(n ast.Node, depth int) (any, error) {
	if depth > maxDepth {
		return nil, tampered
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return yamlBranch(n.Values, depth)
	case *ast.MappingValueNode:
		return yamlBranch([]*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		list := []any{}
		for _, e := range n.Values {
			v, err := yamlValue(e, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case *ast.StringNode:
		if n.Token.Type == token.StringType {
			return plainScalar(n.Value), nil
		}
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.NullNode:
		return nil, nil
	case *ast.IntegerNode:
		switch i := n.Value.(type) {
		case int64:
			return int(i), nil
		case uint64:
			if i < 1<<63 {
				return int(i), nil
			}
		}
	case *ast.FloatNode:
		return n.Value, nil
	}
	return nil, tampered
}

func yamlBranch(values []*ast.MappingValueNode, depth int) (*branch, error) {
	b := &branch{}
	for _, kv := range values {
		key, ok := kv.Key.(*ast.StringNode)
		if !ok || kv.Value == nil {
			return nil, tampered
		}
		v, err := yamlValue(kv.Value, depth+1)
		if err != nil {
			return nil, err
		}
		if err := b.add(key.Value, v); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// plainScalar is a text without quotes, which sops takes for a time when it is one (parseTimestamp in go-yaml).
func plainScalar(s string) any {
	if len(s) < len("2006-1-2") || s[4] != '-' {
		return s
	}
	for _, layout := range []string{"2006-1-2T15:4:5.999999999Z07:00", "2006-1-2t15:4:5.999999999Z07:00", "2006-1-2 15:4:5.999999999", "2006-1-2"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return s
}
