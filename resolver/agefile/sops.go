package agefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"kz/resolver"
)

// branch is an object of a sops file, in the file's order, which the MAC depends on. A value is a *branch, a []any, a
// string, an int, a float64, a bool, a time.Time, a []byte or nil.
type branch struct{ items []item }

type item struct {
	key   string
	value any
}

func (b *branch) get(key string) any {
	for _, it := range b.items {
		if it.key == key {
			return it.value
		}
	}
	return nil
}

func (b *branch) text(key string) string {
	s, _ := b.get(key).(string)
	return s
}

// metadata is what sops says about a file, in the file.
type metadata struct {
	keys     []string // the data key as it is encrypted to each recipient of age, armored
	modified string   // RFC 3339; it is authenticated with the MAC
	mac      string
	macOnly  bool // the MAC is over encrypted values only
	// encrypted says of the keys on the way to a value whether it is encrypted.
	encrypted func(path []string) bool
}

// problem is why a file of sops cannot be read: words of our own.
type problem string

func (p problem) Error() string { return "agefile: " + string(p) }

const (
	notSops     problem = "is not encrypted by age or sops"
	noRecipient problem = "is encrypted by sops, and to no recipient of age"
	shamir      problem = "is encrypted to several key groups of sops, which kz does not put together"
	commented   problem = "says in comments what is encrypted, which kz does not read"
	tampered    problem = "was changed since sops encrypted it, or is damaged"
)

// readSops reads a file of sops.
func (s *Store) readSops(text []byte) (document, error) {
	tree, flatFile, err := parseTree(text)
	if err != nil {
		return nil, s.unreadable(err)
	}
	m, err := takeMetadata(tree, flatFile)
	if err != nil {
		return nil, s.unreadable(err)
	}
	ids, err := s.identities()
	if err != nil {
		return nil, err
	}
	key, err := dataKey(m.keys, ids)
	if err != nil {
		return nil, s.undecryptable(err)
	}
	if err := decryptTree(tree, m, key); err != nil {
		return nil, s.unreadable(err)
	}
	if flatFile {
		values := flat{}
		for _, it := range tree.items {
			values[it.key], _ = it.value.(string)
		}
		return values, nil
	}
	var out bytes.Buffer
	if err := writeJSON(&out, tree); err != nil {
		return nil, s.unreadable(tampered)
	}
	return nested(out.String()), nil
}

// unreadable is the error for a file of sops.
func (s *Store) unreadable(err error) error {
	e := &resolver.Error{Kind: resolver.InvalidReference, Advice: "let sops read it: a backend of type exec, whose command is the path of sops and whose args are decrypt and the file"}
	p := notSops
	errors.As(err, &p)
	e.Message = s.opt.Path + " " + string(p)
	switch p {
	case notSops:
		e.Advice = "encrypt it: sops encrypt --age age1… --in-place, or age -e; a plain dotenv file is of type env_file"
	case noRecipient:
		e.Advice = "add a recipient: sops rotate --add-age age1… --in-place"
	case tampered:
		e.Kind, e.Advice = resolver.DecryptionFailed, "get it from where it was last right; `sops decrypt` says more about it"
	}
	return e
}

// parseTree finds out which of its formats a file has. flat is set for a dotenv file.
func parseTree(text []byte) (tree *branch, flat bool, err error) {
	switch {
	case bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")):
		tree, err = parseJSON(text)
	case regexp.MustCompile(`(?m)^sops_mac=`).Match(text):
		flat = true
		tree, err = parseEnv(text)
	case regexp.MustCompile(`(?m)^["']?sops["']?:`).Match(text):
		tree, err = parseYAML(text)
	default:
		err = notSops
	}
	return tree, flat, err
}

