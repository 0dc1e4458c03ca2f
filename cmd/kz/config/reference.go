package config

import (
	"slices"
	"strings"

	"kz/resolver"
)

// locator finds out where each secret lives, in backends that are all known.
type locator struct {
	*reader
	configured []string // names under `backends`, sorted, with those that have another problem
	backends   map[string]Backend
}

// locate completes s. ok is false when it cannot be used, which has been reported or follows from what was.
func (l *locator) locate(e *entry, s *Secret) (ok bool) {
	t := e.table
	var id, field *node
	if t.has("provider") || t.has("ref") {
		if s.Backend, id, field, ok = l.shorthand(t, e); !ok {
			return false
		}
	} else if s.Backend, ok = l.named(t, e); !ok {
		return false
	}
	b, usable := l.backends[s.Backend]
	if !usable {
		return false
	}
	typ, _ := typeByName(b.Type)
	if !l.fits(t, typ) {
		return false
	}
	if id = l.id(t, id, b); id == nil {
		id = &node{}
	}
	f, given := l.field(t, field)
	s.Ref = resolver.Ref{
		ID: id.text, Field: f,
		VersionStage: l.string(t, "version_stage"), VersionID: l.string(t, "version_id"),
		Version: l.positive(t, "version"), Mount: l.string(t, "mount"),
		RoleARN: l.string(t, "role_arn"), DurationSeconds: l.positive(t, "duration_seconds"), SessionName: l.string(t, "session_name"),
	}
	if b.Type == AWSSTS {
		return l.role(t, e, b, s)
	}
	switch {
	case s.Ref.ID != "" || slices.ContainsFunc(idKeys, t.has):
	case typ.keyed && given:
		// The fields of a dotenv file are its keys, those of an environment its variables.
		s.Ref.ID, s.Ref.Field = f, ""
	case typ.byName:
		s.Ref.ID = s.Name
	default:
		l.hint(e.pos, "name it in the store: secret_id"+assign(e.pos)+`"prod/key"`, "the secret does not say where its value lives")
	}
	return s.Ref.ID != ""
}

// role completes a secret of STS: what it names is a role, its own or the backend's.
func (l *locator) role(t *node, e *entry, b Backend, s *Secret) bool {
	if s.Ref.ID != "" && s.Ref.RoleARN != "" && s.Ref.ID != s.Ref.RoleARN {
		l.add(e.pos, "the secret names two roles")
		return false
	}
	if s.Ref.RoleARN == "" {
		s.Ref.RoleARN = s.Ref.ID
	}
	s.Ref.ID = ""
	if s.Ref.RoleARN == "" && b.Text("role_arn") == "" {
		l.hint(e.pos, "name it: role_arn"+assign(e.pos)+`"arn:aws:iam::123456789012:role/deploy"`, "the secret names no role")
		return false
	}
	return true
}

// named is the backend that a secret names, or the only one there is.
func (l *locator) named(t *node, e *entry) (string, bool) {
	if t.has("backend") {
		v := l.text(t, "backend")
		if v == nil {
			return "", false
		}
		for _, name := range l.configured {
			if name == v.text {
				return name, true
			}
		}
		l.hint(v.pos, l.choices(), "the secret names a backend that is not configured%s", didYouMean(v.text, l.configured))
		return "", false
	}
	if len(l.configured) == 1 {
		return l.configured[0], true
	}
	l.hint(e.pos, l.choices(), "the secret names no backend")
	return "", false
}

func (l *locator) choices() string {
	if len(l.configured) == 0 {
		return `no backend is configured: add one under backends, as in local with type "` + EnvFile + `" and a path`
	}
	return "the backends are " + strings.Join(l.configured, ", ")
}

