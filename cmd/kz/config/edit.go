package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Draft is a file as it is about to be written.
type Draft struct {
	Path string // absolute
	Data []byte
}

// Given is one setting of a backend, or one key of a secret, that is about to be written.
type Given struct {
	Key string
	Setting
}

// ErrByHand is the error of an edit that would change more of a file than it should.
var ErrByHand = errors.New("the file is written so that it can only be changed by hand")

// Place is the file that a new backend is written to: that of o.File, else the one that is discovered, else a new
// .keyzero.toml in o.Dir. exists says whether it is there.
func Place(o Options) (path string, exists bool, err error) {
	dir, err := directory(o.Dir)
	if err != nil {
		return "", false, fmt.Errorf("looking for a configuration: %w", err)
	}
	files, err := find(o, dir)
	if err != nil {
		return "", false, err
	}
	for _, f := range files {
		if f.class == named || isBase(f) {
			return f.path, true, nil
		}
	}
	return filepath.Join(dir, baseName+".toml"), false, nil
}

func isBase(f found) bool {
	return f.class == discovered && slices.ContainsFunc(extensions, func(ext string) bool { return filepath.Base(f.path) == baseName+ext })
}

// drafted puts a draft in the place of its file, or adds it with what would be laid over it.
func drafted(files []found, d *Draft, dir string) ([]found, error) {
	if d == nil || slices.ContainsFunc(files, func(f found) bool { return f.path == d.Path }) {
		return files, nil
	}
	files = append(files, found{d.Path, shorten(d.Path, dir), discovered})
	local, err := one(filepath.Dir(d.Path), localName)
	if local != "" {
		files = append(files, found{local, shorten(local, dir), discovered})
	}
	return files, err
}

// draft is what read would return once d has been written.
func (f found) draft(d *Draft) ([]byte, Source, *Problem) {
	if len(d.Data) > maxFile {
		return nil, Source{}, &Problem{Pos: Pos{File: f.shown}, Message: "the file is larger than 1 MiB"}
	}
	real, err := filepath.EvalSymlinks(filepath.Dir(f.path))
	if err != nil {
		return nil, Source{}, &Problem{Pos: Pos{File: f.shown}, Message: "reading the file: " + because(err)}
	}
	sum := sha256.Sum256(d.Data)
	return d.Data, Source{Path: f.path, RealPath: filepath.Join(real, filepath.Base(f.path)), SHA256: hex.EncodeToString(sum[:]),
		Discovered: f.class == discovered}, nil
}

// BackendPlace is where a file says something about a backend.
type BackendPlace struct {
	Source Source
	Env    string // the environment section; "" for what always holds
	Pos    Pos
}

// BackendPlaces lists where the files say something about a backend, in all their sections. It is empty for a backend that
// only a `provider` stands for.
func (c *Config) BackendPlaces(name string) (places []BackendPlace) {
	for i, f := range c.files {
		look := func(env string, l layer) {
			if b := l.backends.field(name); b != nil {
				places = append(places, BackendPlace{c.Sources[i], env, b.pos})
			}
		}
		look("", f.always)
		for _, s := range f.sections {
			look(s.name, s.layer)
		}
	}
	return places
}

// AddBackend is the content of a file with one more backend; every other byte stays. file decides the format by its name.
// The error is ErrByHand where that cannot be done. The result is not validated: Load does so, with a Draft.
func AddBackend(file string, data []byte, name, typ string, settings []Given) ([]byte, error) {
	return addTable(file, data, withType(typ, settings), "backends", name)
}

// AddSecret is AddBackend for a secret, in an environment section or, with "", for what always holds. A secret that is
// there already is ErrByHand.
func AddSecret(file string, data []byte, env, name string, settings []Given) ([]byte, error) {
	return addTable(file, data, settings, secretPath(env, name)...)
}

func addTable(file string, data []byte, settings []Given, path ...string) ([]byte, error) {
	add := addTOML
	if !isTOML(file) {
		add = addYAML
	}
	return edit(file, data, func(text []byte, root *node) []byte { return add(text, root, path, settings) },
		func(before *node) *node { return before.with(settingsNode(settings), path...) })
}

// RemoveBackend is the content of a file without what it says about a backend outside of its sections; every other byte but
// an empty line beside it stays. The error is ErrByHand where that cannot be done.
func RemoveBackend(file string, data []byte, name string) ([]byte, error) {
	remove := removeTOML
	if !isTOML(file) {
		remove = removeYAML
	}
	return edit(file, data, func(text []byte, root *node) []byte { return remove(text, root, name) },
		func(before *node) *node { return before.with(nil, "backends", name) })
}

// BackendText is a backend as it stands in a file of that name, for whoever has to write it by hand.
func BackendText(file, name, typ string, settings []Given) string {
	return tableText(file, withType(typ, settings), "backends", name)
}

// SecretText is a secret as it stands in a file of that name.
func SecretText(file, env, name string, settings []Given) string {
	return tableText(file, settings, secretPath(env, name)...)
}

