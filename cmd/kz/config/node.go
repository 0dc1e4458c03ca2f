package config

import "strings"

// node is one value of a file, from either format, with its place.
type node struct {
	kind   kind
	pos    Pos
	text   string // textKind
	number int64  // intKind
	yes    bool   // boolKind
	items  []*node
	fields []*field // tableKind, in the order of the file; keys are unique
	index  map[string]*field
	size   int // nodes in this value, those behind aliases counted each time
}

// field is one key of a table.
type field struct {
	key   string
	pos   Pos // of the key
	value *node
}

type kind uint8

const (
	nullKind kind = iota // a YAML key without a value
	textKind
	intKind
	boolKind
	otherKind // a float, a date: nothing here takes one
	listKind
	tableKind
)

// String is the kind in words for a message.
func (k kind) String() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a number or date", "a list", "a table"}[k]
}

// The bounds of a file. Real configurations stay far below each.
const (
	maxFile  = 1 << 20 // bytes
	maxDepth = 32      // levels of tables and lists
	maxNodes = 50_000  // values, those behind aliases counted each time
)

func newTable(pos Pos) *node {
	return &node{kind: tableKind, pos: pos, index: make(map[string]*field), size: 1}
}

// get is the value of key in a table; nil when it is not there or n is no table.
func (n *node) get(key string) *node {
	if f := n.field(key); f != nil {
		return f.value
	}
	return nil
}

func (n *node) field(key string) *field {
	if n == nil {
		return nil
	}
	return n.index[key]
}

func (n *node) has(key string) bool { return n.field(key) != nil }

// set puts key at its place, or at the end when it is new.
func (n *node) set(key string, pos Pos, v *node) {
	if f := n.index[key]; f != nil {
		f.pos, f.value = pos, v
		return
	}
	f := &field{key, pos, v}
	n.fields, n.index[key] = append(n.fields, f), f
}

// without is a copy of a table that lacks the given keys. The values are shared.
func (n *node) without(keys ...string) *node {
	c := newTable(n.pos)
next:
	for _, f := range n.fields {
		for _, k := range keys {
			if f.key == k {
				continue next
			}
		}
		c.set(f.key, f.pos, f.value)
	}
	return c
}

// overlay is base with over laid upon it: key by key, deep for tables; lists and plain values are replaced.
func overlay(base, over *node) *node {
	if base == nil || base.kind != tableKind || over.kind != tableKind {
		return over
	}
	c := base.without()
	for _, f := range over.fields {
		c.set(f.key, f.pos, overlay(base.get(f.key), f.value))
	}
	return c
}

// shown is a key as it may stand in a message: quoted, and left out when it is not what a key looks like.
func shown(key string) string {
	if key == "" || len(key) > 64 {
		return "(not shown)"
	}
	for i := 0; i < len(key); i++ {
		if strings.IndexByte(keyAlphabet, key[i]) < 0 {
			return "(not shown)"
		}
	}
	return `"` + key + `"`
}

const keyAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:*/"
