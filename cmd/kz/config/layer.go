package config

import (
	"slices"
	"strings"
)

// layer is what one file, or one environment section of it, says, brought into one form: the list form of secrets and
// the shorthand at the top level have become entries like those under `secrets`.
type layer struct {
	backends *node // a table; nil when not given
	secrets  entries
	egress   *node // a table; nil when not given
}

// entries holds secrets by variable, in the order of the file.
type entries struct {
	list  []*entry
	index map[string]*entry
}

func (es *entries) put(e *entry) {
	if es.index == nil {
		es.index = make(map[string]*entry)
	}
	if old := es.index[e.variable]; old != nil {
		*old = *e
		return
	}
	es.list, es.index[e.variable] = append(es.list, e), e
}

// entry is one secret by its variable.
type entry struct {
	variable string
	label    string
	pos      Pos
	table    *node // without the keys env, mode and, in the list form, name
}

// section is an environment section of one file.
type section struct {
	name string
	layer
}

var (
	topKeys     = []string{"backends", "secrets", "resolvers", "egress"}
	sectionKeys = []string{"secrets", "backends", "egress"}
)

// layers brings the tree of one file into layers: what always holds, and its sections in their order.
func (r *reader) layers(root *node) (always layer, sections []section) {
	always = r.layer(root, topKeys)
	var inner []*field
	for _, f := range root.fields {
		switch {
		case slices.Contains(topKeys, f.key):
		case isShorthand(f.value):
			r.entry(&always.secrets, f)
		case isSection(f.value):
			inner = append(inner, f)
		default:
			hint := suggestion(f.key, topKeys)
			switch {
			case hint != "":
			case f.value.kind == textKind:
				hint = noValues
			case slices.ContainsFunc([]string{"backend", "secret_id", "ref"}, f.value.has):
				hint = "a secret stands under secrets"
			}
			r.hint(f.pos, hint, "unknown key %s", shown(f.key))
		}
	}
	for _, f := range inner {
		sections = append(sections, section{f.key, r.layer(f.value, sectionKeys)})
		for _, k := range f.value.fields {
			if !slices.Contains(sectionKeys, k.key) {
				r.hint(k.pos, suggestion(k.key, sectionKeys), "unknown key %s in the section %s, which may hold only secrets, backends and egress",
					shown(k.key), shown(f.key))
			}
		}
	}
	return always, sections
}

const noValues = "a value never stands in the file: keep it in a store, and write under secrets where it lives"

// isShorthand recognises NAME = { provider = "aws", ref = "sm://prod/key" } at the top level.
func isShorthand(v *node) bool { return v.kind == tableKind && v.has("provider") }

// isSection recognises a table that holds nothing but secrets, backends or egress. One that holds something else beside
// them is taken for a section with a mistake in it, so that the message can say which key is wrong.
func isSection(v *node) bool {
	if v.kind != tableKind {
		return false
	}
	for _, k := range sectionKeys {
		if inner := v.get(k); inner != nil && (inner.kind == tableKind || inner.kind == nullKind) {
			return true
		}
	}
	return len(v.fields) == 0
}

// layer reads the given keys of t.
func (r *reader) layer(t *node, keys []string) layer {
	var l layer
	for _, f := range t.fields {
		// An empty key of YAML, `secrets:` with nothing below, says nothing.
		if !slices.Contains(keys, f.key) || f.value.kind == nullKind {
			continue
		}
		switch f.key {
		case "backends":
			l.backends = r.kind(t, f.key, tableKind)
		case "egress":
			l.egress = r.kind(t, f.key, tableKind)
		case "secrets":
			if f.value.kind == listKind {
				r.hint(f.value.pos, "a list of secrets stands under resolvers", "%s takes %s, not %s", shown(f.key), tableKind, listKind)
			} else if secrets := r.kind(t, f.key, tableKind); secrets != nil {
				for _, s := range secrets.fields {
					r.entry(&l.secrets, s)
				}
			}
		case "resolvers":
			if list := r.kind(t, f.key, listKind); list != nil {
				for _, item := range list.items {
					r.item(&l.secrets, item)
				}
			}
		}
	}
	return l
}

// entry adds a secret of the table form. Its key is the variable, unless env names another.
func (r *reader) entry(to *entries, f *field) {
	if f.value.kind != tableKind {
		r.hint(f.value.pos, noValues, "the secret %s takes %s, not %s", shown(f.key), tableKind, f.value.kind)
		return
	}
	e := &entry{variable: f.key, label: f.key, pos: f.pos, table: f.value.without("env", "mode")}
	r.oneOf(f.value, "mode", "direct")
	switch {
	case f.value.has("env"):
		if e.variable = r.variable(f.value, "env"); e.variable == "" {
			return
		}
	case isVariable(f.key):
		if reserved(f.key) {
			r.add(f.pos, "the variable %s is not a secret's to set", shown(f.key))
			return
		}
	case r.labels[f.key] != "":
		// A file laid over another may name an entry as that one does.
		e.variable = r.labels[f.key]
	default:
		r.hint(f.pos, "name it as the program reads it, as in "+variableOf(f.key, "API_KEY"), "the key %s is not the name of a variable", shown(f.key))
		return
	}
	r.unique(to, e)
}

// item adds a secret of the list form. Its variable is made of its name, unless env names another.
func (r *reader) item(to *entries, t *node) {
	if t.kind != tableKind {
		r.hint(t.pos, noValues, "an entry of \"resolvers\" is %s, not %s", tableKind, t.kind)
		return
	}
	r.oneOf(t, "mode", "direct")
	if !t.has("name") {
		r.add(t.pos, "the entry has no name")
		return
	}
	name := r.text(t, "name")
	if name == nil {
		return
	}
	e := &entry{label: name.text, pos: name.pos, table: t.without("name", "env", "mode")}
	if t.has("env") {
		e.variable = r.variable(t, "env")
	} else if e.variable = variableOf(name.text, ""); e.variable == "" || reserved(e.variable) {
		r.hint(name.pos, `name the variable with env`+assign(name.pos)+`"API_KEY"`, "the name does not make the name of a variable")
		return
	}
	if e.variable == "" {
		return
	}
	r.unique(to, e)
}

func (r *reader) unique(to *entries, e *entry) {
	if other := to.index[e.variable]; other != nil {
		r.add(e.pos, "the same variable is already defined at %s", other.pos)
		return
	}
	r.labels[e.label] = e.variable
	to.put(e)
}

func (r *reader) variable(t *node, key string) string {
	v := r.text(t, key)
	if v == nil {
		return ""
	}
	if !isVariable(v.text) || reserved(v.text) {
		r.hint(v.pos, "letters, digits and _, as in API_KEY", "%s is not the name of a variable for a secret", shown(key))
		return ""
	}
	return v.text
}

// variableOf is the name of an entry in upper case with "-" as "_", or otherwise when that is no variable's name.
func variableOf(name, otherwise string) string {
	v := strings.ReplaceAll(strings.ToUpper(name), "-", "_")
	if !isVariable(v) {
		return otherwise
	}
	return v
}

func isVariable(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// reserved reports whether a variable decides what program runs, or is kz's own mark: no store may set it.
func reserved(name string) bool {
	return name == "PATH" || name == "HOME" || name == "KZ_SESSION" || strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "DYLD_")
}
