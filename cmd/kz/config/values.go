package config

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// reader turns nodes into values and collects what is wrong with them. Its methods take the table and the key, report
// a problem at the value's own place, and then give the zero value.
type reader struct {
	problems
	dirs   map[string]string // directory of each file, by the name in its positions
	home   string
	labels map[string]string // entry name -> variable, of the entries seen so far
	// unknown holds the places of unknown keys that were reported: merged with other files, the same key may call for
	// other words.
	unknown map[Pos]bool
}

func newReader(home string) *reader {
	return &reader{dirs: map[string]string{}, home: home, labels: map[string]string{}, unknown: map[Pos]bool{}}
}

// kind is the value of key when it is there and of kind k.
func (r *reader) kind(t *node, key string, k kind) *node {
	v := t.get(key)
	if v == nil {
		return nil
	}
	if v.kind != k {
		r.mismatch(t.field(key), k)
		return nil
	}
	return v
}

func (r *reader) mismatch(f *field, want kind) {
	hint := ""
	switch {
	case want == textKind && f.value.kind != tableKind && f.value.kind != listKind && f.value.kind != nullKind:
		hint = "put it in quotes"
	case want == listKind && f.value.kind == textKind:
		hint = "put it in brackets: " + f.key + assign(f.pos) + `["…"]`
	}
	at := f.value.pos
	if f.value.kind == nullKind {
		at = f.pos
	}
	r.hint(at, hint, "%s takes %s, not %s", shown(f.key), want, f.value.kind)
}

// assign is what stands between a key and its value in the format of the file.
func assign(p Pos) string {
	if isTOML(p.File) {
		return " = "
	}
	return ": "
}

func isTOML(file string) bool { return strings.EqualFold(filepath.Ext(file), ".toml") }

// text is a text that is neither empty nor holds control characters.
func (r *reader) text(t *node, key string) *node {
	v := r.kind(t, key, textKind)
	if v == nil || !r.clean(v, key) {
		return nil
	}
	return v
}

func (r *reader) clean(v *node, key string) bool {
	switch {
	case v.text == "":
		r.add(v.pos, "%s is empty", shown(key))
	case strings.ContainsFunc(v.text, func(c rune) bool { return c < ' ' || c >= 0x7f && c < 0xa0 }):
		r.add(v.pos, "%s holds a control character", shown(key))
	default:
		return true
	}
	return false
}

// string is text as a Go string.
func (r *reader) string(t *node, key string) string {
	if v := r.text(t, key); v != nil {
		return v.text
	}
	return ""
}

// oneOf is a text out of a few words.
func (r *reader) oneOf(t *node, key string, words ...string) string {
	v := r.text(t, key)
	if v == nil {
		return ""
	}
	for _, w := range words {
		if v.text == w {
			return w
		}
	}
	if len(words) == 1 {
		r.add(v.pos, "%s may only be %q", shown(key), words[0])
	} else {
		r.hint(v.pos, suggestion(v.text, words), "%s is one of %s", shown(key), strings.Join(words, ", "))
	}
	return ""
}

// texts is a list of texts.
func (r *reader) texts(t *node, key string) []*node {
	list := r.kind(t, key, listKind)
	if list == nil {
		return nil
	}
	var out []*node
	for _, v := range list.items {
		if v.kind != textKind {
			r.add(v.pos, "%s is a list of text, and holds %s", shown(key), v.kind)
		} else if r.clean(v, key) {
			out = append(out, v)
		}
	}
	return out
}

// boolean is the value of key, or otherwise when it is not there.
func (r *reader) boolean(t *node, key string, otherwise bool) bool {
	if v := r.kind(t, key, boolKind); v != nil {
		return v.yes
	}
	return otherwise
}

// positive is a whole number from 1 on; 0 when it is not there.
func (r *reader) positive(t *node, key string) int {
	v := r.kind(t, key, intKind)
	if v == nil {
		return 0
	}
	if v.number < 1 || v.number > 1<<31-1 {
		r.add(v.pos, "%s is a whole number from 1 on", shown(key))
		return 0
	}
	return int(v.number)
}

// duration is a span of time that is not negative; ok is false when it is not there.
func (r *reader) duration(t *node, key string) (d time.Duration, ok bool) {
	v := r.text(t, key)
	if v == nil {
		return 0, false
	}
	d, err := time.ParseDuration(v.text)
	if err != nil || d < 0 {
		r.hint(v.pos, "write it as in 90s, 15m or 1h30m", "%s is not a span of time", shown(key))
		return 0, false
	}
	return d, true
}

// path is an absolute path: relative ones start at the directory of the file that says them, "~/" at the home directory.
func (r *reader) path(t *node, key string) string {
	v := r.text(t, key)
	if v == nil {
		return ""
	}
	return r.absolute(v.text, v.pos)
}

func (r *reader) absolute(path string, said Pos) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && r.home != "" {
		return filepath.Join(r.home, rest)
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(r.dirs[said.File], path)
}

// known reports each key of t that is not among keys. what names the table: "a secret".
func (r *reader) known(t *node, what string, keys []string, synonyms map[string]string) {
	for _, f := range t.fields {
		if slices.Contains(keys, f.key) || r.unknown[f.pos] {
			continue
		}
		r.unknown[f.pos] = true
		if s, ok := synonyms[f.key]; ok {
			r.hint(f.pos, s, "unknown key %s in %s", shown(f.key), what)
			continue
		}
		r.hint(f.pos, suggestion(f.key, keys), "unknown key %s in %s", shown(f.key), what)
	}
}
