package config

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// backend reads one backend. A table that is only a part of one, because other files complete it, is not asked for what
// is missing.
func (r *reader) backend(f *field, whole bool) (Backend, bool) {
	b := Backend{Name: f.key, Pos: f.pos, Settings: make(map[string]Setting)}
	t := f.value
	if t.kind != tableKind {
		r.add(t.pos, "the backend %s takes %s, not %s", shown(f.key), tableKind, t.kind)
		return b, false
	}
	if !isBackendName(f.key) {
		r.add(f.pos, "the name of a backend is made of letters, digits, -, _ and .")
		return b, false
	}
	if !t.has("type") {
		if whole {
			r.hint(f.pos, "write type"+assign(f.pos)+"one of "+strings.Join(typeNames(), ", "), "the backend %s has no type", shown(f.key))
			return b, false
		}
		r.known(t, "a backend", allSettings(), nil)
		return b, false
	}
	typ, ok := r.backendType(t)
	if !ok {
		return b, false
	}
	b.Type, b.Dir = typ.Name, r.dirs[t.field("type").pos.File]
	r.known(t, "a backend of type "+typ.Name, typ.keys(), nil)
	for _, s := range typ.Settings {
		if v, ok := r.setting(t, s); ok {
			b.Settings[s.Key] = v
		}
	}
	if whole {
		r.complete(f, t, typ)
	}
	return b, true
}

// complete reports what is missing in a backend, and what means nothing beside its `auth`.
func (r *reader) complete(f *field, t *node, typ Type) {
	auth := typ.auth()
	if v := t.get("auth"); v != nil {
		auth = v.text
	}
	for _, s := range typ.Settings {
		if s.Key == "auth" && !slices.Contains(s.Values, auth) {
			return // reported already
		}
		belongs := len(s.Auth) == 0 || slices.Contains(s.Auth, auth)
		switch given := t.has(s.Key); {
		case given && !belongs:
			r.hint(t.field(s.Key).pos, "it belongs to auth"+assign(f.pos)+`"`+strings.Join(s.Auth, `" or "`)+`"`,
				"%s means nothing with the auth of this backend", shown(s.Key))
		case !given && s.Required && belongs && (len(s.Auth) == 0 || s.Auth[0] == auth):
			write := "write " + s.Key + assign(f.pos) + `"…" (` + s.Help + ")"
			if s.Sensitive {
				write = "write " + s.Key + assign(f.pos) + `{ secret` + assign(f.pos) + `"NAME" }, where NAME is another secret`
			}
			r.hint(f.pos, write, "the backend %s has no %s", shown(f.key), s.Key)
		}
	}
}

func isBackendName(s string) bool {
	for _, c := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", c) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func allSettings() []string {
	var keys []string
	for _, t := range types {
		keys = append(keys, t.keys()...)
	}
	return keys
}

func (r *reader) backendType(t *node) (Type, bool) {
	v := r.text(t, "type")
	if v == nil {
		return Type{}, false
	}
	if typ, ok := typeByName(v.text); ok {
		return typ, true
	}
	hint := "the types are " + strings.Join(typeNames(), ", ")
	r.hint(v.pos, hint, "unknown backend type%s", didYouMean(v.text, typeNames()))
	return Type{}, false
}

func (r *reader) setting(t *node, s SettingType) (Setting, bool) {
	f := t.field(s.Key)
	if f == nil {
		return Setting{}, false
	}
	out := Setting{Pos: f.value.pos}
	switch {
	case s.Sensitive, s.Type == "string" && f.value.kind == tableKind:
		out.Secret = r.chained(f)
		return out, out.Secret != ""
	case s.program && f.value.kind == textKind && !filepath.IsAbs(f.value.text) && !strings.HasPrefix(f.value.text, "~/"):
		// Beside the file, in a workspace, others could put a program of that name.
		r.hint(f.value.pos, `write where it is, as in "/usr/bin/pass"`, "%s is not an absolute path", shown(s.Key))
		out.Value = ""
	case s.Type == "path":
		out.Value = r.path(t, s.Key)
	case s.Type == "url":
		out.Value = r.url(t, s.Key)
	case s.Type == "enum":
		out.Value = r.oneOf(t, s.Key, s.Values...)
	case s.Type == "number":
		n := r.positive(t, s.Key)
		out.Value = n
		return out, n > 0
	case s.Type == "list":
		var list []string
		for _, v := range r.texts(t, s.Key) {
			list = append(list, v.text)
		}
		out.Value = list
		return out, len(list) > 0
	default:
		v := r.string(t, s.Key)
		if v != "" && s.Key == "region" && strings.Trim(v, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			// A region becomes part of the endpoint's host.
			r.hint(f.value.pos, `as in "us-east-1"`, "%s is not the name of a region", shown(s.Key))
			v = ""
		}
		out.Value = v
	}
	return out, out.Value != ""
}

// chained is the name of the secret that supplies a sensitive setting, { secret = "NAME" }.
func (r *reader) chained(f *field) string {
	if f.value.kind != tableKind {
		r.hint(f.value.pos, f.key+assign(f.pos)+`{ secret`+assign(f.pos)+`"NAME" }, where NAME is another secret`,
			"%s never stands in the file: it is named as another secret", shown(f.key))
		return ""
	}
	r.known(f.value, shown(f.key), []string{"secret"}, nil)
	if !f.value.has("secret") {
		r.add(f.value.pos, "%s names no secret", shown(f.key))
		return ""
	}
	return r.string(f.value, "secret")
}

// url is an http or https URL that leads to a server and carries no credentials.
func (r *reader) url(t *node, key string) string {
	v := r.text(t, key)
	if v == nil {
		return ""
	}
	u, err := url.Parse(v.text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		r.hint(v.pos, `as in "https://vault.example.com:8200"`, "%s is not an http or https URL", shown(key))
	case u.User != nil:
		r.add(v.pos, "%s holds a user or a password, which never stand in the file", shown(key))
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		r.add(v.pos, "%s has a query or a fragment, which it may not have", shown(key))
	default:
		return v.text
	}
	return ""
}
