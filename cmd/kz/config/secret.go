package config

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"kz/proxy/policy"
)

var secretKeys = []string{"backend", "provider", "ref", "secret_id", "path", "name", "kind", "field", "jsonKey", "fields",
	"plain_fields", "version", "version_stage", "version_id", "mount", "role_arn", "duration_seconds", "session_name",
	"export_as", "hosts", "swap", "mask", "expose", "scrub", "ranges", "ttl", "max_stale", "env", "mode"}

var secretSynonyms = map[string]string{
	"value": noValues, "secret": noValues, "password": noValues, "token": noValues, "api_key": noValues,
	"key": `did you mean "field"?`, "json_key": `did you mean "field"?`, "arn": `did you mean "secret_id"?`, "id": `did you mean "secret_id"?`,
	"domains": `did you mean "hosts"?`, "places": `did you mean "swap"?`,
}

// binding reads what a secret says about itself: where it may go and how it is handled. Where it lives is only checked
// for its form, as other files may complete it.
func (r *reader) binding(e *entry) Secret {
	t := e.table
	r.known(t, "a secret", secretKeys, secretSynonyms)
	for _, key := range []string{"backend", "provider", "ref", "secret_id", "path", "name", "kind", "field", "jsonKey",
		"version_stage", "version_id", "mount", "role_arn", "session_name"} {
		r.text(t, key)
	}
	r.positive(t, "version")
	r.positive(t, "duration_seconds")
	r.oneOf(t, "export_as", "aws")
	r.texts(t, "fields")
	r.texts(t, "plain_fields")
	s := Secret{
		Name: e.variable, Label: e.label, Pos: e.pos,
		Hosts:  r.hosts(t, "hosts", policy.ParseHostPattern),
		Places: r.places(t),
		Mask:   r.mask(t),
		Expose: r.oneOf(t, "expose", ExposeMasked, ExposeOmit, ExposePlain),
		Scrub:  r.boolean(t, "scrub", true),
		Ranges: r.boolean(t, "ranges", false),
		TTL:    -1,
	}
	if s.Expose == "" {
		s.Expose = ExposeMasked
	}
	if d, ok := r.duration(t, "ttl"); ok {
		s.TTL = d
	}
	if d, ok := r.duration(t, "max_stale"); ok {
		s.MaxStale = max(d, time.Nanosecond)
	}
	return s
}

// hosts is a list of host patterns.
func (r *reader) hosts(t *node, key string, parse func(string) (policy.HostPattern, error)) []policy.HostPattern {
	var out []policy.HostPattern
	for _, v := range r.texts(t, key) {
		p, err := parse(v.text)
		if err == nil {
			out = append(out, p)
			continue
		}
		hint := ""
		if h := hostOfURL(v.text, parse); h != "" {
			hint = `write "` + h + `"`
		}
		r.hint(v.pos, hint, "%s holds what is not a host: %s", shown(key), reason(err, v.text))
	}
	return out
}

// hostOfURL is the host of what was written as a URL; "" when that cannot be told.
func hostOfURL(s string, parse func(string) (policy.HostPattern, error)) string {
	if !strings.Contains(s, "/") {
		return ""
	}
	if !strings.Contains(s, "://") {
		s = "https://" + strings.TrimLeft(s, "/")
	}
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Scheme != "https" && u.Scheme != "http" || !strings.Contains(u.Host, ".") {
		return ""
	}
	p, err := parse(u.Host)
	if err != nil {
		return ""
	}
	return p.String()
}

// reason is why policy refused a value, without the value. The reasons are constant texts, in which a short value, "*"
// or "query", may well occur; that a longer one does not is made sure of.
func reason(err error, value string) string {
	inner := errors.Unwrap(err)
	if inner == nil || len(value) >= 8 && strings.Contains(inner.Error(), value) {
		return "it cannot be understood"
	}
	return inner.Error()
}

// places is the list of `swap`, or the default one.
func (r *reader) places(t *node) []policy.Place {
	if !t.has("swap") {
		return policy.DefaultPlaces()
	}
	var out []policy.Place
	list := r.texts(t, "swap")
	for _, v := range list {
		p, err := policy.ParsePlace(v.text)
		if err != nil {
			r.add(v.pos, `"swap" holds what is not a place: %s`, reason(err, v.text))
		} else if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	if v := t.get("swap"); v.kind == listKind && len(v.items) == 0 {
		r.hint(v.pos, "leave it out for header, basic and body", `"swap" names no place`)
	}
	return out
}

const maskHole = "{mask}"

// maxMask bounds a mask's template; the longest prefixes that SDKs check are some 20 bytes.
const maxMask = 128

// mask is a template with exactly one {mask}. What stands around it must survive in a header, in JSON and in a shell.
func (r *reader) mask(t *node) string {
	v := r.text(t, "mask")
	if v == nil {
		return ""
	}
	before, after, found := strings.Cut(v.text, maskHole)
	around := before + after
	unfit := func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("{}\"'`\\<>&%$", c) }
	switch {
	case !found || strings.Contains(after, maskHole):
		r.hint(v.pos, `as in "sk_live_{mask}"`, `"mask" must hold {mask} exactly once`)
	case strings.ContainsFunc(around, unfit) || strings.Contains(around, "kz_masked_"):
		r.add(v.pos, `"mask" may hold letters, digits and plain punctuation beside {mask}, and no mask`)
	case len(around) > maxMask:
		r.add(v.pos, `"mask" is longer than %d bytes`, maxMask)
	default:
		return v.text
	}
	return ""
}