// takeMetadata takes what sops says about the file out of the tree.
func takeMetadata(tree *branch, flat bool) (m metadata, err error) {
	said := &branch{}
	if flat {
		const prefix = "sops_"
		var rest []item
		for _, it := range tree.items {
			if key, ok := strings.CutPrefix(it.key, prefix); ok {
				said.items = append(said.items, item{key, it.value})
			} else {
				rest = append(rest, it)
			}
		}
		tree.items = rest
		for i := 0; ; i++ {
			key := said.text(fmt.Sprintf("age__list_%d__map_enc", i))
			if key == "" {
				break
			}
			m.keys = append(m.keys, key)
		}
		if said.text("mac_only_encrypted") == "true" {
			m.macOnly = true
		}
		for _, it := range said.items {
			if strings.HasPrefix(it.key, "key_groups__") {
				return m, shamir
			}
		}
	} else {
		var ok bool
		if said, ok = tree.get("sops").(*branch); !ok {
			return m, notSops
		}
		tree.items = slices.DeleteFunc(tree.items, func(it item) bool { return it.key == "sops" })
		list, _ := said.get("age").([]any)
		for _, v := range list {
			if recipient, ok := v.(*branch); ok {
				m.keys = append(m.keys, recipient.text("enc"))
			}
		}
		m.macOnly, _ = said.get("mac_only_encrypted").(bool)
		if groups, _ := said.get("key_groups").([]any); len(groups) > 0 {
			return m, shamir
		}
	}
	m.mac = said.text("mac")
	modified, err := time.Parse(time.RFC3339, said.text("lastmodified"))
	if err != nil || m.mac == "" {
		return m, tampered
	}
	m.modified = modified.Format(time.RFC3339)
	if len(m.keys) == 0 {
		return m, noRecipient
	}
	m.encrypted, err = said.rule()
	return m, err
}

// rule is which values of the file are encrypted: sops allows one rule, and it holds for everything below a key.
func (b *branch) rule() (func(path []string) bool, error) {
	if b.text("unencrypted_comment_regex") != "" || b.text("encrypted_comment_regex") != "" {
		return nil, commented
	}
	rules := map[string]string{}
	for _, name := range []string{"unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex"} {
		if v := b.text(name); v != "" {
			rules[name] = v
		}
	}
	if len(rules) == 0 {
		rules["unencrypted_suffix"] = "_unencrypted" // sops' own default
	}
	if len(rules) > 1 {
		return nil, tampered
	}
	name := slices.Collect(maps.Keys(rules))[0]
	matches := func(key string) bool { return strings.HasSuffix(key, rules[name]) }
	if strings.HasSuffix(name, "_regex") {
		expression, err := regexp.Compile(rules[name])
		if err != nil {
			return nil, tampered
		}
		matches = expression.MatchString
	}
	return func(path []string) bool {
		return slices.ContainsFunc(path, matches) == strings.HasPrefix(name, "encrypted_")
	}, nil
}

// dataKey is the key of the file, which any one of the recipients can open.
func dataKey(keys []string, ids []age.Identity) (key []byte, err error) {
	for _, armored := range keys {
		var plain []byte
		if plain, err = open([]byte(armored), true, ids); err == nil {
			return plain, nil
		}
	}
	return nil, err
}

// writeJSON writes a decrypted value as compact JSON. What JSON has no form for becomes text: a time as RFC 3339 has it,
// bytes that are no UTF-8 in base64.
func writeJSON(out *bytes.Buffer, value any) error {
	switch v := value.(type) {
	case *branch:
		out.WriteByte('{')
		for i, it := range v.items {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeJSON(out, it.key); err != nil {
				return err
			}
			out.WriteByte(':')
			if err := writeJSON(out, it.value); err != nil {
				return err
			}
		}
		out.WriteByte('}')
		return nil
	case []any:
		out.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeJSON(out, e); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	case float64:
		if text := string(macBytes(v)); json.Valid([]byte(text)) {
			out.WriteString(text)
			return nil
		}
		value = string(macBytes(v)) // an infinity
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the line end that Encode adds
	return nil
}