// id is the one reference among its synonyms, or what the kind of secret is named in the store.
func (l *locator) id(t *node, ref *node, b Backend) *node {
	id, by := ref, "ref"
	for _, key := range []string{"secret_id", "path", "name"} {
		v := l.text(t, key)
		if v == nil {
			continue
		}
		if id != nil && id.text != v.text {
			l.add(v.pos, "%s and %s give two different references", shown(by), shown(key))
			return nil
		}
		id, by = v, key
	}
	kind := l.text(t, "kind")
	if kind == nil {
		return id
	}
	if id != nil {
		l.add(kind.pos, "%s and %s give two references", shown(by), shown("kind"))
		return nil
	}
	template := b.Text("secret_name_template")
	if template == "" {
		template = defaultTemplate
	}
	mount := b.Text("mount")
	if v := l.text(t, "mount"); v != nil {
		mount = v.text
	}
	for _, hole := range []struct{ name, key, value string }{
		{"{orgId}", "org_id", b.Text("org_id")}, {"{mount}", "mount", mount}, {"{kind}", "kind", kind.text},
	} {
		if hole.value == "" && strings.Contains(template, hole.name) {
			l.add(kind.pos, "the name template needs %s, and the backend gives no %s", hole.name, hole.key)
			return nil
		}
		template = strings.ReplaceAll(template, hole.name, hole.value)
	}
	return &node{kind: textKind, pos: kind.pos, text: template}
}

// field is the part of the secret that is taken; given is false when the file does not say.
func (l *locator) field(t *node, ref *node) (field string, given bool) {
	f, by := ref, "ref"
	for _, key := range []string{"field", "jsonKey"} {
		v := l.text(t, key)
		if v == nil {
			continue
		}
		if f != nil && f.text != v.text {
			l.add(v.pos, "%s and %s give two different fields", shown(by), shown(key))
			return "", false
		}
		f, by = v, key
	}
	if f == nil {
		if t.has("kind") {
			return "auto", false
		}
		return "", false
	}
	for _, key := range []string{"fields", "plain_fields"} {
		if t.has(key) {
			l.add(t.field(key).pos, "%s and %s exclude one another", shown(by), shown(key))
		}
	}
	return f.text, true
}

// fits reports keys that mean nothing in a backend of this type.
func (l *locator) fits(t *node, typ Type) bool {
	ok := true
	for _, key := range append([]string{"kind"}, storeKeys...) {
		if f := t.field(key); f != nil && !slices.Contains(typ.references, key) {
			hint := "leave it out"
			if len(typ.references) > 0 {
				hint = "there a secret may have " + strings.Join(typ.references, ", ")
			}
			l.hint(f.pos, hint, "%s means nothing for a backend of type %s", shown(key), typ.Name)
			ok = false
		}
	}
	return ok
}

