package fields

import (
	"errors"
	"fmt"
	"strings"
)

// maxCredentialKey bounds, in bytes, the spelling of a name that can be one of
// a credential: 12 letters, and room for more '_' and '-' than anyone writes.
const maxCredentialKey = 256

// Selection says which values are of interest. The zero value selects nothing.
type Selection struct {
	// Names are exact, decoded names: members of the top-level JSON object,
	// form fields, multipart parts.
	Names []string
	// Pointers are JSON Pointers (RFC 6901), each with at least one token. A
	// canonical decimal token is an array index as well as a key. They select
	// nothing in forms.
	Pointers []string
	// Credential selects top-level members, form fields and multipart parts
	// for whose name [IsCredential] is true.
	Credential bool
}

// Selector is a compiled [Selection]. It never changes and is safe for
// concurrent use. A nil Selector selects nothing.
type Selector struct {
	nodes      []node // the pointers' and names' trie; 0 is the document
	credential bool
	longest    int // length of the longest key worth comparing
}

// A node is one place in a document that is selected or leads to one.
type node struct {
	parent   int32
	children map[string]int32
	field    Field // as JSON has it
	byName   bool  // a selected name; its parent is the document
	byPtr    bool  // a selected pointer
}

// NewSelector compiles s. The error joins one for each pointer that is not
// RFC 6901 or is that of the whole document.
func NewSelector(s Selection) (*Selector, error) {
	sel := &Selector{nodes: make([]node, 1), credential: s.Credential, longest: len(charsetField)}
	if s.Credential {
		sel.longest = maxCredentialKey
	}
	for _, name := range s.Names {
		sel.nodes[sel.add(0, name)].byName = true
	}
	var errs []error
	for _, p := range s.Pointers {
		tokens, err := parsePointer(p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		at := int32(0)
		for _, t := range tokens {
			at = sel.add(at, t)
		}
		sel.nodes[at].byPtr = true
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return sel, nil
}

// Empty reports whether s selects nothing.
func (s *Selector) Empty() bool {
	return s == nil || len(s.nodes) < 2 && !s.credential
}

// add returns the child key of parent, which it makes if need be.
func (s *Selector) add(parent int32, key string) int32 {
	if c, ok := s.nodes[parent].children[key]; ok {
		return c
	}
	c := int32(len(s.nodes))
	s.nodes = append(s.nodes, node{
		parent: parent,
		field: Field{
			Pointer: s.nodes[parent].field.Pointer + pointerToken(key),
			Name:    key,
			Top:     parent == 0,
		},
	})
	if s.nodes[parent].children == nil {
		s.nodes[parent].children = make(map[string]int32)
	}
	s.nodes[parent].children[key] = c
	s.longest = max(s.longest, len(key))
	return c
}

// child returns the node of key below parent, or -1.
func (s *Selector) child(parent int32, key []byte) int32 {
	if c, ok := s.nodes[parent].children[string(key)]; ok {
		return c
	}
	return -1
}

// parsePointer splits p into its decoded tokens.
func parsePointer(p string) ([]string, error) {
	if !strings.HasPrefix(p, "/") {
		return nil, fmt.Errorf("parsing JSON pointer %q: it does not begin with a slash", p)
	}
	tokens := strings.Split(p[1:], "/")
	for i, t := range tokens {
		// RFC 6901 section 4: first ~1, then ~0.
		for rest := t; ; {
			_, after, found := strings.Cut(rest, "~")
			if !found {
				break
			}
			if after == "" || after[0] != '0' && after[0] != '1' {
				return nil, fmt.Errorf("parsing JSON pointer %q: a tilde is not followed by 0 or 1", p)
			}
			rest = after
		}
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens, nil
}

// pointerToken returns key as a pointer has it, slash included.
func pointerToken(key string) string {
	return "/" + strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// IsCredential reports whether name, ASCII case, '_' and '-' aside, is one of
// accesskey accesstoken apikey apitoken authtoken clientsecret password
// privatekey refreshtoken secret secretkey token. A name of more than 256
// bytes is not.
func IsCredential(name string) bool { return isCredential([]byte(name)) }

func isCredential(name []byte) bool {
	var bare [12]byte // as long as the longest of the names below
	if len(name) > maxCredentialKey {
		return false
	}
	n := 0
	for _, c := range name {
		if c == '_' || c == '-' {
			continue
		}
		if n == len(bare) {
			return false
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		bare[n] = c
		n++
	}
	switch string(bare[:n]) {
	case "accesskey", "accesstoken", "apikey", "apitoken", "authtoken", "clientsecret",
		"password", "privatekey", "refreshtoken", "secret", "secretkey", "token":
		return true
	}
	return false
}