func tableText(file string, settings []Given, path ...string) string {
	if isTOML(file) {
		return tomlTable(path, settings, "\n")
	}
	return yamlTable(path, settings, "", "\n")
}

func secretPath(env, name string) []string {
	if env == "" {
		return []string{"secrets", name}
	}
	return []string{env, "secrets", name}
}

func withType(typ string, settings []Given) []Given {
	return append([]Given{{Key: "type", Setting: Setting{Value: typ}}}, settings...)
}

// edit changes a text and makes sure that the change is the one that was wanted and no other.
func edit(file string, data []byte, change func(text []byte, root *node) []byte, want func(before *node) *node) ([]byte, error) {
	parse := func(data []byte) (*node, *Problem) { return found{shown: file}.parse(data) }
	before, problem := parse(data)
	if problem != nil {
		return nil, Problems{*problem}
	}
	bom := []byte("\ufeff")
	text, hasBOM := bytes.CutPrefix(data, bom)
	out := change(text, before)
	if hasBOM {
		out = slices.Concat(bom, out)
	}
	after, problem := parse(out)
	if problem != nil || !after.same(want(before)) {
		return nil, ErrByHand
	}
	return out, nil
}

// with is a tree with another value at a path of keys, or with none there.
func (n *node) with(v *node, path ...string) *node {
	if len(path) == 0 {
		return v
	}
	out := newTable(Pos{})
	if n != nil && n.kind == tableKind {
		out = n.without(path[0])
	}
	if inner := n.get(path[0]).with(v, path[1:]...); !inner.nothing() {
		out.set(path[0], Pos{}, inner)
	}
	return out
}

func settingsNode(settings []Given) *node {
	text := func(s string) *node { return &node{kind: textKind, text: s} }
	t := newTable(Pos{})
	for _, s := range settings {
		var v *node
		switch value := s.Value.(type) {
		case string:
			v = text(value)
		case int:
			v = &node{kind: intKind, number: int64(value)}
		case []string:
			v = &node{kind: listKind}
			for _, item := range value {
				v.items = append(v.items, text(item))
			}
		default:
			v = newTable(Pos{})
			v.set("secret", Pos{}, text(s.Secret))
		}
		t.set(s.Key, Pos{}, v)
	}
	return t
}

// same compares two values without their places. A table without keys is as good as none.
func (n *node) same(o *node) bool {
	if n.nothing() && o.nothing() {
		return true
	}
	if n == nil || o == nil || n.kind != o.kind || n.text != o.text || n.number != o.number || n.yes != o.yes || len(n.items) != len(o.items) {
		return false
	}
	for i := range n.items {
		if !n.items[i].same(o.items[i]) {
			return false
		}
	}
	for _, t := range []struct{ a, b *node }{{n, o}, {o, n}} {
		for _, f := range t.a.fields {
			if !f.value.same(t.b.get(f.key)) {
				return false
			}
		}
	}
	return true
}

func (n *node) nothing() bool {
	return n == nil || n.kind == nullKind || n.kind == tableKind && len(n.fields) == 0
}

// quoted is a text in double quotes, as TOML and YAML both read it.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' || c == '\ufeff':
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// literal is the value of a setting; assign is what stands between a key and its value.
func (g Given) literal(assign string) string {
	switch v := g.Value.(type) {
	case string:
		return quoted(v)
	case int:
		return strconv.Itoa(v)
	case []string:
		items := make([]string, len(v))
		for i, s := range v {
			items[i] = quoted(s)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return "{ secret" + assign + quoted(g.Secret) + " }"
}

// span is a part of a text.
type span struct{ from, to int }

// cut removes parts of a text, which are whole lines in their order, each with an empty line beside it.
func cut(text []byte, parts []span) []byte {
	var out []byte
	at := 0
	for _, p := range parts {
		out = append(out, text[at:p.from]...)
		at = p.to
		if len(out) == 0 {
			at += emptyLine(text[at:])
		} else if at == len(text) || emptyLine(text[at:]) > 0 {
			out = out[:len(out)-lastEmptyLine(out)]
		}
	}
	return append(out, text[at:]...)
}

func emptyLine(b []byte) int {
	for _, end := range []string{"\n", "\r\n"} {
		if bytes.HasPrefix(b, []byte(end)) {
			return len(end)
		}
	}
	return 0
}

// lastEmptyLine is the length of an empty line at the end.
func lastEmptyLine(b []byte) int {
	for _, end := range []string{"\r\n", "\n"} {
		if rest, ok := bytes.CutSuffix(b, []byte(end)); ok && (len(rest) == 0 || rest[len(rest)-1] == '\n') {
			return len(end)
		}
	}
	return 0
}

// newline is how the lines of a text end.
func newline(text []byte) string {
	if i := bytes.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// ended is a copy of a text whose last line is ended.
func ended(text []byte, eol string) []byte {
	out := bytes.Clone(text)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, eol...)
	}
	return out
}

// lineFrom is where the line of an offset begins, and lineTo where the next one does.
func lineFrom(text []byte, at int) int { return bytes.LastIndexByte(text[:at], '\n') + 1 }

func lineTo(text []byte, at int) int {
	if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(text)
}