// shorthand reads { provider = "aws", ref = "sm://prod/key#field" }. Its backend is the configured one of the provider's
// name if that is of the same type, else one with default settings.
func (l *locator) shorthand(t *node, e *entry) (backend string, id, field *node, ok bool) {
	p, ref := l.text(t, "provider"), l.text(t, "ref")
	switch {
	case t.has("backend"):
		l.add(t.field("backend").pos, `"backend" and "provider" exclude one another`)
		return
	case !t.has("provider"):
		l.hint(t.field("ref").pos, "the providers are "+strings.Join(providerNames(), ", "), `"ref" needs a "provider" beside it`)
		return
	case !t.has("ref"):
		l.add(t.field("provider").pos, `"provider" needs a "ref" beside it`)
		return
	case p == nil || ref == nil:
		return
	}
	known, isKnown := providerByName(p.text)
	if !isKnown {
		l.hint(p.pos, "the providers are "+strings.Join(providerNames(), ", "), "unknown provider%s", didYouMean(p.text, providerNames()))
		return
	}
	begins, rest, found := strings.Cut(ref.text, "://")
	scheme, ok := known.scheme(begins)
	if !found || !ok {
		l.hint(ref.pos, "for "+known.name+" it begins with "+known.schemeList(), `"ref" has no scheme that this provider knows`)
		return "", nil, nil, false
	}
	typ := scheme.kind
	name, fragment, hasFragment := strings.Cut(rest, "#")
	server, secret, hasServer := strings.Cut(name, "/")
	if name == "" || hasFragment && fragment == "" || typ == AzureKeyVault && (!hasServer || server == "" || secret == "") {
		l.hint(ref.pos, `as in "`+scheme.example+`"`, `"ref" is not complete`)
		return "", nil, nil, false
	}
	id = &node{kind: textKind, pos: ref.pos, text: name}
	if hasFragment {
		field = &node{kind: textKind, pos: ref.pos, text: fragment}
	}
	b := Backend{Name: known.name, Type: typ, Dir: l.dirs[p.pos.File], Settings: map[string]Setting{}, Pos: e.pos}
	switch old, taken := l.backends[known.name]; {
	case typ == AzureKeyVault:
		// What precedes the name is the vault, and each vault is a backend.
		if strings.Trim(server, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != "" {
			l.hint(ref.pos, `as in "`+scheme.example+`"`, `"ref" does not begin with the host of a vault`)
			return "", nil, nil, false
		}
		b.Name, id.text = known.name+":"+server, secret
		b.Settings["vault_url"] = Setting{Value: "https://" + server, Pos: ref.pos}
	case typ == EnvFile:
		// What precedes the key is the file, and each file is a backend.
		path := l.absolute(name, ref.pos)
		b.Name, id = known.name+":"+path, nil
		b.Settings["path"] = Setting{Value: path, Pos: ref.pos}
	case typ != known.kind:
		b.Name = known.name + ":" + begins
	case taken && old.Type != typ:
		b.Name = "provider:" + known.name
	}
	if _, there := l.backends[b.Name]; !there {
		l.backends[b.Name] = b
	}
	return b.Name, id, field, true
}

func (p provider) schemeList() string {
	var out []string
	for _, s := range p.schemes {
		out = append(out, s.name+"://")
	}
	return strings.Join(out, " or ")
}

// exportedAWS are the variables that `export_as = "aws"` makes of temporary credentials.
var exportedAWS = []struct{ variable, field string }{
	{"AWS_ACCESS_KEY_ID", "access_key_id"}, {"AWS_SECRET_ACCESS_KEY", "secret_access_key"}, {"AWS_SESSION_TOKEN", "session_token"},
}

// exported makes the variables of an entry with `export_as`.
func (l *locator) exported(t *node, s Secret) []Secret {
	for _, key := range []string{"field", "jsonKey", "fields", "plain_fields", "env"} {
		if f := t.field(key); f != nil {
			l.add(f.pos, `%s and "export_as" exclude one another`, shown(key))
		}
	}
	var out []Secret
	for _, x := range exportedAWS {
		c := s
		c.Name, c.Ref.Field, c.Signs = x.variable, x.field, true
		out = append(out, c)
	}
	return out
}

// expand makes the variables of an entry with `fields` or `plain_fields`: the entry's variable, "_" and the field's name.
func (l *locator) expand(t *node, s Secret) []Secret {
	if t.has("export_as") {
		return l.exported(t, s)
	}
	if !t.has("fields") && !t.has("plain_fields") {
		return []Secret{s}
	}
	var out []Secret
	for _, key := range []string{"fields", "plain_fields"} {
		for _, v := range l.texts(t, key) {
			c := s
			c.Name, c.Pos, c.Ref.Field = s.Name+"_"+snake(v.text), v.pos, v.text
			c.Plain = key == "plain_fields"
			if snake(v.text) == "" || !isVariable(c.Name) {
				l.add(v.pos, "%s holds what does not make the name of a variable", shown(key))
				continue
			}
			out = append(out, c)
		}
	}
	if len(out) == 0 && t.get("fields").empty() && t.get("plain_fields").empty() {
		l.add(s.Pos, `"fields" and "plain_fields" name no field`)
	}
	return out
}

func (n *node) empty() bool { return n == nil || len(n.items) == 0 }

// snake is the name of a JSON field as the end of a variable: apiToken, api-token and /api/token are API_TOKEN.
func snake(field string) string {
	var b strings.Builder
	gap := false
	for i := 0; i < len(field); i++ {
		c := field[i]
		switch {
		case 'A' <= c && c <= 'Z':
			before := i > 0 && (field[i-1] >= 'a' && field[i-1] <= 'z' || field[i-1] >= '0' && field[i-1] <= '9')
			inside := i > 0 && field[i-1] >= 'A' && field[i-1] <= 'Z' && i+1 < len(field) && field[i+1] >= 'a' && field[i+1] <= 'z'
			gap = gap || before || inside
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case '0' <= c && c <= '9':
		case c == '_' || c == '-' || c == '.' || c == '/':
			gap = true
			continue
		default:
			return ""
		}
		if gap && b.Len() > 0 {
			b.WriteByte('_')
		}
		gap = false
		b.WriteByte(c)
	}
	return b.String()
}
