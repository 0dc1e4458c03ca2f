package config

import "slices"

// merge lays layers over one another, the later ones over the earlier: key by key, deep for tables, lists replaced.
// Backends come first, as what a secret may keep depends on the type of its backend.
func merge(layers []layer) layer {
	var m layer
	for _, l := range layers {
		if l.backends != nil {
			m.backends = overlayBackends(m.backends, l.backends)
		}
		if l.egress != nil {
			m.egress = overlay(m.egress, l.egress)
		}
	}
	for _, l := range layers {
		for _, e := range l.secrets.list {
			c := *e
			if base := m.secrets.index[e.variable]; base != nil {
				c.label, c.pos = base.label, base.pos
				c.table = overlaySecret(base.table, e.table, m.backends)
			}
			m.secrets.put(&c)
		}
	}
	return m
}

// overlayBackends merges backend by backend. One that changes its type keeps nothing of what it was.
func overlayBackends(base, over *node) *node {
	if base == nil {
		return over
	}
	c := base.without()
	for _, f := range over.fields {
		old := base.get(f.key)
		if a, b := old.get("type"), f.value.get("type"); a != nil && b != nil && a.text != b.text {
			old = nil
		}
		c.set(f.key, f.pos, overlay(old, f.value))
	}
	return c
}

var (
	idKeys    = []string{"secret_id", "path", "name", "kind"}
	fieldKeys = []string{"field", "jsonKey", "fields", "plain_fields"}
	// storeKeys say where a value lives in a store of one type.
	storeKeys = []string{"version", "version_stage", "version_id", "mount", "role_arn", "duration_seconds", "session_name", "export_as"}
)

// overlaySecret merges one secret. What over says about where the value lives displaces the base's other way of saying
// it, and a backend of another type displaces all of it.
func overlaySecret(base, over, backends *node) *node {
	hasAny := func(keys []string) bool { return slices.ContainsFunc(keys, over.has) }
	var drop []string
	if hasAny(idKeys) {
		drop = append(drop, idKeys...)
	}
	if hasAny(fieldKeys) {
		drop = append(drop, fieldKeys...)
	}
	if over.has("backend") {
		drop = append(drop, "provider", "ref")
	}
	if hasAny([]string{"provider", "ref"}) {
		drop = append(drop, "backend")
		drop = append(drop, idKeys...)
		drop = append(drop, fieldKeys...)
	}
	if a, b := storeType(base, backends), storeType(over, backends); a != "" && b != "" && a != b {
		drop = append(drop, idKeys...)
		drop = append(drop, fieldKeys...)
		drop = append(drop, storeKeys...)
	}
	return overlay(base.without(drop...), over)
}

// storeType is the type of the backend that a secret names; "" when it names none.
func storeType(secret, backends *node) string {
	if p := secret.get("provider"); p != nil {
		known, _ := providerByName(p.text)
		return known.kind
	}
	b := secret.get("backend")
	if b == nil {
		return ""
	}
	if t := backends.get(b.text).get("type"); t != nil {
		return t.text
	}
	return ""
}
